from __future__ import annotations

import os
import signal
import ssl
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from urllib3.util.ssl_ import create_urllib3_context

from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.network import misconfiguration
from airflow_oauth_provider.oauth2.settings import KeyPair
from airflow_oauth_provider.tls import ClientCertificateAdapter, client_context
from tests.support.certificates import Authority, self_signed_pair
from tests.support.keys import everything_in, made_key, pem

if TYPE_CHECKING:
    from collections.abc import Callable

PAIR = self_signed_pair()


def body_of(key: str) -> str:
    """Return what nobody else may see of a key."""
    return "".join(key.splitlines()[1:-1])


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return Authority.make(tmp_path, "ours")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where temporary files are made."""
    made = tmp_path / "tmp"
    made.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(made))
    return made


@pytest.fixture
def on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run where there are no files in memory."""
    monkeypatch.delattr(os, "memfd_create", raising=False)


def while_loading(monkeypatch: pytest.MonkeyPatch, look: Callable[[Path], object]) -> None:
    """Call *look* with the file from which OpenSSL is about to load a certificate."""
    load = ssl.SSLContext.load_cert_chain

    def watched(self: ssl.SSLContext, certfile: str, **kwargs: Any) -> None:
        look(Path(certfile))
        load(self, certfile, **kwargs)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", watched)


# What a context is like -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verify", [True, False, "bundle", "folder"])
def test_but_for_the_certificate_a_context_is_the_one_that_urllib3_makes(ours: Authority, verify: bool | str) -> None:
    path = {"bundle": str(ours.bundle), "folder": str(ours.folder)}.get(str(verify), verify)
    usual = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED if verify else ssl.CERT_NONE)

    context = client_context(PAIR, verify=path)

    for setting in ("minimum_version", "maximum_version", "options", "verify_flags", "verify_mode", "check_hostname"):
        assert getattr(context, setting) == getattr(usual, setting), setting
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.post_handshake_auth == usual.post_handshake_auth
    assert [cipher["name"] for cipher in context.get_ciphers()] == [cipher["name"] for cipher in usual.get_ciphers()]


def test_the_bundle_says_who_is_trusted(ours: Authority) -> None:
    assert len(client_context(PAIR, verify=str(ours.bundle)).get_ca_certs()) == 1
    assert len(client_context(PAIR, verify=True).get_ca_certs()) > 10
    assert client_context(PAIR, verify=False).get_ca_certs() == []


def test_a_context_is_made_once_for_a_certificate_and_a_bundle(ours: Authority) -> None:
    context = client_context(PAIR, verify=str(ours.bundle))

    assert client_context(KeyPair(PAIR.private_key, PAIR.certificate), verify=str(ours.bundle)) is context
    assert client_context(PAIR, verify=False) is not context
    assert client_context(self_signed_pair(), verify=str(ours.bundle)) is not context


def test_contexts_that_are_kept_are_bounded() -> None:
    first = client_context(PAIR, verify=False)
    others = [KeyPair(PAIR.private_key, f"{PAIR.certificate}\n{number}") for number in range(40)]

    contexts = {client_context(pair, verify=False) for pair in others}

    assert len(contexts) == len(others)
    assert client_context(PAIR, verify=False) is not first


def test_a_bundle_that_was_replaced_is_read_anew(ours: Authority) -> None:
    before = client_context(PAIR, verify=str(ours.bundle))
    other = Authority.make(ours.folder, "other")
    other.bundle.replace(ours.bundle)

    after = client_context(PAIR, verify=str(ours.bundle))

    assert ["other of a test" in str(authority) for authority in after.get_ca_certs()] == [True]
    assert after is not before


