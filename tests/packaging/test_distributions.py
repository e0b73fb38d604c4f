"""The built wheel and sdist: what they hold, and that the wheel works in an environment of its own."""

from __future__ import annotations

import email
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


def build(kind: str, folder: Path) -> Path:
    """Build a distribution with the build backend that is installed here."""
    command = [sys.executable, "-m", "build", f"--{kind}", "--no-isolation", "--outdir", str(folder), str(PROJECT)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return next(folder.iterdir())


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", tmp_path_factory.mktemp("sdist"))


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.partition("/")[0] for name in names}
    modules = {str(path.relative_to(PROJECT)) for path in (PROJECT / "airflow_oauth_provider").rglob("*.py")}

    assert top == {"airflow_oauth_provider", next(n for n in top if n.endswith(".dist-info"))}
    assert {name for name in names if name.endswith(".py")} == modules
    assert "airflow_oauth_provider/py.typed" in names
    page = {
        f"airflow_oauth_provider/ui/page/{path.name}" for path in (PROJECT / "airflow_oauth_provider/ui/page").iterdir()
    }
    assert {"airflow_oauth_provider/ui/page/index.html"} < page <= set(names)


def test_the_metadata_names_licence_python_and_every_dependency(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    name = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
    metadata = email.message_from_bytes(archive.read(name))
    required = {line.split(";")[0].strip() for line in metadata.get_all("Requires-Dist", []) if "extra" not in line}

    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert {requirement.split(">")[0].split("<")[0] for requirement in required} == {
        "apache-airflow",
        "apache-airflow-providers-common-compat",
        "apache-airflow-providers-common-sql",
        "cryptography",
        "filelock",
        "ijson",
        "jmespath",
        "msgspec",
        "pyjwt",
        "requests",
        "tenacity",
        "urllib3",
    }


def test_the_sdist_holds_what_is_needed_to_build_test_and_read(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    for needed in ("LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "setup.cfg", "Makefile", "docs/tokens.md"):
        assert needed in names
    assert any(name.startswith("tests/unit/") for name in names)
    assert not any(name.startswith((".venv", ".demo", ".cache")) or "__pycache__" in name for name in names)


def test_airflow_finds_the_provider_of_the_installed_wheel(wheel: Path, tmp_path: Path) -> None:
    """The wheel in a folder of its own, ahead of the checkout, with Airflow from this environment."""
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    program = (
        "import json, airflow_oauth_provider\n"
        "from airflow.providers_manager import ProvidersManager\n"
        "hook = ProvidersManager().hooks['oauth2']\n"
        "print(json.dumps([airflow_oauth_provider.__file__, hook.hook_name, hook.hook_class_name]))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(site), "AIRFLOW_HOME": str(tmp_path / "home")}
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
    )
    file, name, hook_class = json.loads(run.stdout.splitlines()[-1])

    assert Path(file).is_relative_to(site)
    assert name == "OAuth 2.0 API"
    assert hook_class == "airflow_oauth_provider.hooks.oauth2.OAuth2Hook"
