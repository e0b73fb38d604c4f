"""An authorization server and an API that take DPoP proofs at their word in nothing (RFC 9449 §4.3)."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import ssl
import threading
import time
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import import_key

from tests.support.servers import OAuthServer, Reply, Seen

ALGORITHMS = ["ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA", "Ed25519"]
PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}


class BadProofError(Exception):
    """A proof is refused; its text says why, for whoever reads a failing test."""


class ProofChecker:
    """
    Checks the proofs of requests to one server, of which none may come twice.

    :param window_s: how far ``iat`` may be from this machine's clock
    """

    def __init__(self, window_s: float = 60.0) -> None:
        self._window_s = window_s
        self._ids: set[str] = set()
        self._lock = threading.Lock()

    def check(self, proof: str, method: str, url: str, *, now: float, token: str | None = None) -> dict[str, Any]:
        """
        Return the claims of *proof*, and the thumbprint of its key as ``jkt``.

        :param url: as the server knows it, without a query
        :param token: the one in the request, at an API
        :raises BadProofError: it is no good one
        """
        header = header_of(proof)
        _want(header.get("typ") == "dpop+jwt", "typ")
        _want(header.get("alg") in ALGORITHMS, "alg")
        jwk = header.get("jwk")
        if not isinstance(jwk, dict) or PRIVATE_MEMBERS & set(jwk):
            raise BadProofError("jwk")
        try:
            key = import_key(jwk)
            claims = json.loads(jws.deserialize_compact(proof, key, registry=_Registry()).payload)
        except (JoseError, ValueError) as error:
            raise BadProofError("signature") from error
        _want(claims.get("htm") == method, "htm")
        _want(claims.get("htu") == url, "htu")
        _want(isinstance(claims.get("iat"), int) and abs(claims["iat"] - now) <= self._window_s, "iat")
        if token is not None:
            digest = hashlib.sha256(token.encode()).digest()
            _want(claims.get("ath") == base64.urlsafe_b64encode(digest).rstrip(b"=").decode(), "ath")
        with self._lock:
            _want(isinstance(claims.get("jti"), str) and claims["jti"] not in self._ids, "jti")
            self._ids.add(claims["jti"])
        return {**claims, "jkt": key.thumbprint()}


class DpopServer(OAuthServer):
    """
    Binds tokens to keys, and takes a token of its API from nobody but who has the key.

    :ivar token_nonce: which proofs for the token endpoint must hold; None: nothing
    :ivar api_nonce: the same for the API
    :ivar nonce_per_answer: the API takes each nonce once, and names the next one in each answer
    :ivar refusals: why a request was refused, in their order
    """

    def __init__(self, *, lifetime_s: float = 3600, context: ssl.SSLContext | None = None) -> None:
        super().__init__(lifetime_s=lifetime_s, context=context)
        self.token_nonce: str | None = None
        self.api_nonce: str | None = None
        self.nonce_per_answer = False
        self.bound: dict[str, str] = {}
        self.refusals: list[str] = []
        self._token_proofs, self._api_proofs = ProofChecker(), ProofChecker()
        self._numbers = itertools.count(1)

    @property
    def proofs(self) -> list[str]:
        """The proofs that arrived, in their order."""
        return [seen.headers["dpop"] for seen in list(self.seen) if "dpop" in seen.headers]

    @property
    def nonces(self) -> list[str | None]:
        """What stood in those proofs."""
        return [claims_of(proof).get("nonce") for proof in self.proofs]

    @property
    def sent_tokens(self) -> list[str]:
        """The tokens that arrived at the API, in their order."""
        return [seen.headers.get("authorization", "none").removeprefix("DPoP ") for seen in self.api_requests]

    def answer_first(self, *replies: Reply | None) -> None:
        """Let the API answer *replies* first; None stands for what it answers by itself."""
        waiting = list(replies)

        def reply(seen: Seen) -> Reply:
            scripted = waiting.pop(0) if waiting else None
            return self.checked(seen) if scripted is None else scripted

        self.api_reply = reply

    def issue(self, **members: Any) -> Reply:
        """Return the answer that grants a new token, which :meth:`bind` binds to a key."""
        return super().issue(**{"token_type": "DPoP", **members})

    def bind(self, seen: Seen) -> Reply:
        """Return what the token endpoint answers to a request with a proof."""
        headers = {} if self.token_nonce is None else {"DPoP-Nonce": self.token_nonce}
        try:
            claims = self._token_proofs.check(_proof_in(seen), seen.method, self.url + seen.path, now=seen.at)
        except BadProofError as error:
            self.refusals.append(f"proof: {error}")
            return Reply(400, {"error": "invalid_dpop_proof"}, headers)
        if self.token_nonce not in (None, claims.get("nonce")):
            self.refusals.append("nonce")
            return Reply(400, {"error": "use_dpop_nonce"}, headers)
        reply = self.issue()
        assert isinstance(reply.body, dict)
        self.bound[reply.body["access_token"]] = claims["jkt"]
        return Reply(reply.status, reply.body, headers)

    def _route(self, seen: Seen) -> Reply:
        if seen.path == "/token" and self.token_reply is None:
            return self.bind(seen)
        return super()._route(seen)

    def checked(self, seen: Seen) -> Reply:
        """Return what the API answers to a good token and proof, or the challenge of RFC 9449 §7.1 and §9."""
        reply = self._answer(seen)
        if self.nonce_per_answer:
            self.api_nonce = f"nonce-{next(self._numbers)}"
        if self.api_nonce is not None:
            reply.headers["DPoP-Nonce"] = self.api_nonce
        return reply

    def _answer(self, seen: Seen) -> Reply:
        scheme, _, token = seen.headers.get("authorization", "").partition(" ")
        if scheme != "DPoP" or self.tokens.get(token, 0.0) <= time.time():
            return self._refuse("invalid_token")
        try:
            url = self.url + seen.path
            claims = self._api_proofs.check(_proof_in(seen), seen.method, url, now=seen.at, token=token)
        except BadProofError as error:
            return self._refuse("invalid_dpop_proof", str(error))
        if claims["jkt"] != self.bound[token]:
            return self._refuse("invalid_token", "jkt")
        if self.api_nonce not in (None, claims.get("nonce")):
            return self._refuse("use_dpop_nonce")
        return Reply(200, {"path": seen.path, "query": dict(seen.query)})

    def _refuse(self, error: str, why: str = "") -> Reply:
        self.refusals.append(f"{error} {why}".strip())
        return Reply(401, {"error": error}, {"WWW-Authenticate": f'DPoP algs="ES256 EdDSA", error="{error}"'})


def claims_of(proof: str) -> dict[str, Any]:
    """Return the claims of a proof, unchecked."""
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(f"{proof.split('.')[1]}=="))
    return claims


def _proof_in(seen: Seen) -> str:
    return seen.headers.get("dpop", "")


class _Registry(jws.JWSRegistry):
    # What an RSA key takes.
    max_header_length = 1024

    def get_alg(self, name: str) -> Any:
        # Without a warning that a name has become old.
        return self.algorithms[name]


def refusal(challenge: str, **headers: str) -> Reply:
    """Return a 401 with that challenge."""
    return Reply(401, b"", {"WWW-Authenticate": challenge, **headers})


def nonce_demand(nonce: str = "n", challenge: str = 'DPoP error="use_dpop_nonce"') -> Reply:
    """Return a 401 that names a nonce."""
    return refusal(challenge, **{"DPoP-Nonce": nonce})


def header_of(proof: str) -> dict[str, Any]:
    """Return what a proof says before its signature is looked at."""
    try:
        return dict(jws.extract_compact(proof.encode(), registry=_Registry()).headers())
    except (JoseError, ValueError) as error:
        raise BadProofError("form") from error


def _want(fact: object, name: str) -> None:
    if not fact:
        raise BadProofError(name)