def test_a_child_makes_contexts_of_its_own() -> None:
    """A lock inside of a context may have been held when the process forked."""
    parents = client_context(PAIR, verify=False)
    child = os.fork()
    if child == 0:
        os._exit(0 if client_context(PAIR, verify=False) is not parents else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert client_context(PAIR, verify=False) is parents


# What cannot be used --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("certificate", "words"),
    [
        (self_signed_pair(number=1).certificate, "does not belong to the private key"),
        (self_signed_pair(kind="RSA").certificate, "does not belong to the private key"),
        ("-----BEGIN CERTIFICATE-----\nbm9uZQ==\n-----END CERTIFICATE-----\n", "OpenSSL says"),
        (None, "OpenSSL says"),
    ],
)
def test_a_certificate_that_cannot_be_shown_is_a_matter_of_its_fields(certificate: str | None, words: str) -> None:
    pair = KeyPair(PAIR.private_key, certificate)

    with pytest.raises(SettingsError, match=words) as caught:
        client_context(pair, verify=False)

    assert "tls_certificate" in str(caught.value)
    assert body_of(PAIR.private_key)[:20] not in everything_in(caught.value)


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_ca_bundle_that_is_none_is_still_a_matter_of_verify(tmp_path: Path, content: str | None) -> None:
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_text(content)

    with pytest.raises(OSError) as caught:  # noqa: PT011  # ours or ssl's
        client_context(PAIR, verify=str(bundle))

    assert "check verify" in (misconfiguration(caught.value) or "")


def test_a_certificate_of_the_callers_own_is_refused(tmp_path: Path) -> None:
    adapter = ClientCertificateAdapter(PAIR)
    request = requests.Request("GET", "https://api.example.com/").prepare()

    with pytest.raises(SettingsError, match="cert cannot be given"):
        adapter.build_connection_pool_key_attributes(request, True, str(tmp_path / "their.pem"))


def test_plain_http_takes_no_certificate_along_which_an_https_proxy_would_see() -> None:
    request = requests.Request("GET", "http://api.example.com/").prepare()

    _, tls = ClientCertificateAdapter(PAIR).build_connection_pool_key_attributes(request, True)

    assert tls.get("ssl_context") is None


# Where the key is meanwhile -------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="not applicable: no files in memory on this system")
def test_the_key_is_never_on_a_disk(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[os.stat_result] = []
    while_loading(monkeypatch, lambda path: seen.append(path.stat()))

    client_context(self_signed_pair(), verify=False)

    assert [found.st_nlink for found in seen] == [0]
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("on_disk")
def test_where_it_must_be_on_one_it_is_encrypted_ours_alone_and_gone_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = self_signed_pair()
    seen: list[tuple[Path, int, str]] = []
    while_loading(
        monkeypatch, lambda path: seen.append((path.parent, stat.S_IMODE(path.stat().st_mode), path.read_text()))
    )

    context = client_context(pair, verify=False)

    [(parent, mode, text)] = seen
    assert (parent, mode) == (folder, 0o600)
    assert "BEGIN ENCRYPTED PRIVATE KEY" in text
    assert body_of(pair.private_key)[40:80] not in text
    assert list(folder.iterdir()) == []
    assert client_context(pair, verify=False) is context


@pytest.mark.usefixtures("on_disk")
def test_a_certificate_that_is_refused_leaves_no_file_behind(folder: Path) -> None:
    with pytest.raises(SettingsError):
        client_context(KeyPair(pem(made_key("P-384")), PAIR.certificate), verify=False)

    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("on_disk")
def test_what_a_process_leaves_behind_that_is_killed_meanwhile_is_of_no_use(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = self_signed_pair()
    while_loading(monkeypatch, lambda _: os.kill(os.getpid(), signal.SIGKILL))
    child = os.fork()
    if child == 0:
        client_context(pair, verify=False)
        os._exit(1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    [left] = folder.iterdir()
    monkeypatch.undo()
    with pytest.raises(ssl.SSLError):
        ssl.create_default_context().load_cert_chain(left, password="made-up")
    assert body_of(pair.private_key)[40:80] not in left.read_text()
