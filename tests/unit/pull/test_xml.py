from __future__ import annotations

from typing import Any

import pytest

from airflow_oauth_provider.exceptions import ResponseFormatError
from airflow_oauth_provider.network import BrokenOffError
from tests.support.pulls import HUGE, content, records, small_limits


@pytest.mark.parametrize(
    ("body", "where", "expected"),
    [
        ("<r/>", None, [{"r": None}]),
        ('<r a="1">t</r>', None, [{"r": {"@a": "1", "#text": "t"}}]),
        ("<r><i>1</i><i>2</i></r>", "r.i", ["1", "2"]),
        ("<r><i><id>1</id></i><i><id>2</id></i></r>", "r.i", [{"id": "1"}, {"id": "2"}]),
        ("<r><o-l><i>1</i></o-l></r>", 'r."o-l".i', ["1"]),
        ("<r>&amp;&#233;</r>", "[r]", ["&é"]),
        # One element and a list of one look the same.
        ("<r><i>1</i></r>", "r.i", ["1"]),
        ('<r><i a="1"/></r>', "r.i", [{"@a": "1"}]),
        # So do no element and an empty list, as long as what would hold it is there.
        ("<r/>", "r.i", []),
        ("<r><n>0</n></r>", "r.i", []),
        ("<r><o-l/></r>", 'r."o-l".i', []),
        ("", "r.i", []),
    ],
)
def test_the_elements_at_a_path_are_the_records(body: str, where: str | None, expected: list[Any]) -> None:
    assert records(body.encode(), "xml", records=where) == expected


@pytest.mark.parametrize(("body", "where"), [("<x/>", "r.i"), ("<r>text</r>", "r.i"), ("<r><l>text</l></r>", "r.l.i")])
def test_what_has_no_place_for_the_records_is_an_error(body: str, where: str) -> None:
    with pytest.raises(ResponseFormatError, match=rf"records='{where}' is not there\. The page has the keys "):
        records(body.encode(), "xml", records=where)


@pytest.mark.parametrize(
    "body", [b"<r><i>1</i>", b"<r", b"<", b'<r a="1', b"<r><![CDATA[x", b"<r><!-- x", b"<r><i>1</i"]
)
def test_what_was_cut_is_asked_for_again(body: bytes) -> None:
    with pytest.raises(BrokenOffError, match=f"the XML broke off after {len(body)} bytes"):
        records(body, "xml")


@pytest.mark.parametrize(
    "body",
    [
        b"x",
        b'{"a": 1}',
        b"<r><i>1</r>",
        b"<r/><r/>",
        b"<r>\xff</r>",
        b'<?xml version="1.0" encoding="no-such"?><r/>',
        b'<?xml version="1.0" encoding="shift_jis"?><r/>',
        b'<!DOCTYPE r [<!ENTITY a "b">]><r>&a;</r>',
        b'<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]><r>&a;</r>',
    ],
)
def test_what_is_no_xml_or_defines_entities_is_an_error(body: bytes) -> None:
    with pytest.raises(ResponseFormatError, match=r"the body is not XML: .* It begins with: "):
        records(body, "xml")


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1", "utf-16"])
def test_an_encoding_is_named_in_the_document(encoding: str) -> None:
    body = f'<?xml version="1.0" encoding="{encoding}"?><r><i>é</i></r>'.encode(encoding)
    assert records(body, "xml", records="r.i") == ["é"]


def test_what_stands_beside_the_records_is_found() -> None:
    with content(b"<r><next>b</next><i>1</i></r>", "xml", records="r.i") as found:
        assert found.find("r.next") == "b"
        assert found.find("r.no") is None


def test_a_large_document_is_read_from_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    small_limits(monkeypatch)
    body = b"<r><i>1</i><p>" + b"x" * HUGE + b"</p><i>2</i></r>"
    assert records(body, "xml", records="r.i") == ["1", "2"]
    with pytest.raises(BrokenOffError, match=f"the XML broke off after {len(body) - 1:,} bytes"):
        records(body[:-1], "xml", records="r.i")
