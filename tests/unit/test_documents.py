"""What the documents say of tests, options and fields is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_oauth_provider.form import CONN_FIELDS
from airflow_oauth_provider.get_provider_info import CONFIG

PROJECT = Path(__file__).parents[2]
DOCUMENTS = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
NAMED_TESTS = re.findall(r"`([\w/]+\.py)::(test_\w+)`", (PROJECT / "docs/security.md").read_text(encoding="utf-8"))


def test_each_threat_names_a_test() -> None:
    table = (PROJECT / "docs/security.md").read_text(encoding="utf-8").partition("| threat |")[2].partition("\n\n")[0]
    rows = [line.split(" | ") for line in table.splitlines()[2:]]
    assert len(rows) > 15
    assert [row[0] for row in rows if "::test_" not in row[2]] == []


@pytest.mark.parametrize(("path", "name"), NAMED_TESTS, ids=[name for _, name in NAMED_TESTS])
def test_a_test_that_a_document_names_is_there(path: str, name: str) -> None:
    assert f"def {name}(" in (PROJECT / "tests" / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_a_link_between_documents_leads_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([\w-]+))?\)", text):
        linked = document.parent / target if target else document
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_every_option_and_every_field_is_documented() -> None:
    security = (PROJECT / "docs/security.md").read_text(encoding="utf-8")
    options = CONFIG["oauth2"]["options"]
    assert [name for name in options if f"AIRFLOW__OAUTH2__{name.upper()}" not in security] == []
    tables = (PROJECT / "README.md").read_text(encoding="utf-8")
    abridged = {name for name in CONN_FIELDS if name.startswith("tls_")}
    assert [name for name in CONN_FIELDS.keys() - abridged if f"`{name}`" not in tables] == []
