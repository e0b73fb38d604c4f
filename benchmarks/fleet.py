"""
One token for a whole fleet: real processes under four homes of Airflow, with a real Redis between them.

    python benchmarks/fleet.py [cold] [steady] [secret] [api] [peers] [--processes N] [--seconds N] [--quick]

1. cold: processes of new interpreters ask for a token, all at one moment.
2. steady: tokens of five seconds under a load that does not end.
3. secret: a wrong secret, with which all of them try again and again.
4. api: an API that refuses every token.
5. peers: what the token costs once it is there, and the token requests of a few processes, by the hook and by dlt.

All processes run on this machine: where hundreds share a few cores, what takes long is often the wait for a core. An
interpreter that has imported Airflow needs some 140 MB, so for the cold ones several processes are forked from each
(``--interpreters``), before it has used the package. ``--quick`` shows that everything works, and measures nothing.
"""

from __future__ import annotations

import sys

# This folder has a module with the name of one of the standard library: it must not be searched.
sys.path.pop(0)
sys.path.insert(0, __file__.rpartition("/benchmarks/")[0] or ".")

import argparse
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import fleet_tasks
from benchmarks.fleet_processes import Fleet
from tests.support.processes import Nursery
from tests.support.servers import Reply

if TYPE_CHECKING:
    from tests.support.processes import Outcome

LIFETIME_S = 5.0
PAUSE_S, CALLS_EVERY = 0.2, 10
ASKS = (
    ("same", "outside a refresh", "< 5 ms"),
    ("refreshing", "that begins or meets a refresh", ""),
    ("other", "that brings the next token", ""),
)
CALL_PAUSE_S = 1.0
PEERS = 8

INVALID_CLIENT = Reply(401, {"error": "invalid_client"}, {"WWW-Authenticate": "Basic"})
INVALID_TOKEN = Reply(401, b"", {"WWW-Authenticate": 'Bearer error="invalid_token"'})


@dataclass(frozen=True)
class Sizes:
    """
    How much is measured.

    :param interpreters: for the cold processes
    :param seconds: of steady load
    :param warm_up_s: before that
    :param refused_s: of calls that are refused
    :param rounds: of asking for a token that is there
    """

    processes: int
    interpreters: int
    seconds: float
    warm_up_s: float = 30.0
    refused_s: float = 60.0
    rounds: int = 7


def cold(folder: Path, _: Nursery, sizes: Sizes) -> None:
    """Print how many token requests cold processes make."""
    print(f"\n1. {sizes.processes} cold processes, forked from {sizes.interpreters} new interpreters, at one moment")
    with Fleet(folder) as fleet:
        outcomes = fleet.run_cold(sizes.processes, sizes.interpreters, fleet_tasks.take_token)
        row("token requests", f"{len(fleet.server.token_requests)}", "1")
        row("different tokens", f"{len({outcome.value for outcome in outcomes})}", "1")
        row("the last one had its token after", f"{max(outcome.seconds for outcome in outcomes):.1f} s")
        problems(outcomes)


def steady(folder: Path, nursery: Nursery, sizes: Sizes) -> None:
    """Print what a steady load makes of tokens that live five seconds."""
    rate = sizes.processes / PAUSE_S
    what = f"{sizes.processes} processes ask {rate:,.0f} times a second for tokens of {LIFETIME_S:g} s"
    print(f"\n2. {what}; {sizes.seconds:,.0f} s")
    with Fleet(folder, lifetime_s=LIFETIME_S) as fleet:
        start_at = time.time() + sizes.warm_up_s
        outcomes = fleet.run(
            nursery,
            sizes.processes,
            fleet_tasks.steady_load,
            lambda number: {
                "start_at": start_at,
                "seconds": sizes.seconds,
                "pause_s": PAUSE_S,
                "calls_every": CALLS_EVERY,
                "phase": number / sizes.processes,
            },
            within_s=sizes.seconds + 300,
        )
        requests = [seen.at for seen in fleet.server.token_requests]
        ended_calls = fleet.server.ended_calls
    values = [outcome.value for outcome in outcomes if outcome.error is None]
    counted = sum(start_at <= at < start_at + sizes.seconds for at in requests)
    row("token requests per lifetime", f"{counted * LIFETIME_S / sizes.seconds:.2f}", "<= 1.40")
    row(f"of {sum(value['calls'] for value in values):,} calls with an ended token", f"{ended_calls}", "0")
    row("least life that a token had left", f"{min(value['least_s'] for value in values) * 1000:.0f} ms", "> 0")
    for kind, what, goal in ASKS:
        took_us = sorted(took for value in values for took in value["took_us"][kind])
        row(f"get_token() {what}, p99", f"{percentile(took_us, 99):.2f} ms", goal)
        row(f"   p50, p99.9 of {len(took_us):,}", f"{percentile(took_us, 50):.3f}, {percentile(took_us, 99.9):.1f} ms")
    problems(outcomes)


