"""
What it costs to pull many pages and large bodies: ratios within one run, against bare ``requests`` and the peers.

    python benchmarks/paging.py [pages] [concurrency] [bodies] [sql] [--rounds N] [--quick]

1. pages: 1,000 pages of 100 records, 24.5 kB of JSON each, by a Link header and by a cursor, over HTTP and over TLS.
2. concurrency: pages that take 20 ms, one after the other and eight at a time.
3. bodies: one body of 263 MB as JSON, NDJSON and CSV into gzipped JSONL.
4. sql: 1,000 pages of 1,000 records into SQLite and PostgreSQL.

Every figure comes from a process of its own, after a warm-up; a round runs all sides in turn. CPU and time are the
best of all rounds, growth of memory is the worst. ``--quick`` shows that everything works, and measures nothing.
"""

from __future__ import annotations

import sys

# This folder has a module with the name of one of the standard library: it must not be searched.
sys.path.pop(0)
sys.path.insert(0, __file__.rpartition("/benchmarks/")[0] or ".")

import argparse
import json
import os
import subprocess
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.paging_clients import CLIENTS, PAGE_SIZE
from benchmarks.paging_server import BODIES, BODY_RECORD_BYTES, LATENCY_S, RECORD_BYTES, PagingServer
from benchmarks.server import BenchmarkServer
from tests.support.postgres import Postgres, binaries

PROJECT = Path(__file__).resolve().parent.parent
BARE, OURS = "bare requests.Session", "OAuth2Hook.pages"
# A bare session looks through all variables for proxies, twice a request: the fewer there are, the faster it is.
INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH")
IN_FLIGHT = (1, 8)
COLUMNS = "CPU ÷ bare    median   time ÷ bare   growth MiB      records"

Measured = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Sizes:
    """How much is pulled: pages, slow pages, and blocks of a thousand records."""

    rounds: int = 5
    pages: int = 1000
    slow_pages: int = 400
    blocks: int = 1000


@dataclass
class Bench:
    """
    Servers, and processes under measurement.

    :param token_url: of a token endpoint on loopback
    :param connections: further connections of Airflow, as its environment holds them
    """

    api: PagingServer
    token_url: str
    home: str
    sizes: Sizes
    connections: dict[str, str] = field(default_factory=dict)

    def pull(self, client: str, kind: str, pages: int, *, concurrency: int = 1, scheme: str = "http") -> dict[str, Any]:
        """Return what a client measured, and over how many connections it pulled."""
        path = f"/api/{pages}x{PAGE_SIZE}/{kind}"
        before = self.api.connections(path)
        measured = self.run("paging_clients", client, kind, pages, concurrency, scheme=scheme)
        return {**measured, "connections": self.api.connections(path) - before}

    def run(self, module: str, *arguments: object, scheme: str = "http") -> dict[str, Any]:
        """Return what a process of its own measured."""
        command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]
        environment = self._environment(self.api.urls[scheme])
        done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command[2:])} failed:\n{done.stdout[-1000:]}{done.stderr[-3000:]}")
        return dict(json.loads(done.stdout.splitlines()[-1]))

    def in_turn(self, sides: dict[str, partial[dict[str, Any]]]) -> Measured:
        """Run all sides round by round, and return what each measured."""
        measured: Measured = {name: [] for name in sides}
        for _ in range(self.sizes.rounds):
            for name, run in sides.items():
                measured[name].append(run())
        return measured

    def _environment(self, base_url: str) -> dict[str, str]:
        ours = {"conn_type": "oauth2", "host": self.token_url, "login": "benchmark", "password": "made-up " * 5}
        peer = {"conn_type": "http", "host": base_url, "extra": {"Authorization": "Bearer of-a-connection"}}
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        return {
            **inherited,
            "AIRFLOW_HOME": self.home,
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
            "AIRFLOW_CONN_BENCHMARK": json.dumps({**ours, "extra": {"base_url": base_url}}),
            "AIRFLOW_CONN_PEER": json.dumps(peer),
            "BENCHMARK_API": base_url,
            "REQUESTS_CA_BUNDLE": self.api.ca_bundle,
            **self.connections,
        }


def pages(bench: Bench) -> None:
    """Print what a page costs."""
    count, rounds = bench.sizes.pages, bench.sizes.rounds
    print(f"\n1. {count:,} pages of {PAGE_SIZE} records, {RECORD_BYTES} bytes each; {rounds} rounds")
    clients = [name for name, (_, package) in CLIENTS.items() if find_spec(package)]
    for scheme in bench.api.urls:
        for kind, title in (("link", "Link header"), ("cursor", "cursor in the body")):
            sides = {name: partial(bench.pull, name, kind, count, scheme=scheme) for name in clients}
            measured = bench.in_turn(sides)
            print(f"\n   {f'{scheme}, {title}':28}{COLUMNS}  connections      pages/s")
            for name, runs in measured.items():
                connections, rate = highest(runs, "connections"), count / lowest(runs, "seconds")
                print(f"   {name:28}{columns(runs, measured[BARE])} {connections:12.0f} {rate:12.0f}")


