"""Apache Airflow provider for APIs protected by OAuth 2.0 client credentials."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
