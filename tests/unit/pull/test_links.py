from __future__ import annotations

import pytest

from airflow_oauth_provider.pull.links import link_targets


@pytest.mark.parametrize(
    ("header", "targets"),
    [
        ("", {}),
        ("nothing of the kind", {}),
        ("</a>", {}),
        ('</a>; rel=""', {}),
        ("</a>; title=next", {}),
        ("</a>; rel=next", {"next": "/a"}),
        ('</a>; rel="next"', {"next": "/a"}),
        ('</a>;rel="next"', {"next": "/a"}),
        ('  < /a >  ;  REL  =  "NEXT"  ', {"next": "/a"}),
        ('<>; rel="next"', {"next": ""}),
        ("</a>; crossorigin; rel=next", {"next": "/a"}),
        ("</a>; rel=next;", {"next": "/a"}),
        ('</a>; rel="prev next"', {"prev": "/a", "next": "/a"}),
        ('</a>; rel="\\next"', {"next": "/a"}),
        # Of two rel of a link, and of two links of a type, the first counts (RFC 8288 §3.3).
        ('</a>; rel="next"; rel="prev"', {"next": "/a"}),
        ("</a>; rel=next, </b>; rel=next", {"next": "/a"}),
        # What divides elsewhere may stand in a target and in quotes.
        ('</a;v=1?f=x,y&page=2>; rel="next"', {"next": "/a;v=1?f=x,y&page=2"}),
        ('</a?f=x, y>; rel="next"', {"next": "/a?f=x, y"}),
        ('</a>; title="a=b;c,d"; rel="next"', {"next": "/a"}),
        ('</a>; title="x, </b>; rel=next"; rel=last', {"last": "/a"}),
        ('</a>; title="\\"</b>"; rel=next', {"next": "/a"}),
        ('</a>; rel="last",</b>; rel=next', {"last": "/a", "next": "/b"}),
        ("</a>; rel=first,, </b>; rel=next", {"first": "/a", "next": "/b"}),
        ("</a>; rel=first rubbish, </b>; rel=next", {"first": "/a", "next": "/b"}),
        ('</a>; rel=first; title="never ended, </b>; rel=next', {"first": "/a"}),
        ("</a; rel=next", {}),
    ],
)
def test_links_are_read_as_rfc_8288_writes_them(header: str, targets: dict[str, str]) -> None:
    assert link_targets(header) == targets


@pytest.mark.timeout(60)
@pytest.mark.parametrize("part", ["<", "</a>;", "</a>; x=", '</a>; x="', ",", ' "', "</a>; a" * 3])
def test_a_long_header_of_rubbish_costs_no_time(part: str) -> None:
    assert link_targets(part * 20_000) == {}
