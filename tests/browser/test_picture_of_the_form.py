"""The picture of the form in the README comes from the form itself."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import PATIENCE_MS
from tests.support.connection_form import ConnectionForm, ConnectionsPage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

    from tests.support.airflow_ui import AirflowUi

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "images" / "connection-form.png"
LAST_EXTRA_SHOWN = "auth_method"
SECRET = "made-up-secret-of-the-picture"


@pytest.fixture
def sharp_page(browser: Browser, airflow: AirflowUi) -> Iterator[Page]:
    """Return a page with two pixels to a point, for people who look at the picture on a good screen."""
    context = browser.new_context(locale="en-GB", viewport={"width": 1100, "height": 1600}, device_scale_factor=2)
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()


def test_the_picture_for_the_readme_is_taken_of_a_filled_in_form_without_a_secret(
    sharp_page: Page, airflow: AirflowUi, pictures: Path
) -> None:
    form = ConnectionsPage(sharp_page, airflow.url).add("shop", "OAuth 2.0 API")
    form.fill("base_url", "https://api.example.com/v1")
    form.fill("scope", "orders:read")
    form.choose("auth_method", "client_secret_basic")
    extras = picture_of_first_extras(sharp_page, form)
    form.fill("host", "https://login.example.com/oauth2/token")
    form.fill("login", "orders-reader")
    form.fill("password", SECRET)
    expect(form.field("password")).to_have_attribute("type", "password")
    expect(form.save_button).to_be_enabled()
    assert SECRET not in form.dialog.inner_text()
    standard_fields = picture_of_dialog(sharp_page, form)

    taken = pictures / PICTURE.name
    below_one_another(sharp_page, [standard_fields, extras], taken)
    if os.environ.get("OAUTH2_SCREENSHOTS") == "1" or not PICTURE.exists():
        PICTURE.parent.mkdir(parents=True, exist_ok=True)
        PICTURE.write_bytes(taken.read_bytes())

    for path in (taken, PICTURE):
        width, height = size_of_png(path)
        assert width > 1200
        assert height > 1200


def picture_of_dialog(page: Page, form: ConnectionForm) -> bytes:
    """Return the whole dialog."""
    rest(page)
    return form.dialog.screenshot(animations="disabled")


def picture_of_first_extras(page: Page, form: ConnectionForm) -> bytes:
    """Return the open section of the extras from its title down to the last one that most people need."""
    title = form.dialog.get_by_role("button", name="Extra Fields", exact=True)
    rest(page)
    top, bottom = title.bounding_box(), form.row(LAST_EXTRA_SHOWN).bounding_box()
    assert top is not None
    assert bottom is not None
    height = bottom["y"] + bottom["height"] + 6 - top["y"]
    return page.screenshot(
        animations="disabled", clip={"x": top["x"], "y": top["y"], "width": top["width"], "height": height}
    )


def rest(page: Page) -> None:
    """Let nothing look chosen or pointed at."""
    page.evaluate("document.activeElement.blur()")
    page.mouse.move(0, 0)


def below_one_another(page: Page, images: list[bytes], path: Path) -> None:
    """Write one picture: Airflow shows one section at a time, the reader needs both."""
    sources = [f"data:image/png;base64,{base64.b64encode(image).decode()}" for image in images]
    style = "display:block; zoom:0.5; margin:0 auto; border-radius:24px"
    rows = "".join(f'<img src="{source}" style="{style}">' for source in sources)
    page.set_content(f'<div id="all" style="display:inline-block; padding:8px; background:white">{rows}</div>')
    page.wait_for_function("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    page.locator("#all").screenshot(path=path)


def size_of_png(path: Path) -> tuple[int, int]:
    """Return width and height, which stand behind the signature and the name of the first chunk."""
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
