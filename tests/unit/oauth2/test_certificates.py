from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.oauth2.keys import certificate_end, certificate_thumbprint, check_pair, read_certificate
from airflow_oauth_provider.oauth2.settings import KeyPair
from tests.support.keys import certificate, everything_in, made_key, pem

# RFC 8705, Appendix A.
APPENDIX_A = """\
-----BEGIN CERTIFICATE-----
MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAx
ODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwEbXRsczBZMBMGByqG
SM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ
/Au08/coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8wCgYIKoZIzj0EAwID
SQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOV
bUlJSGQgjwD5vaUaKlLR50Q2DmFfQj1L+SY=
-----END CERTIFICATE-----
"""


@pytest.mark.statement(29)
@pytest.mark.parametrize("newline", ["\n", "\r\n", " ", "", "\\n", "\\r\\n"])
def test_the_thumbprint_is_that_of_rfc_8705_appendix_a_whatever_became_of_the_newlines(newline: str) -> None:
    read = read_certificate(APPENDIX_A.replace("\n", newline), field="certificate")
    assert read == APPENDIX_A
    assert certificate_thumbprint(read) == "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"


def test_a_chain_is_kept_in_its_order_and_the_clients_own_certificate_counts() -> None:
    own, authority = certificate(made_key("P-256")), certificate(made_key("P-384"), days=30)
    chain = read_certificate(f"subject=CN = made-up\n{own}\n{authority}", field="certificate")
    assert chain == own + authority
    assert certificate_thumbprint(chain) == certificate_thumbprint(own) != certificate_thumbprint(authority)


def test_a_key_beside_the_certificate_is_left_out() -> None:
    key = made_key("P-256")
    own = certificate(key)
    assert read_certificate(pem(key) + own, field="certificate") == own


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no certificate"),
        ("/etc/keys/client.crt", "holds no certificate"),
        (APPENDIX_A.replace("-----END", "----END"), "holds no certificate"),
        (APPENDIX_A.replace("MIIBBjCB", "MIIBBjCC"), "cannot be read"),
        (APPENDIX_A.replace("bUlJSGQg", "!\ud800"), "cannot be read"),
        (APPENDIX_A + APPENDIX_A.replace("ODEyMzcw", ""), "cannot be read"),
    ],
)
def test_what_is_no_certificate_is_said(text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        read_certificate(text, field="tls_certificate_file")
    assert "tls_certificate_file" in str(caught.value)


def test_a_private_key_in_the_certificates_field_shows_nowhere_in_the_error() -> None:
    text = pem(made_key("P-256"))
    with pytest.raises(SettingsError, match="holds no certificate") as caught:
        read_certificate(text, field="certificate")
    assert text.splitlines()[1] not in everything_in(caught.value)


@pytest.mark.parametrize("kind", ["RSA", "P-256", "Ed25519"])
def test_a_certificate_belongs_to_its_own_key_alone(kind: str) -> None:
    key = made_key(kind)
    check_pair(KeyPair(pem(key), certificate(key)), key_field="private_key", certificate_field="certificate")
    check_pair(KeyPair(pem(key)), key_field="private_key", certificate_field="certificate")
    for other in (made_key("P-256", 1), made_key("P-384")):
        for chain in (certificate(other), certificate(other) + certificate(key)):
            with pytest.raises(SettingsError, match="tls_certificate and tls_key_file do not belong together"):
                check_pair(KeyPair(pem(key), chain), key_field="tls_key_file", certificate_field="tls_certificate")


@pytest.mark.parametrize("days", [-2, 3])
def test_the_end_of_a_certificate_is_known(days: int) -> None:
    ends = certificate_end(certificate(made_key("P-256"), days=days))
    assert abs(ends - datetime.now(UTC) - timedelta(days=days)) < timedelta(hours=1)
    assert certificate_end(APPENDIX_A) == datetime(2022, 5, 2, 12, 37, 9, tzinfo=UTC)
