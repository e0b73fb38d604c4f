"""One process under measurement: ``worker.py token | fetch | calls ROUNDS CALLS``; prints one line of JSON."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from typing import Any

# All that either side needs is imported before the clock starts.
import requests
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

import airflow_oauth_provider.config
import airflow_oauth_provider.connection
import airflow_oauth_provider.http.session
import airflow_oauth_provider.tokens.deadline
import airflow_oauth_provider.tokens.registry
import airflow_oauth_provider.tokens.stores.file
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook


def token() -> dict[str, Any]:
    """Take the shared token, and time scrypt alone."""
    # The cryptography package sets OpenSSL up at its first use, which is as much a part of loading it as its import.
    began = time.perf_counter()
    HKDF(algorithm=SHA256(), length=32, salt=None, info=b"").derive(b"x")
    AESGCM(bytes(32)).encrypt(bytes(12), b"x", None)
    library = time.perf_counter() - began
    hook = OAuth2Hook("benchmark")
    # Reading the connection and Airflow's configuration is Airflow's own cost; any hook pays it.
    hook.get_connection("benchmark")
    airflow_oauth_provider.config.read_config()
    began = time.perf_counter()
    hook.get_token()
    took = time.perf_counter() - began
    began = time.perf_counter()
    hashlib.scrypt(b"hunter2", salt=b"salt", n=2**14, r=8, p=1, maxmem=64 * 2**20, dklen=32)
    scrypt = time.perf_counter() - began
    return {"token_ms": took * 1000, "scrypt_ms": scrypt * 1000, "library_ms": library * 1000}


def usual_script() -> str:
    """Fetch a token as the usual script does."""
    connection = json.loads(os.environ["AIRFLOW_CONN_BENCHMARK"])
    form = {
        "grant_type": "client_credentials",
        "client_id": connection["login"],
        "client_secret": connection["password"],
    }
    return str(requests.post(connection["host"], data=form, timeout=30).json()["access_token"])


def fetch() -> dict[str, Any]:
    """Time the usual script."""
    began = time.perf_counter()
    usual_script()
    return {"fetch_ms": (time.perf_counter() - began) * 1000}


def calls(rounds: int, count: int) -> dict[str, Any]:
    """Call the same endpoint by the hook and by a bare session, in turn."""
    hook = OAuth2Hook("benchmark")
    url = json.loads(os.environ["AIRFLOW_CONN_BENCHMARK"])["extra"]["base_url"] + "/orders"
    bare = requests.Session()
    bare.headers.update({"Authorization": f"Bearer {usual_script()}", "Accept": "application/json"})
    measured: dict[str, list[float]] = {"hook_us": [], "bare_us": [], "hook_cpu_us": [], "bare_cpu_us": []}
    for _ in range(rounds + 1):
        for name in ("bare", "hook"):
            began, cpu = time.perf_counter(), time.process_time()
            for _ in range(count):
                if name == "bare":
                    bare.get(url).raise_for_status()
                else:
                    hook.request("GET", "orders")
            measured[f"{name}_us"].append((time.perf_counter() - began) / count * 1e6)
            measured[f"{name}_cpu_us"].append((time.process_time() - cpu) / count * 1e6)
    # The first round warms up.
    return {name: values[1:] for name, values in measured.items()}


if __name__ == "__main__":
    mode, *arguments = sys.argv[1:]
    measured = calls(*map(int, arguments)) if mode == "calls" else fetch() if mode == "fetch" else token()
    print(json.dumps(measured))
