"""One PostgreSQL for all tests, a schema for each, and the connection *warehouse* to it, by both drivers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.postgres import DATABASE, USER, Postgres, binaries
from tests.support.requirements import require

_numbers = itertools.count(1)


class Warehouse:
    """
    A schema of a test's own.

    :param driver: of Airflow's hook
    """

    def __init__(self, cluster: Postgres, driver: str) -> None:
        self.cluster = cluster
        self.driver = driver
        self.schema = f"test_{next(_numbers)}"
        self.sql(f"CREATE SCHEMA {self.schema}")

    def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements, and return what the last one finds."""
        import psycopg

        where: dict[str, Any] = {
            "host": self.cluster.host,
            "port": self.cluster.port,
            "user": USER,
            "password": self.cluster.password,
        }
        with psycopg.connect(**where, dbname=DATABASE, options=f"-c search_path={self.schema}") as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def connection(self, user: str = USER, **extra: Any) -> str:
        """Return the Airflow connection as JSON."""
        return self.cluster.connection(login=user, extra={"options": f"-c search_path={self.schema}", **extra})

    def make_user(self, *rights: str) -> str:
        """Return a user who may use the schema, and has these rights, such as ``INSERT ON orders``."""
        user = f"user_{self.schema}"
        self.sql(
            f"CREATE USER {user} PASSWORD '{self.cluster.password}'", f"GRANT USAGE ON SCHEMA {self.schema} TO {user}"
        )
        self.sql(*(f"GRANT {right} TO {user}" for right in rights))
        return user


@pytest.fixture(scope="session")
def cluster() -> Iterator[Postgres]:
    folder = binaries()
    require(folder is not None, "PostgreSQL (initdb, postgres)")
    assert folder
    with Postgres(folder) as running:
        yield running


@pytest.fixture(params=["psycopg", "psycopg2"])
def driver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the hook use one driver and the other: it takes psycopg 3 where SQLAlchemy 2 is, and psycopg2 elsewhere."""
    from airflow.providers.postgres.hooks import postgres

    if request.param == "psycopg" and not postgres.USE_PSYCOPG3:
        pytest.skip("not applicable: the hook uses psycopg2 with this Airflow's SQLAlchemy")
    monkeypatch.setattr(postgres, "USE_PSYCOPG3", request.param == "psycopg")
    return str(request.param)


@pytest.fixture
def warehouse(cluster: Postgres, driver: str, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    made = Warehouse(cluster, driver)
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", made.connection())
    return made
