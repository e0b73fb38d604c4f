"""The connections of docs/servers.md as they stand, over TLS, at servers that demand what vendors document."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_oauth_provider.exceptions import OAuth2Error
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook
from airflow_oauth_provider.oauth2.settings import PRIVATE_KEY_JWT, SECRET_METHODS, TLS_METHODS, WORKLOAD_IDENTITY
from tests.support.keys import jwk, made_key, pem
from tests.support.pulling_guide import README, blocks
from tests.support.vendor_server import KEY, PLATFORM, TOKEN, Vendor, VendorServer, client_certificate
from tests.support.vendors import VENDORS

if TYPE_CHECKING:
    from pathlib import Path

DOCS = README.parent / "docs"
RECIPES = {name: json.loads(block.code) for name, block in blocks(DOCS / "servers.md", language="json").items()}

# Where the document has its files; tests have them elsewhere.
FOLDERS = {"/etc/airflow/keys": "keys", "/var/run/secrets/tokens": "tokens"}

# What the vendor's server does not look at, and what an answer means without it is another test's business.
NOT_DEMANDED = {"assertion_typ": {"Okta 1", "Okta 2", "Auth0 1"}}


class World:
    """A machine on which the connections' files lie, and from which the world's servers are a vendor's."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home = home
        self._monkeypatch = monkeypatch
        for folder in FOLDERS.values():
            (home / folder).mkdir()
        key = made_key(*KEY)
        for name in ("entra", "sap"):
            (home / "keys" / f"{name}.key").write_text(pem(key))
            (home / "keys" / f"{name}.crt").write_text(client_certificate())
        for name in ("okta", "auth0", "keycloak", "google", "salesforce", "docusign"):
            (home / "keys" / f"{name}.pem").write_text(pem(key))
        (home / "keys" / "okta.json").write_text(json.dumps(jwk(key, kid="okta-key-1")))
        for name in ("databricks", "aks"):
            (home / "tokens" / name).write_text(PLATFORM)

    def hook(self, vendor: Vendor, server: VendorServer, connection: dict[str, Any]) -> OAuth2Hook:
        written = json.dumps(connection)
        for documented, folder in FOLDERS.items():
            written = written.replace(documented, str(self.home / folder))
        files = {"AZURE_FEDERATED_TOKEN_FILE": str(self.home / "tokens" / "aks")}
        options = {
            "TOKEN_STORE": (self.home / "store").as_uri(),
            "KEY_FOLDERS": " ".join(str(self.home / folder) for folder in FOLDERS.values()),
            "ALLOWED_TOKEN_ENDPOINTS": " ".join(f"https://{host}" for host in vendor.hosts),
        }
        environment = {
            "AIRFLOW_CONN_SHOP": written,
            "HTTPS_PROXY": server.proxy_url,
            "REQUESTS_CA_BUNDLE": str(server.bundle),
            **{f"AIRFLOW__OAUTH2__{name}": value for name, value in options.items()},
            **{name: files.get(name, value) for name, value in vendor.environment.items()},
        }
        for name, value in environment.items():
            self._monkeypatch.setenv(name, value)
        return OAuth2Hook(oauth2_conn_id="shop")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def test_each_connection_of_the_document_is_tried_here() -> None:
    assert list(RECIPES) == [vendor.recipe for vendor in VENDORS]


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.recipe)
def test_a_documented_connection_works_as_it_stands(world: World, vendor: Vendor) -> None:
    endpoint, url = vendor.call
    with VendorServer(vendor, world.home) as server:
        hook = world.hook(vendor, server, RECIPES[vendor.recipe])
        assert hook.request("GET", endpoint).json() == {"works": True}
        assert hook.request("GET", endpoint).json() == {"works": True}

    assert server.faults == []
    asked = [f"POST {vendor.token_url}"] * (2 if vendor.demands_proofs else 1)
    assert [request for request in server.requests if "/.well-known/" not in request] == [*asked, *[f"GET {url}"] * 2]
    assert hook.get_token().lifetime_s == vendor.lifetime_s
    assert TOKEN not in repr(hook.get_token())


def needless() -> list[Any]:
    """Return each field of each connection that could be left out."""
    return [
        pytest.param(vendor, name, id=f"{vendor.recipe} without {name}")
        for vendor in VENDORS
        for name in RECIPES[vendor.recipe]["extra"]
        if vendor.recipe not in NOT_DEMANDED.get(name, ())
    ]


@pytest.mark.parametrize(("vendor", "name"), needless())
def test_no_documented_field_can_be_left_out(world: World, vendor: Vendor, name: str) -> None:
    connection = {**RECIPES[vendor.recipe]}
    connection["extra"] = {key: value for key, value in connection["extra"].items() if key != name}
    with VendorServer(vendor, world.home) as server:
        hook = world.hook(vendor, server, connection)
        try:
            hook.request("GET", vendor.call[0])
        except OAuth2Error:
            return
        assert hook.get_token().lifetime_s != vendor.lifetime_s


# RFC 9700 and FAPI 2.0: what knows no shared secret comes first, and what binds tokens before what does not --------


def rank(connection: dict[str, Any]) -> tuple[bool, bool]:
    extra = connection["extra"]
    method = extra.get("auth_method", "none" if "grant_type" in extra else "client_secret_basic")
    return method in SECRET_METHODS, "dpop" not in extra and method not in TLS_METHODS


@pytest.mark.statement(49)
def test_each_vendors_connections_begin_with_the_safest() -> None:
    vendors: dict[str, list[tuple[bool, bool]]] = {}
    for name, connection in RECIPES.items():
        vendors.setdefault(name.rpartition(" ")[0], []).append(rank(connection))
    assert [name for name, ranks in vendors.items() if ranks != sorted(ranks)] == []
    assert sum(len(set(ranks)) > 1 for ranks in vendors.values()) >= 6


@pytest.mark.statement(49)
def test_the_methods_are_documented_with_the_asymmetric_ones_first() -> None:
    page = (DOCS / "connection.md").read_text(encoding="utf-8")
    table = page.partition("| `auth_method` |")[2].partition("\n\n")[0]
    first_cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    methods = [method for cell in first_cells for method in cell.replace("`", "").replace(",", "").split()]
    places = {method: methods.index(method) for method in (PRIVATE_KEY_JWT, *TLS_METHODS, *SECRET_METHODS)}
    assert places[PRIVATE_KEY_JWT] == 0
    assert max(places[method] for method in TLS_METHODS) < min(places[method] for method in SECRET_METHODS)
    assert methods.index(WORKLOAD_IDENTITY) < min(places[method] for method in SECRET_METHODS)