def concurrency(bench: Bench) -> None:
    """Print what requests side by side bring; the clients check the order of the records."""
    count, rounds = bench.sizes.slow_pages, bench.sizes.rounds
    print(f"\n2. {count:,} pages that take {LATENCY_S * 1000:.0f} ms each, in order; {rounds} rounds")
    sides = {f"{n} in flight": partial(bench.pull, OURS, "slow", count, concurrency=n) for n in IN_FLIGHT}
    measured = bench.in_turn(sides)
    print(f"\n   {'OAuth2Hook.pages':26}pages/s ÷ serial     pages/s   growth MiB      records  connections")
    serial = lowest(next(iter(measured.values())), "seconds")
    for name, runs in measured.items():
        seconds, growth = lowest(runs, "seconds"), highest(runs, "growth_mib")
        print(
            f"   {name:26}{serial / seconds:16.2f} {count / seconds:11.0f} {growth:12.1f}"
            f" {lowest(runs, 'records'):12.0f} {highest(runs, 'connections'):12.0f}"
        )


def bodies(bench: Bench) -> None:
    """Print what one large body into a gzipped file costs."""
    blocks, rounds = bench.sizes.blocks, bench.sizes.rounds
    print(f"\n3. One body of {blocks * BODY_RECORD_BYTES / 1000:,.0f} MB into gzipped JSONL; {rounds} rounds")
    for kind in BODIES:
        compare(bench, kind, "OAuth2HttpToObjectStorageOperator", kind)


def sql(bench: Bench) -> None:
    """Print what a million rows cost."""
    blocks, rounds = bench.sizes.blocks, bench.sizes.rounds
    print(f"\n4. {blocks:,} pages of 1,000 records into a table; {rounds} rounds")
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        sqlite = {"conn_type": "sqlite", "host": f"{folder}/benchmark.db"}
        bench.connections["AIRFLOW_CONN_SQLITE"] = json.dumps(sqlite)
        compare(bench, "SQLite", "OAuth2HttpToSqlOperator", "sqlite")
        if (installed := binaries()) is None:
            print("\n   PostgreSQL is not installed.")
            return
        bench.connections["AIRFLOW_CONN_POSTGRES"] = stack.enter_context(Postgres(installed)).connection()
        compare(bench, "PostgreSQL", "OAuth2HttpToSqlOperator", "postgres")


def compare(bench: Bench, title: str, operator: str, target: str) -> None:
    """Print what our operator costs beside the usual script."""
    measured = bench.in_turn(
        {
            "the usual script": partial(bench.run, "paging_transfers", "script", target, bench.sizes.blocks),
            operator: partial(bench.run, "paging_transfers", "ours", target, bench.sizes.blocks),
        }
    )
    print(f"\n   {title:35}{COLUMNS.replace('bare', 'usual')}")
    for name, runs in measured.items():
        print(f"   {name:35}{columns(runs, measured['the usual script'])}")


def columns(runs: list[dict[str, Any]], base: list[dict[str, Any]]) -> str:
    """Return the figures of *runs*, those of time as ratios to *base*: best by best, and the median of the rounds."""
    ratios = [run["cpu_s"] / other["cpu_s"] for run, other in zip(runs, base, strict=True)]
    cpu, seconds = (lowest(runs, name) / lowest(base, name) for name in ("cpu_s", "seconds"))
    growth, records = highest(runs, "growth_mib"), lowest(runs, "records")
    return f"{cpu:10.2f} {median(ratios):9.2f} {seconds:13.2f} {growth:12.1f} {records:12.0f}"


def lowest(runs: list[dict[str, Any]], name: str) -> float:
    """Return the lowest figure of a name."""
    return float(min(run[name] for run in runs))


def highest(runs: list[dict[str, Any]], name: str) -> float:
    """Return the highest figure of a name."""
    return float(max(run[name] for run in runs))


PARTS = {part.__name__: part for part in (pages, concurrency, bodies, sql)}


def main() -> None:
    """Run the parts that are named, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("parts", nargs="*", help=", ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=Sizes.rounds)
    parser.add_argument("--quick", action="store_true", help="show that everything works, and measure nothing")
    given = parser.parse_args()
    if unknown := sorted(set(given.parts) - set(PARTS)):
        parser.error(f"{unknown[0]} is none of {', '.join(PARTS)}")
    sizes = Sizes(rounds=1, pages=20, slow_pages=20, blocks=20) if given.quick else Sizes(rounds=given.rounds)
    with tempfile.TemporaryDirectory() as home, PagingServer() as api, BenchmarkServer() as tokens:
        bench = Bench(api, f"{tokens.url}/token", home, sizes)
        for name in given.parts or PARTS:
            PARTS[name](bench)


if __name__ == "__main__":
    main()
