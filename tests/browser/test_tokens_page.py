"""People of different roles look at the page "OAuth 2.0 tokens" in Airflow, and use it."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Browser, Page, expect

from airflow_oauth_provider.ui.store import store_members
from tests.browser.conftest import PATIENCE_MS
from tests.support.servers import Reply, Server
from tests.support.tokens_page import (
    HOSTILE_NAME,
    HOSTILE_SCOPE,
    HOSTILE_TEXT,
    WRONG_SECRET,
    Deployment,
    TokensPage,
    deployed,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Response

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "images" / "tokens-page.png"
PICTURED = {"billing", "crm", "newsletter", "shop", "warehouse"}


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployed(tmp_path_factory.mktemp("roles")) as made:
        yield made


@pytest.fixture
def visit(browser: Browser, deployment: Deployment) -> Iterator[Any]:
    """Return a function that opens a browser for a role, None for nobody, and goes to a URL."""
    contexts = []

    def go(role: str | None, url: str = deployment.url, **options: Any) -> Page:
        context = browser.new_context(locale="en-GB", **{"viewport": {"width": 1280, "height": 900}, **options})
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        if role is not None:
            deployment.airflow.enter(context, role)
        page = context.new_page()
        page.goto(url)
        return page

    yield go
    for context in contexts:
        context.close()


def test_the_menu_leads_to_the_page_which_follows_the_theme_of_airflow(visit: Any, deployment: Deployment) -> None:
    page = visit("op", deployment.airflow.url, color_scheme="light")
    page.get_by_role("button", name="Admin").click()
    page.get_by_role("menuitem", name="OAuth 2.0 tokens").click()
    frame = page.frame_locator("iframe[title='OAuth 2.0 tokens']")

    assert TokensPage(frame).states()["shop"] == "Valid"
    body = frame.locator("body")
    expect(body).to_have_css("background-color", "rgb(255, 255, 255)")
    page.evaluate("localStorage.setItem('theme', 'dark')")
    expect(body).not_to_have_css("background-color", "rgb(255, 255, 255)")


def test_each_state_is_told_at_a_glance(visit: Any, deployment: Deployment) -> None:
    deployment.task("crm")
    before = deployment.token_requests
    page = visit("op")
    tokens = TokensPage(page)
    states = {conn_id: state for conn_id, state in tokens.states().items() if not conn_id.startswith(("hostile", "<"))}

    assert states == {
        "billing": "Valid",
        "crm": "Refused",
        "newsletter": "Expired",
        "shop": "Valid",
        "warehouse": "None here",
        "weather": "Not readable",
    }
    expect(tokens.part("shop", "left")).to_have_text(re.compile("^5[0-9] min"))
    expect(tokens.part("shop", "made")).to_have_text("1 made")
    expect(tokens.part("shop", "saved")).to_have_text("7 saved")
    expect(tokens.part("shop", "scopes")).to_contain_text("orders:read")
    expect(tokens.part("shop", "fingerprint")).to_have_text(fingerprint(deployment))
    expect(tokens.part("crm", "refusal")).to_contain_text("Check Client ID and Client secret")
    expect(tokens.part("crm", "refusal")).to_contain_text("not asked again for")
    expect(tokens.part("weather", "message")).to_contain_text("base_url")
    expect(page.locator("#store")).to_contain_text("oauth2_tokens")
    expect(page.locator("#store")).to_contain_text("not visible from here")
    expect(page.locator("footer")).to_contain_text("cannot be listed")
    assert deployment.token_requests == before


def fingerprint(deployment: Deployment) -> str:
    with deployment.airflow.as_task("shop", deployment.fields["shop"]) as hook:
        return hook.get_token().fingerprint


def test_the_page_lives_without_being_built_anew(visit: Any, deployment: Deployment) -> None:
    page = visit("op")
    tokens = TokensPage(page)
    expect(tokens.part("warehouse", "badge")).to_have_text("None here")
    page.evaluate("document.querySelectorAll('tbody').forEach(row => row.setAttribute('data-seen', ''))")
    left = tokens.part("shop", "left").inner_text()

    deployment.task("warehouse")

    expect(tokens.part("warehouse", "badge")).to_have_text("Valid")
    expect(tokens.part("shop", "left")).not_to_have_text(left)
    assert page.locator("tbody:not([data-seen])").count() == 0
    tokens.press("warehouse", "Forget")
    expect(tokens.part("warehouse", "badge")).to_have_text("None here")


def look(page: Page, *, away: bool) -> None:
    """Look at another tab, or come back."""
    hidden = f"Object.defineProperty(document, 'hidden', {{value: {str(away).lower()}, configurable: true}})"
    page.evaluate(f"{hidden}; document.dispatchEvent(new Event('visibilitychange'))")


def test_nothing_is_asked_while_nobody_looks(visit: Any, deployment: Deployment) -> None:
    page = visit("op", "about:blank")
    page.clock.install()
    page.goto(deployment.url)
    TokensPage(page).states()
    look(page, away=True)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(60_000)
    assert asked == []
    with page.expect_response("**/tokens"):
        look(page, away=False)
    with page.expect_response("**/tokens"):
        page.clock.run_for(6_000)


def test_an_airflow_that_does_not_answer_is_told_and_asked_again(visit: Any) -> None:
    page = visit("op")
    TokensPage(page).states()
    page.route("**/tokens", lambda route: route.abort())
    look(page, away=False)
    expect(page.locator("#live")).to_have_text("Airflow does not answer; trying again")
    page.unroute("**/tokens")
    expect(page.locator("#live")).to_have_text("Live")


def test_connections_are_found_by_state_and_by_words(visit: Any, deployment: Deployment) -> None:
    deployment.task("crm")
    page = visit("op")
    TokensPage(page).states()
    page.get_by_role("button", name="Refused").click()
    expect(page.locator("#table > tbody:visible [data-is='conn_id']")).to_have_text(["crm"])
    page.get_by_role("button", name="All").click()
    page.get_by_role("searchbox").fill("BILL orders")
    expect(page.locator("#table > tbody:visible [data-is='conn_id']")).to_have_text(["billing"])
    page.get_by_role("searchbox").fill("nothing like this")
    expect(page.locator("#none-match")).to_be_visible()


def test_who_may_edit_connections_tests_and_forgets(visit: Any, deployment: Deployment) -> None:
    tokens = TokensPage(visit("op"))
    before = deployment.token_requests

    assert "Got a token that lives 3600 s" in tokens.press("billing", "Test")
    expect(tokens.part("billing", "made")).to_have_text("2 made")
    assert deployment.token_requests == before + 1
    assert "invalid_client" in tokens.press("crm", "Test")
    assert "Forgotten" in tokens.press("crm", "Forget")
    expect(tokens.part("crm", "badge")).to_have_text("None here")
    deployment.task("crm")
    expect(tokens.part("crm", "badge")).to_have_text("Refused")


@pytest.mark.parametrize("role", ["viewer", "user"])
def test_who_may_not_read_connections_sees_a_sentence_and_no_connection(visit: Any, role: str) -> None:
    page = visit(role)
    expect(page.get_by_role("heading")).to_have_text("You may not see connections")
    assert "shop" not in page.content()


def test_who_is_not_logged_in_logs_in_first(visit: Any) -> None:
    page = visit(None)
    page.wait_for_url("**/auth/login*")
    assert "oauth2-tokens" in page.url


def test_hostile_names_and_texts_stay_texts(visit: Any, deployment: Deployment) -> None:
    with closing(sqlite3.connect(deployment.airflow.home / "airflow.db", timeout=60)) as database, database:
        database.execute("UPDATE connection SET conn_id = ? WHERE conn_id = 'hostile'", [HOSTILE_NAME])
    page = visit("op")
    tokens = TokensPage(page)
    tokens.press(HOSTILE_NAME, "Test")
    said = tokens.press("hostile_refused", "Test")
    deployment.task("hostile_refused")
    expect(tokens.part("hostile_refused", "badge")).to_have_text("Refused")

    assert HOSTILE_TEXT in said
    expect(tokens.part(HOSTILE_NAME, "scopes")).to_have_text(HOSTILE_SCOPE)
    expect(tokens.part("hostile_refused", "message")).to_contain_text(HOSTILE_TEXT)
    assert page.locator("tbody :is(img, script, style, a)").count() == 0
    assert page.title() == "OAuth 2.0 tokens"


def test_no_secret_and_no_token_reaches_the_browser(visit: Any, deployment: Deployment) -> None:
    page = visit("admin", "about:blank")
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108  # Playwright takes no built-in method
    page.goto(deployment.url)
    TokensPage(page).press("shop", "Test")
    TokensPage(page).press("crm", "Test")

    texts = [page.content(), *(answer.text() for answer in answers)]
    kept = (deployment.shop.client.client_secret, WRONG_SECRET, *deployment.shop.ledger.issued())
    assert len(kept) > 4
    assert [secret for secret in kept if any(secret in text for text in texts)] == []
    assert {answer.url.split("/")[2] for answer in answers} == {deployment.airflow.url.split("/")[2]}


FORM = """<form method="post" action="{action}" enctype="text/plain"><input name='{{"a":"' value='"}}'></form>
<script>document.forms[0].submit()</script>"""


@pytest.mark.parametrize(("host", "brings_cookie"), [("127.0.0.1", True), ("localhost", False)])
@pytest.mark.parametrize("action", ["test", "forget"])
def test_a_form_of_another_origin_does_nothing_in_ones_name(
    visit: Any, deployment: Deployment, host: str, brings_cookie: bool, action: str
) -> None:
    """Another port of the same host is the same *site*: there, the browser sends Airflow's cookie along."""
    content = FORM.format(action=f"{deployment.url}{action}/shop")
    before, held = deployment.token_requests, deployment.task("shop")
    with Server(lambda _: Reply(200, content, {"Content-Type": "text/html"})) as evil:
        page = visit("admin", "about:blank")
        with page.expect_event("response", lambda answer: answer.request.method == "POST") as answered:
            page.goto(f"http://{host}:{evil.port}/")
        answer = answered.value

    assert ("_token=" in answer.request.all_headers().get("cookie", "")) is brings_cookie
    assert answer.status == 403
    assert deployment.task("shop") == held
    assert deployment.token_requests == before


