from __future__ import annotations

import random

import pytest

from airflow_oauth_provider.oauth2.challenge import (
    Challenge,
    asks_for_nonce,
    error_in,
    parse_challenges,
    refuses_token,
)


@pytest.mark.statement(20)
@pytest.mark.parametrize(
    ("header", "challenges"),
    [
        ("", []),
        ("Bearer", [("bearer", {})]),
        ("BEARER", [("bearer", {})]),
        ('Bearer realm="api"', [("bearer", {"realm": "api"})]),
        ("Bearer error=invalid_token", [("bearer", {"error": "invalid_token"})]),
        ('bearer ERROR = "invalid_token"', [("bearer", {"error": "invalid_token"})]),
        (
            'Bearer realm="api", error="invalid_token", error_description="it, says \\"no\\""',
            [("bearer", {"realm": "api", "error": "invalid_token", "error_description": 'it, says "no"'})],
        ),
        (
            'Basic realm="a, b", Bearer error="invalid_token"',
            [("basic", {"realm": "a, b"}), ("bearer", {"error": "invalid_token"})],
        ),
        (
            'Bearer realm="x", DPoP algs="ES256", error="invalid_token"',
            [("bearer", {"realm": "x"}), ("dpop", {"algs": "ES256", "error": "invalid_token"})],
        ),
        ("Negotiate, NTLM", [("negotiate", {}), ("ntlm", {})]),
        ("Negotiate YWJj==, Bearer", [("negotiate", {}), ("bearer", {})]),
        (", ,Bearer,,", [("bearer", {})]),
        ('Newauth realm="apps", type=1, title="Login to \\"apps\\"", Basic realm="simple"',
         [("newauth", {"realm": "apps", "type": "1", "title": 'Login to "apps"'}), ("basic", {"realm": "simple"})]),
    ],
)  # fmt: skip
def test_several_challenges_in_one_header_are_parsed(header: str, challenges: list[tuple[str, dict[str, str]]]) -> None:
    assert parse_challenges(header) == [Challenge(scheme, parameters) for scheme, parameters in challenges]


@pytest.mark.statement(21)
@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        'Bearer error="invalid_token"',
        'bearer Error="invalid_token"',
        'Basic realm="x", Bearer realm="x", error="invalid_token"',
        'Bearer realm="a, Basic b", error="invalid_token"',
    ],
)
def test_invalid_token_and_no_challenge_at_all_refuse_the_token(header: str | None) -> None:
    assert refuses_token(header)


@pytest.mark.statement(22)
@pytest.mark.parametrize(
    "header",
    [
        'Basic realm="x"',
        'DPoP error="invalid_dpop_proof"',
        'DPoP error="use_dpop_nonce"',
        'Basic realm="Bearer error=invalid_token"',
        "Negotiate",
        'Bearer error="insufficient_scope"',
        'Bearer error="invalid_request"',
    ],
)
def test_another_scheme_or_another_complaint_does_not_refuse_the_token(header: str) -> None:
    assert not refuses_token(header)


@pytest.mark.statement(47)
@pytest.mark.parametrize(
    "header",
    [
        None,
        'DPoP error="invalid_token"',
        'dpop error="invalid_token", algs="ES256"',
        'DPoP algs="ES256 PS256"',
        'Bearer realm="x", DPoP error="invalid_token"',
        'Bearer error="insufficient_scope", dpop ERROR=invalid_token',
        'DPoP algs="ES256", DPoP error="invalid_token"',
    ],
)
def test_invalid_token_refuses_a_bound_token_and_asks_for_no_nonce(header: str | None) -> None:
    assert refuses_token(header, "dpop")
    assert not asks_for_nonce(header)


@pytest.mark.statement(44)
@pytest.mark.parametrize(
    "header",
    [
        'DPoP error="use_dpop_nonce"',
        'dpop error="use_dpop_nonce", error_description="a nonce, please"',
        'Bearer error="invalid_token", DPoP algs="ES256", error="use_dpop_nonce"',
        'Bearer realm="x",dpop error=use_dpop_nonce',
        'DPoP algs="ES256", DPoP error="use_dpop_nonce"',
    ],
)
def test_a_demand_for_a_nonce_does_not_refuse_the_token(header: str) -> None:
    assert asks_for_nonce(header)
    assert not refuses_token(header, "dpop")


@pytest.mark.statement(47)
@pytest.mark.parametrize(
    "header",
    [
        'DPoP error="invalid_dpop_proof"',
        'DPoP algs="ES256", DPoP error="invalid_dpop_proof"',
        'Bearer error="invalid_token"',
        'Bearer error="use_dpop_nonce"',
        'DPoP error="insufficient_scope", Bearer error="invalid_token"',
        'Basic realm="DPoP error=use_dpop_nonce"',
    ],
)
def test_other_complaints_neither_refuse_a_bound_token_nor_ask_for_a_nonce(header: str) -> None:
    assert not refuses_token(header, "dpop")
    assert not asks_for_nonce(header)


@pytest.mark.parametrize(
    ("header", "scheme", "error"),
    [
        (None, "dpop", None),
        ("DPoP, Bearer", "dpop", None),
        ('Bearer error="a", DPoP error="b"', "dpop", "b"),
        ('Bearer error="a", DPoP error="b"', "bearer", "a"),
        ('Basic error="c", Bearer realm="x"', "bearer", "c"),
    ],
)
def test_the_error_is_the_one_of_our_scheme_or_else_the_first(
    header: str | None, scheme: str, error: str | None
) -> None:
    assert error_in(header, scheme) == error


@pytest.mark.parametrize(
    "header",
    ['Bearer error="invalid_token', "=,=,=", '"', 'Bearer "', "Bearer =", "\x00\x01", "Bearer é", 'Bearer a="\\'],
)
def test_what_cannot_be_read_is_passed_over(header: str) -> None:
    assert all(isinstance(challenge, Challenge) for challenge in parse_challenges(header))


def test_garbage_of_any_length_is_read_to_its_end_in_no_time() -> None:
    draw = random.Random(20)
    for _ in range(300):
        header = "".join(draw.choices('Bb ,="\\\taé1/+-', k=draw.randrange(200)))
        assert len(parse_challenges(header)) <= len(header)
    for hostile in ('a="' * 50_000, "a " * 50_000, "a=" * 50_000, "," * 100_000, '"\\' * 50_000):
        assert isinstance(parse_challenges(hostile), list)
