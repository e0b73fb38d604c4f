from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_oauth_provider.exceptions import AssertionUnavailableError, SettingsError
from airflow_oauth_provider.files import MAX_BYTES, read_below, read_named
from tests.support.keys import everything_in

TEXT = "made-up text\n"


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "client.pem").write_text(TEXT)
    (tmp_path / "outside.pem").write_text("what nobody may read\n")
    return folder


def read(path: Path | str, *folders: Path | str) -> str:
    return read_below(str(path), tuple(map(str, folders)), field="key_file")


def test_a_file_below_an_allowed_folder_is_read(keys: Path, tmp_path: Path) -> None:
    (keys / "deeper").mkdir()
    (keys / "deeper" / "other.pem").write_bytes(b"\xef\xbb\xbfother")
    assert read(keys / "client.pem", tmp_path / "no such folder", f"{keys}/") == TEXT
    assert read(keys / "deeper" / "other.pem", keys) == "other"


def test_links_are_resolved_on_both_sides(keys: Path, tmp_path: Path) -> None:
    (tmp_path / "link to the folder").symlink_to(keys)
    (keys / "link.pem").symlink_to("client.pem")
    assert read(tmp_path / "link to the folder" / "link.pem", keys) == TEXT
    assert read(keys / "client.pem", tmp_path / "link to the folder") == TEXT


def test_a_link_that_is_replaced_while_it_is_followed_is_followed_again(
    keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, resolve = str(keys / "client.pem"), os.path.realpath
    failures = [FileNotFoundError(errno.ENOENT, "made up"), OSError(errno.EINVAL, "made up")]

    def replaced_meanwhile(of: str) -> str:
        if of == path and failures:
            raise failures.pop()
        return resolve(of)

    monkeypatch.setattr(os.path, "realpath", replaced_meanwhile)
    assert read(path, keys) == TEXT
    failures.extend(FileNotFoundError(errno.ENOENT, "made up") for _ in range(3))
    with pytest.raises(SettingsError, match=r"key_file.*is not there"):
        read(path, keys)


@pytest.mark.parametrize("content", ["made-up-secret".encode("utf-16"), b"\xff made-up-secret"])
def test_what_is_no_text_is_carried_along_by_no_error(keys: Path, content: bytes) -> None:
    (keys / "client.der").write_bytes(content)
    with pytest.raises(SettingsError, match="is not text") as caught:
        read(keys / "client.der", keys)
    assert repr(content)[5:20] not in everything_in(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("way", ["direct", "dots", "link", "folder link", "beside"])
def test_a_file_elsewhere_is_not_read_and_nobody_learns_whether_it_exists(
    keys: Path, tmp_path: Path, way: str, there: bool
) -> None:
    outside = tmp_path / ("outside.pem" if there else "nothing.pem")
    (keys / "link.pem").symlink_to(outside)
    (keys / "folder").symlink_to(tmp_path)
    beside = tmp_path / "keys-of-others"
    beside.mkdir()
    if there:
        (beside / "a.pem").write_text("what nobody may read")
    paths: dict[str, Path | str] = {
        "direct": outside,
        "dots": f"{keys}/../{outside.name}",
        "link": keys / "link.pem",
        "folder link": keys / "folder" / outside.name,
        "beside": beside / "a.pem",
    }
    path = paths[way]

    with pytest.raises(SettingsError) as refused:
        read(path, keys)

    assert str(refused.value) == (
        f"key_file: {str(path)!r} is not below a folder of [oauth2] key_folders, links resolved. "
        "Ask those who run this Airflow to add its folder."
    )


def test_without_folders_nothing_is_read(keys: Path) -> None:
    with pytest.raises(SettingsError, match="key_folders"):
        read(keys / "client.pem")


@pytest.mark.parametrize("folder", ["/", "//", "/proc", "/proc/self/..", "/dev", "/sys", "relative", "~/keys", ""])
def test_a_folder_that_is_none_for_keys_is_refused(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/etc")
    with pytest.raises(SettingsError, match="is not the absolute path of a folder for keys"):
        read("/proc/self/environ", folder)


@pytest.mark.parametrize("path", ["client.pem", "~/client.pem", "", "/a\0b", "-----BEGIN PRIVATE KEY-----\nMII"])
def test_only_absolute_paths_are_read_and_others_may_be_secrets(keys: Path, path: str) -> None:
    with pytest.raises(SettingsError, match=r"^key_file is not an absolute path\.$"):
        read(path, keys)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "is not there on this machine"),
        (lambda path: path.mkdir(), "it is no plain file"),
        (os.mkfifo, "it is no plain file"),
        (lambda path: path.write_bytes(b"x" * (MAX_BYTES + 1)), "has more than 64 KiB"),
        (lambda path: path.write_bytes(b"\xff\xfe\x00made up"), "is not text"),
    ],
)
@pytest.mark.parametrize("problem", [SettingsError, AssertionUnavailableError])
def test_what_cannot_be_read_is_one_clear_error_of_the_kind_that_was_asked_for(
    keys: Path, make: Callable[[Path], object], said: str, problem: type[SettingsError]
) -> None:
    path = keys / "odd.pem"
    make(path)
    readers: list[Callable[[], str]] = [
        lambda: read_below(str(path), (str(keys),), field="key_file", problem=problem),
        lambda: read_named(str(path), field="key_file", problem=problem),
    ]
    for reader in readers:
        with pytest.raises(problem, match=said) as refused:
            reader()
        assert "made up" not in str(refused.value)
        assert refused.value.__cause__ is None


def test_a_file_of_64_kib_is_read(keys: Path) -> None:
    (keys / "client.pem").write_text("x" * MAX_BYTES)
    assert read(keys / "client.pem", keys) == "x" * MAX_BYTES


def test_a_volume_that_is_replaced_while_it_is_read_is_looked_up_again(
    keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Kubernetes does it: a link to a folder with a new name, and the old folder is gone."""
    for name in ("one", "two"):
        (keys / name).mkdir()
        (keys / name / "assertion").write_text(name)
    (keys / "data").symlink_to("one")
    open_file = os.open

    def replaced_just_now(path: str, *arguments: int) -> int:
        if "/one/" in str(path):
            (keys / "one" / "assertion").unlink()
            (keys / "new").symlink_to("two")
            (keys / "new").rename(keys / "data")
        return open_file(path, *arguments)

    monkeypatch.setattr(os, "open", replaced_just_now)
    assert read(keys / "data" / "assertion", keys) == "two"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="not applicable: this system does not tell")
def test_a_folder_that_becomes_a_link_between_looking_and_opening_is_noticed(
    keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (keys / "deeper").mkdir()
    (keys / "deeper" / "outside.pem").write_text(TEXT)
    open_file = os.open

    def swapped_just_now(path: str, *arguments: int) -> int:
        (keys / "deeper").rename(keys / "put aside")
        (keys / "deeper").symlink_to(tmp_path)
        return open_file(path, *arguments)

    monkeypatch.setattr(os, "open", swapped_just_now)
    with pytest.raises(SettingsError, match="is not below a folder"):
        read(keys / "deeper" / "outside.pem", keys)