def secret(folder: Path, nursery: Nursery, sizes: Sizes) -> None:
    """Print how many token requests a wrong secret makes."""
    print(f"\n3. A wrong secret: {sizes.processes} processes call for {sizes.refused_s:g} s")
    with Fleet(folder) as fleet:
        fleet.server.token_reply = lambda _: INVALID_CLIENT
        refused(fleet, nursery, sizes)


def api(folder: Path, nursery: Nursery, sizes: Sizes) -> None:
    """Print how many token requests an API makes that refuses every token."""
    print(f"\n4. An API that refuses every token: {sizes.processes} processes call for {sizes.refused_s:g} s")
    with Fleet(folder) as fleet:
        fleet.server.api_reply = lambda _: INVALID_TOKEN
        refused(fleet, nursery, sizes)


def refused(fleet: Fleet, nursery: Nursery, sizes: Sizes) -> None:
    """Print what calls make that are all refused."""
    arguments = {"seconds": sizes.refused_s, "pause_s": CALL_PAUSE_S}
    outcomes = fleet.run(nursery, sizes.processes, fleet_tasks.keep_calling, lambda _: arguments)
    row("token requests", f"{len(fleet.server.token_requests)}", "<= 3")
    errors: Counter[str] = sum((Counter(outcome.value) for outcome in outcomes), Counter())
    for name, count in errors.items():
        row(f"calls that ended in {name}", f"{count:,}")
    problems(outcomes)


def peers(folder: Path, nursery: Nursery, sizes: Sizes) -> None:
    """Print what a token costs beside dlt's, whose token belongs to the process."""
    if find_spec("dlt") is None:
        print("\n5. dlt is not installed.")
        return
    print(f"\n5. Beside dlt's OAuth2ClientCredentials; best of {sizes.rounds} rounds in one process")
    with Fleet(folder) as fleet:
        (outcome,) = fleet.run(nursery, 1, fleet_tasks.cost_of_asking, lambda _: {"rounds": sizes.rounds})
        row("hook.get_token()", f"{outcome.value['hook']:.1f} µs")
        row("a request authorized by hook.auth", f"{outcome.value['hook_auth']:.1f} µs")
        row("a request authorized by dlt", f"{outcome.value['dlt_auth']:.1f} µs")
    for name, function in (("OAuth2Hook", fleet_tasks.take_token), ("dlt", fleet_tasks.call_by_dlt)):
        with Fleet(folder) as fleet:
            processes = min(PEERS, sizes.processes)
            fleet.run(nursery, processes, function)
            row(f"token requests of {processes} cold processes, {name}", f"{len(fleet.server.token_requests)}")


def row(what: str, measured: str, goal: str = "") -> None:
    """Print one line of the table."""
    print(f"   {what:60}{measured:>18}{f'   goal {goal}' if goal else ''}", flush=True)


def problems(outcomes: list[Outcome]) -> None:
    """Print what went wrong, one example of each kind."""
    errors = Counter(outcome.message for outcome in outcomes if outcome.error is not None)
    warnings = Counter(line for outcome in outcomes for line in outcome.log if not line.startswith("INFO"))
    for text, count in (*errors.most_common(3), *warnings.most_common(3)):
        print(f"   {count} x {text[:200]}")


def percentile(sorted_us: list[int], percent: float) -> float:
    """Return a percentile in milliseconds; NaN of nothing."""
    if not sorted_us:
        return float("nan")
    return sorted_us[min(len(sorted_us) - 1, int(len(sorted_us) * percent / 100))] / 1000


PARTS = {"cold": cold, "steady": steady, "secret": secret, "api": api, "peers": peers}


def main() -> None:
    """Run the parts that were asked for."""
    arguments = parsed()
    sizes = Sizes(arguments.processes, min(arguments.interpreters, arguments.processes), arguments.seconds)
    if arguments.quick:
        sizes = Sizes(4, 2, seconds=5.0, warm_up_s=2.0, refused_s=1.0, rounds=1)
    with tempfile.TemporaryDirectory(prefix="fleet-") as folder, Nursery() as nursery:
        for name in arguments.parts or PARTS:
            PARTS[name](Path(folder, name), nursery, sizes)


def parsed() -> Any:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="default: all")
    parser.add_argument("--processes", type=int, default=200)
    parser.add_argument("--interpreters", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=600.0, help="of steady load")
    parser.add_argument("--quick", action="store_true", help="show that everything works; measures nothing")
    return parser.parse_args()


if __name__ == "__main__":
    main()
