"""A person makes, tests, saves, reopens and corrects a connection in Airflow's own form."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jwt
from playwright.sync_api import expect

from tests.support.connections import certificate_text, key_text
from tests.support.keys import made_key
from tests.support.made_up import CLIENT_ID
from tests.support.servers import Reply, Seen, Server

if TYPE_CHECKING:
    from pathlib import Path

    from demo.server import DemoServer
    from tests.support.airflow_ui import AirflowUi
    from tests.support.connection_form import ConnectionForm, ConnectionsPage

TYPE_NAME = "OAuth 2.0 API"
API_KEY = "made-up-api-key-77aa31"


def fill_in(form: ConnectionForm, shop: DemoServer, *, secret: str | None = None) -> None:
    """Fill in what the demo's servers want, as somebody would who has the client's papers before them."""
    client = shop.client
    form.fill("host", shop.token_url)
    form.fill("login", client.client_id)
    form.fill("password", client.client_secret if secret is None else secret)
    form.fill("base_url", shop.base_url)
    form.fill("scope", "orders:read status:read")
    form.choose("auth_method", "client_secret_post")
    form.fill("test_endpoint", "status")


def stored(airflow: AirflowUi, conn_id: str) -> dict[str, Any]:
    """Return a connection as the metadata database has it, its extra as an object."""
    connection = airflow.stored_connections()[conn_id]
    return {**connection, "extra": json.loads(connection["extra"])}


def signed_requests_only(seen: Seen) -> Reply:
    """Answer as a server that knows the client by its public key."""
    assertion = dict(seen.form)["client_assertion"]
    public = made_key("RSA", 0).public_key()
    claims = jwt.decode(assertion, public, algorithms=["RS256"], options={"verify_aud": False})
    if claims["iss"] != CLIENT_ID or jwt.get_unverified_header(assertion)["kid"] != "made-up-kid":
        return Reply(401, {"error": "invalid_client"})
    return Reply(200, {"access_token": "made-up-token", "token_type": "Bearer", "expires_in": 3600})


def set_values(extra: dict[str, Any]) -> dict[str, Any]:
    """Return the extras that hold something: Airflow stores blank fields, too."""
    return {key: value for key, value in extra.items() if value not in (None, "", {}, [])}


def test_a_new_connection_is_stored_as_typed_and_its_test_says_what_came(
    connections: ConnectionsPage, airflow: AirflowUi, shop: DemoServer, pictures: Path
) -> None:
    form = connections.add("shop", TYPE_NAME)
    fill_in(form, shop)
    form.fill("leeway", "45")
    connections.page.screenshot(path=pictures / "filled-in.png")
    form.paste_json("secret_headers", json.dumps({"X-Api-Key": API_KEY}))
    form.save()
    airflow.set_port_to_zero("shop")

    outcome = connections.test("shop")
    connections.page.screenshot(path=pictures / "test-succeeded.png")

    assert outcome.title == "Test Connection Successful"
    assert "\n" not in outcome.text
    for part in ("orders:read status:read", "3600 s", "client_secret_post", "test endpoint answered 200"):
        assert part in outcome.text
    for value in (shop.client.client_secret, API_KEY, *shop.ledger.issued()):
        assert value not in connections.page.content()
    connection = stored(airflow, "shop")
    assert connection["conn_type"] == "oauth2"
    assert connection["host"] == shop.token_url
    assert connection["login"] == shop.client.client_id
    assert connection["password"] == shop.client.client_secret
    assert set_values(connection["extra"]) == {
        "base_url": shop.base_url,
        "scope": "orders:read status:read",
        "auth_method": "client_secret_post",
        "basic_encoding": "rfc6749",
        "grant_type": "client_credentials",
        "test_endpoint": "status",
        "secret_headers": {"X-Api-Key": API_KEY},
        "leeway": 45,
    }


def test_an_edit_keeps_the_secrets_that_the_form_does_not_show(
    connections: ConnectionsPage, airflow: AirflowUi, shop: DemoServer, pictures: Path
) -> None:
    form = connections.add("shop_edited", TYPE_NAME)
    fill_in(form, shop)
    form.paste_json("secret_headers", json.dumps({"X-Api-Key": API_KEY}))
    form.save()
    airflow.set_port_to_zero("shop_edited")
    before = stored(airflow, "shop_edited")

    form = connections.edit("shop_edited")
    expect(form.field("password")).to_have_value("***")
    expect(form.field("host")).to_have_value(shop.token_url)
    form.open_section("Extra Fields")
    expect(form.field("secret_headers")).to_contain_text("***")
    connections.page.screenshot(path=pictures / "reopened.png")
    assert API_KEY not in connections.page.content()
    form.fill("scope", "orders:read")
    form.fill("test_endpoint", "orders")
    form.save()

    outcome = connections.test("shop_edited")

    assert outcome.title == "Test Connection Successful"
    assert "orders:read" in outcome.text
    assert "status:read" not in outcome.text
    after = stored(airflow, "shop_edited")
    changed = {**before["extra"], "scope": "orders:read", "test_endpoint": "orders"}
    assert after == {**before, "extra": changed}


def test_a_wrong_secret_is_a_sentence_that_says_what_to_change(
    connections: ConnectionsPage, airflow: AirflowUi, shop: DemoServer, pictures: Path
) -> None:
    wrong = "made-up-mistyped-secret-27182818"
    form = connections.add("shop_mistyped", TYPE_NAME)
    fill_in(form, shop, secret=wrong)
    form.save()
    airflow.set_port_to_zero("shop_mistyped")

    outcome = connections.test("shop_mistyped")
    connections.page.screenshot(path=pictures / "test-failed.png")

    assert outcome.title == "Test Connection Failed"
    assert "invalid_client" in outcome.text
    assert "Check Client ID and Client secret" in outcome.text
    assert "client_secret_basic" in outcome.text  # the other way to send it
    assert wrong not in connections.page.content()

    form = connections.edit("shop_mistyped")
    form.fill("password", shop.client.client_secret)
    form.save()
    assert connections.test("shop_mistyped").title == "Test Connection Successful"


def test_a_pasted_key_signs_keeps_its_lines_and_is_shown_to_nobody_again(
    connections: ConnectionsPage, airflow: AirflowUi, pictures: Path
) -> None:
    key, certificate = key_text(kind="RSA"), certificate_text(kind="RSA")
    page, conn_id = connections.page, "shop_signed"
    with Server(signed_requests_only) as server:
        form = connections.add(conn_id, TYPE_NAME)
        form.fill("host", f"{server.url}/token")
        form.fill("login", CLIENT_ID)
        form.fill("base_url", server.url)
        form.choose("auth_method", "private_key_jwt")
        form.fill("certificate", certificate)
        form.save()
        airflow.set_port_to_zero(conn_id)
        outcome = connections.test(conn_id)
        assert outcome.title == "Test Connection Failed"
        assert "certificate is set without its key: fill in private_key, or key_file" in outcome.text

        form = connections.edit(conn_id)
        form.fill("private_key", key)
        form.fill("key_id", "made-up-kid")
        form.save()
        assert connections.test(conn_id).title == "Test Connection Successful"
        before = stored(airflow, conn_id)
        assert (before["extra"]["private_key"], before["extra"]["certificate"]) == (key, certificate)

        form = connections.edit(conn_id)
        form.open_section("Extra Fields")
        expect(form.field("private_key")).to_have_value("***")
        expect(form.field("certificate")).to_have_value(certificate)
        page.screenshot(path=pictures / "key-reopened.png")
        assert key.splitlines()[5] not in page.content()
        form.fill("scope", "orders:read")
        form.save()
        assert stored(airflow, conn_id)["extra"] == {**before["extra"], "scope": "orders:read"}

        assert connections.test(conn_id).title == "Test Connection Successful"
        assert [seen.path for seen in server.seen] == ["/token", "/token"]
        form = connections.edit(conn_id)
        form.fill("private_key", key_text(1, kind="RSA"))
        form.save()
        outcome = connections.test(conn_id)
        assert outcome.title == "Test Connection Failed"
        assert "certificate and private_key do not belong together" in outcome.text
        assert len(server.seen) == 2


def test_the_form_says_what_is_required_and_test_what_is_missing(
    connections: ConnectionsPage, airflow: AirflowUi
) -> None:
    form = connections.add("shop_empty", TYPE_NAME)
    expect(form.row("host")).to_contain_text("Token URL or issuer (required)")
    expect(form.row("login")).to_contain_text("Client ID (required)")
    expect(form.row("password")).to_contain_text("Client secret")
    for hidden in ("schema", "port"):
        expect(form.field(hidden)).to_have_count(0)

    form.open_section("Extra Fields")
    expect(form.row("base_url")).to_contain_text("required, or the next field")
    form.fill("host", "https://login.example.com/oauth2/token")
    form.save()
    airflow.set_port_to_zero("shop_empty")
    outcome = connections.test("shop_empty")
    assert outcome.title == "Test Connection Failed"
    assert "Client ID (the field login) is missing" in outcome.text


def test_every_extra_has_a_label_and_a_sentence_of_help(connections: ConnectionsPage) -> None:
    rows = connections.add("shop_helpful", TYPE_NAME).extra_rows()
    labels = [row.locator("[data-part='label']").first.inner_text().strip() for row in rows]
    helps = [row.locator("[data-part='helper-text']").inner_text().strip() for row in rows]

    assert len(labels) > 10
    assert len(set(labels)) == len(labels)
    assert [(label, text) for label, text in zip(labels, helps, strict=True) if not label or len(text) < 20] == []
