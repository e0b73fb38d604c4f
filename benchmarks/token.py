"""
What a token and a call cost: ratios within one run, against the usual script and a bare ``requests.Session``.

    python benchmarks/token.py

1. A new process takes a stored token, beyond imports; with a long secret, and with a short one (plus one scrypt).
2. ``hook.request`` on keep-alive, against a session that knows a static token.
3. Token requests of 24 processes, against the usual script: a token in a module variable.
"""

from __future__ import annotations

import sys

# This file has the name of a module of the standard library: its folder must not come first.
sys.path[0] = __file__.rpartition("/benchmarks/")[0] or "."

import json
import os
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.server import BenchmarkServer

PROJECT = Path(__file__).resolve().parent.parent
RUNS = 7
CALLS = 400
PROCESSES = 24

SECRETS = {"long secret": "a-secret-of-more-than-thirty-two-characters", "short secret": "hunter2"}


def worker(mode: str, server: BenchmarkServer, home: str, secret: str, *arguments: str) -> dict[str, Any]:
    """Run ``worker.py`` in a process of its own and return what it measured."""
    connection = {
        "conn_type": "oauth2",
        "host": f"{server.url}/token",
        "login": "benchmark",
        "password": secret,
        "extra": {"base_url": f"{server.url}/api"},
    }
    environment = os.environ | {
        "AIRFLOW_HOME": home,
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "AIRFLOW_CONN_BENCHMARK": json.dumps(connection),
    }
    command = [sys.executable, "-m", "benchmarks.worker", mode, *arguments]
    output = subprocess.run(command, cwd=PROJECT, env=environment, check=True, capture_output=True, text=True).stdout
    return dict(json.loads(output.splitlines()[-1]))


def stored_token(server: BenchmarkServer, home: str) -> None:
    """Print what a stored token costs a new process."""
    print(f"\n1. A token in a new process, beyond imports; ms, best and median of {RUNS} processes")
    for name, secret in SECRETS.items():
        worker("token", server, home, secret)  # the one token request
        runs = [worker("token", server, home, secret) for _ in range(RUNS)]
        times = sorted(run["token_ms"] for run in runs)
        scrypt = min(run["scrypt_ms"] for run in runs)
        library = min(run["library_ms"] for run in runs)
        beyond = f", of which scrypt {scrypt:.1f}" if name == "short secret" else f"  (OpenSSL's set-up: {library:.1f})"
        print(f"   stored, {name:13} {times[0]:8.2f} {median(times):8.2f}{beyond}")
    fetched = sorted(run["fetch_ms"] for run in (worker("fetch", server, home, "s" * 40) for _ in range(RUNS)))
    print(f"   fetched by a script  {fetched[0]:8.2f} {median(fetched):8.2f}  on loopback; real servers take 50-500")


def keep_alive(server: BenchmarkServer, home: str) -> None:
    """Print what the hook adds to a call."""
    print(f"\n2. A call on keep-alive: hook.request against a bare session, {RUNS} interleaved rounds of {CALLS} calls")
    run = worker("calls", server, home, SECRETS["long secret"], str(RUNS), str(CALLS))
    ratios = sorted(hook / bare for hook, bare in zip(run["hook_us"], run["bare_us"], strict=True))
    cpu = sorted(hook / bare for hook, bare in zip(run["hook_cpu_us"], run["bare_cpu_us"], strict=True))
    print(f"   best µs a call:  bare {min(run['bare_us']):.0f}, hook {min(run['hook_us']):.0f}")
    best = min(run["hook_us"]) / min(run["bare_us"])
    print(f"   hook ÷ bare:     {best:.2f} (best rounds), {median(ratios):.2f} (median of rounds)")
    print(f"   CPU, hook ÷ bare {median(cpu):.2f} (median of rounds)")


def token_requests(server: BenchmarkServer) -> None:
    """Print how many token requests cold processes make."""
    print(f"\n3. Token requests of {PROCESSES} cold processes, 4 at a time")
    for mode, name in (("fetch", "the usual script"), ("token", "OAuth2Hook")):
        with tempfile.TemporaryDirectory() as home, ThreadPoolExecutor(4) as pool:
            before = server.token_requests()
            jobs = [pool.submit(worker, mode, server, home, SECRETS["long secret"]) for _ in range(PROCESSES)]
            for job in jobs:
                job.result()
            print(f"   {name:17} {server.token_requests() - before}")


def main() -> None:
    """Run all three."""
    with tempfile.TemporaryDirectory() as home, BenchmarkServer() as server:
        stored_token(server, home)
        keep_alive(server, home)
        token_requests(server)


if __name__ == "__main__":
    main()
