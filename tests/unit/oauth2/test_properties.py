"""Whatever a connection or a server writes: an assertion says it, and challenges are what the server meant."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import string
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_oauth_provider.oauth2.assertion import claims_of, client_assertion
from airflow_oauth_provider.oauth2.challenge import Challenge, parse_challenges
from tests.support.made_up import attempt, client_settings

bounded = settings(
    max_examples=200,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)

HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}
FILLED = st.text(min_size=1, max_size=40)

# RFC 9110 §5.6.2, §5.6.4, §11.2.
TOKEN = st.text(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~", min_size=1, max_size=12)
TOKEN68 = st.from_regex(r"[A-Za-z0-9._~+/-]{1,20}={0,2}", fullmatch=True)
QUOTABLE = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f", exclude_categories=["Cc"]),
    max_size=20,
)
COMMA = st.sampled_from([",", ", ", " ,", ",\t", ", ,"])
EQUALS = st.sampled_from(["=", " = ", "= ", " ="])


def quoted(value: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'


@st.composite
def written_challenges(draw: st.DrawFn) -> tuple[str, list[Challenge]]:
    """Make a header, and what it means."""
    written: list[str] = []
    meant: list[Challenge] = []
    for scheme in draw(st.lists(TOKEN, max_size=4)):
        parameters: dict[str, str] = {}
        kind = draw(st.sampled_from(["bare", "token68", "parameters"]))
        text = scheme
        if kind == "token68":
            text += " " + draw(TOKEN68)
        elif kind == "parameters":
            names = draw(st.lists(TOKEN, min_size=1, max_size=4, unique_by=str.lower))
            parameters = {name: draw(TOKEN | QUOTABLE) for name in names}
            text += " " + draw(COMMA).join(
                f"{name}{draw(EQUALS)}{draw_value(draw, value)}" for name, value in parameters.items()
            )
        written.append(text)
        meant.append(Challenge(scheme.lower(), {name.lower(): value for name, value in parameters.items()}))
    return draw(COMMA).join(written), meant


def draw_value(draw: st.DrawFn, value: str) -> str:
    is_token = re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", value)
    return value if is_token and draw(st.booleans()) else quoted(value)


@pytest.mark.statement(20)
@bounded
@given(made=written_challenges())
def test_challenges_that_are_written_by_the_rfc_are_read(made: tuple[str, list[Challenge]]) -> None:
    header, meant = made
    assert parse_challenges(header) == meant


@pytest.mark.statement(20)
@bounded
@given(
    header=st.one_of(
        st.text(max_size=200),
        st.text('BbDP ,="\\\t/+-1é\r\n\0', max_size=200),
        st.tuples(written_challenges(), st.integers(0, 200), FILLED).map(
            lambda made: made[0][0][: made[1]] + made[2] + made[0][0][made[1] :]
        ),
    )
)
def test_no_header_is_too_odd_to_be_read(header: str) -> None:
    for challenge in parse_challenges(header):
        assert challenge.scheme
        assert challenge.scheme in header.lower()
        assert all(name == name.lower() for name in challenge.parameters)


def part(text: str) -> Any:
    assert re.fullmatch(r"[A-Za-z0-9_-]+", text)
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


@pytest.mark.statement(26)
@pytest.mark.statement(29)
@bounded
@given(client_id=FILLED, secret=FILLED, key_id=FILLED, audience=FILLED, algorithm=st.sampled_from(sorted(HASHES)))
def test_an_assertion_says_what_the_connection_says(
    client_id: str, secret: str, key_id: str, audience: str, algorithm: str
) -> None:
    client = client_settings(
        auth_method="client_secret_jwt",
        client_id=client_id,
        client_secret=secret,
        key_id=key_id,
        assertion_audience=f"={audience}",
        signing_algorithm=algorithm,
    )
    assertion = client_assertion(client, attempt())
    header, claims, signature = assertion.split(".")
    assert part(header) == {"typ": "client-authentication+jwt", "kid": key_id, "alg": algorithm}
    assert (part(claims)["iss"], part(claims)["sub"], part(claims)["aud"]) == (client_id, client_id, f"={audience}")
    digest = hmac.new(secret.encode(), f"{header}.{claims}".encode(), HASHES[algorithm]).digest()
    assert base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4)) == digest
    assert claims_of(assertion) == {"iss": client_id, "sub": client_id, "aud": f"={audience}"}


@bounded
@given(text=st.one_of(st.text(max_size=60), st.text("ey.J0In{}[]=-_", max_size=60)))
def test_no_text_is_too_odd_to_be_no_assertion(text: str) -> None:
    assert set(claims_of(text)) <= {"iss", "sub", "aud"}
