"""
Airflow Connection → settings: the only reader of a connection's fields.

Whatever is missing, cannot be right or cannot work together is an error here, before anything is sent, and names the
fields.
"""

from __future__ import annotations

from airflow_oauth_provider.connection.reading import read_connection
from airflow_oauth_provider.connection.values import ConnectionFields, ConnectionSettings

__all__ = ["ConnectionFields", "ConnectionSettings", "read_connection"]
