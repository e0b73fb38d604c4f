from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from airflow_oauth_provider.config import ProviderConfig
from airflow_oauth_provider.exceptions import SettingsError
from airflow_oauth_provider.oauth2.settings import ClientSettings
from airflow_oauth_provider.tokens import registry
from airflow_oauth_provider.tokens.source import TokenSource
from airflow_oauth_provider.tokens.stores.file import FileStore
from tests.support.made_up import client_settings

UID = str(os.geteuid())


def source(
    home: Path, settings: ClientSettings | None = None, url: str = "file://", keys: tuple[str, ...] = ()
) -> TokenSource:
    config = ProviderConfig(token_store=url, token_store_keys=keys, airflow_home=home)
    return registry.token_source(settings or client_settings(), config)


def place(url: str) -> str:
    """Return where the store lies, which is settled by its first use."""
    store = registry._stores[url, ""]
    store.read("made-up")
    return store.describe()


def test_every_hook_of_one_client_gets_the_same_source_and_another_client_another(tmp_path: Path) -> None:
    assert source(tmp_path) is source(tmp_path)
    assert source(tmp_path) is not source(tmp_path, client_settings(scope="other"))
    assert source(tmp_path) is not source(tmp_path, client_settings(client_secret="changed" * 6))
    assert source(tmp_path) is not source(tmp_path, url="memory://")
    assert source(tmp_path) is not source(tmp_path, keys=("key",))


def test_the_default_store_lies_in_airflows_home_in_a_folder_of_the_user(tmp_path: Path) -> None:
    source(tmp_path, url="file://")
    assert place("file://") == f"file://{tmp_path}/oauth2_tokens/{UID}"


@pytest.mark.parametrize("name", ["tokens", "with a blank", "ümlaut"])
def test_a_store_may_lie_in_a_named_folder(tmp_path: Path, name: str) -> None:
    url = (tmp_path / name).as_uri()
    source(tmp_path / "home", url=url)
    assert place(url) == f"{url}/{UID}"
    registry._stores[url, ""].write("made-up", b"sealed", expected=0, ttl_s=60)
    assert (tmp_path / name / UID).is_dir()
    assert not (tmp_path / "home").exists()


def test_a_memory_store_writes_no_file(tmp_path: Path) -> None:
    source(tmp_path, url="memory://")
    assert place("memory://") == "memory://"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        "rediss+tcp://user:made-up-pw@host",
        "file://host/path",
        "variable://x",
        "nonsense",
        "",
        "http://x",
        "redis://[",
        "a:b:c",
    ],
)
def test_there_is_no_other_store(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match="token_store") as caught:
        source(tmp_path, url=url)
    assert "made-up-pw" not in str(caught.value)


def test_where_airflows_home_is_not_writable_the_temporary_folder_is_used_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "home").write_text("a file, not a folder")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    source(tmp_path / "home")
    source(tmp_path / "home", client_settings(scope="other"))
    assert place("file://") == f"file://{tmp_path}/airflow-oauth2-{UID}"
    assert len([r for r in caplog.records if "Tokens cannot be kept in" in r.getMessage()]) == 1


def test_where_nothing_is_writable_tokens_stay_in_memory_and_that_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(self: FileStore, folder: Path) -> None:
        raise PermissionError(f"{folder} is not writable")

    monkeypatch.setattr(FileStore, "__init__", refuse)
    source(tmp_path)
    source(tmp_path, client_settings(scope="other"))
    assert place("file://") == "memory://"
    assert len([r for r in caplog.records if "shares its tokens with no other" in r.getMessage()]) == 1


def test_a_store_that_has_not_given_its_key_just_now_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def hang(_: FileStore) -> bytes:
        raise TimeoutError("made up")

    nothing_lasting = client_settings(client_secret="", auth_method="none")
    with monkeypatch.context() as patched:
        patched.setattr(FileStore, "own_key", hang)
        alone = source(tmp_path, nothing_lasting)
    registry._stores["file://", ""]._skipped_until = 0.0

    shared = source(tmp_path, nothing_lasting)

    assert shared is not alone
    assert shared is source(tmp_path, nothing_lasting)
    assert "token_store_key" not in caplog.text


def test_the_number_of_sources_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_MAX_SOURCES", 3)
    first = source(tmp_path, url="memory://")
    for number in range(5):
        source(tmp_path, client_settings(scope=str(number)), "memory://")
    assert len(registry._sources) == 3
    assert source(tmp_path, url="memory://") is not first


def test_a_forked_child_starts_anew(tmp_path: Path) -> None:
    source(tmp_path)
    lock = registry._lock
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, f"{len(registry._sources)} {len(registry._stores)} {registry._lock is lock}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with open(reading) as pipe:
        assert pipe.read() == "0 0 False"
    assert len(registry._sources) == 1
