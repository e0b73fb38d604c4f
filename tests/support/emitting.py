"""A program that counts, times and traces once: ``python -m tests.support.emitting CONN_ID``."""

from __future__ import annotations

import logging
import sys

from airflow_oauth_provider.telemetry import Telemetry


def main(conn_id: str) -> None:
    logging.basicConfig(stream=sys.stdout)
    telemetry = Telemetry(conn_id)
    for _ in range(2):
        telemetry.count("token_requests", outcome="unavailable")
        telemetry.time("token_request_duration", 0.25, outcome="unavailable")
        with telemetry.span("oauth2.token_request", {"url.full": "https://login.example.com/token"}):
            pass
    print("survived")  # noqa: T201  # for the test that started it


if __name__ == "__main__":
    main(sys.argv[1])
