"""
What Entra's workload identity says in the environment of each pod, so that a connection need not.

https://learn.microsoft.com/azure/aks/workload-identity-overview
"""

from __future__ import annotations

import os

ASSERTION_FILE = "AZURE_FEDERATED_TOKEN_FILE"
CLIENT_ID = "AZURE_CLIENT_ID"
TENANT = "AZURE_TENANT_ID"
AUTHORITY = "AZURE_AUTHORITY_HOST"


def said(variable: str) -> str:
    """Return what *variable* says; empty outside of that platform."""
    return (os.environ.get(variable) or "").strip()


def token_url(*, discover: bool) -> str:
    """Return the tenant's token endpoint, or its issuer; empty where the platform does not say both parts."""
    if not (said(TENANT) and said(AUTHORITY)):
        return ""
    tenant = f"{said(AUTHORITY).rstrip('/')}/{said(TENANT)}"
    return f"{tenant}/v2.0" if discover else f"{tenant}/oauth2/v2.0/token"