def test_the_picture_for_the_docs_is_taken_of_the_page_in_airflow(
    visit: Any, deployment: Deployment, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Addresses of this machine give way to examples; all else is as it came."""
    deployment.task("crm")
    monkeypatch.setenv("AIRFLOW__OAUTH2__TOKEN_STORE", "rediss://redis.example.com:6379/0")

    def with_examples(answer: dict[str, Any]) -> dict[str, Any]:
        text = json.dumps([row for row in answer["connections"] if row["conn_id"] in PICTURED])
        text = re.sub(r"http://127\.0\.0\.1:\d+", "https://login.example.com", text)
        return {**answer, "connections": json.loads(text), "store": store_members([])}

    page = visit("op", "about:blank", viewport={"width": 1240, "height": 770}, device_scale_factor=2)
    page.route("**/tokens", lambda route: route.fulfill(json=with_examples(route.fetch().json())))
    page.goto(f"{deployment.airflow.url}/plugin/oauth2-tokens")
    tokens = TokensPage(page.frame_locator("iframe[title='OAuth 2.0 tokens']"))
    assert set(tokens.states()) == PICTURED
    taken = pictures / PICTURE.name
    page.screenshot(path=taken, animations="disabled")
    if os.environ.get("OAUTH2_SCREENSHOTS") == "1" or not PICTURE.exists():
        PICTURE.write_bytes(taken.read_bytes())

    for path in (taken, PICTURE):
        assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_an_airflow_without_such_connections_says_so(visit: Any, deployment: Deployment) -> None:
    page = visit("op", "about:blank")
    page.route("**/tokens", lambda route: route.fulfill(json=without_connections(route.fetch().json())))
    page.goto(deployment.url)
    expect(page.get_by_role("heading", level=2)).to_have_text("No OAuth 2.0 connections here yet")
    expect(page.locator("#table")).to_be_hidden()


def without_connections(answer: dict[str, Any]) -> dict[str, Any]:
    return {**answer, "connections": []}
