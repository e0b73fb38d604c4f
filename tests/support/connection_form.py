"""Airflow's page of connections and the form on it, as somebody uses them in a browser."""

from __future__ import annotations

import json
from dataclasses import dataclass

from playwright.sync_api import Locator, Page, expect

# Inputs are found by their keys: Airflow does not tie every label to its input.
STANDARD = {"host", "login", "password", "description", "port", "schema"}


@dataclass(frozen=True)
class Outcome:
    """What the page says after *Test* was pressed."""

    title: str
    text: str


class ConnectionForm:
    """The dialog in which a connection is made or edited."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.dialog: Locator = page.get_by_role("dialog")

    def open_section(self, title: str) -> None:
        """Unfold "Standard Fields", "Extra Fields" or "Extra Fields JSON"; Airflow folds the others."""
        section = self.dialog.get_by_role("button", name=title, exact=True)
        if section.get_attribute("aria-expanded") != "true":
            section.click()
        expect(section).to_have_attribute("aria-expanded", "true")

    def field(self, name: str) -> Locator:
        """Return the input of a standard field or of an extra."""
        return self.dialog.locator(_selector(name)).first

    def row(self, name: str) -> Locator:
        """Return a field with its label, its help and what the form has to say against its value."""
        return self.dialog.get_by_role("group").filter(has=self._page.locator(_selector(name)))

    def extra_rows(self) -> list[Locator]:
        """Return every extra with its label, its help and what the form has to say against its value."""
        self.open_section("Extra Fields")
        rows = self.dialog.locator("[id$='content:Extra Fields'] [data-part='root'][role='group']")
        expect(rows.first).to_be_visible()
        return rows.all()

    def fill(self, name: str, value: str) -> None:
        self.open_section("Standard Fields" if name in STANDARD else "Extra Fields")
        self.field(name).fill(value)

    def choose(self, name: str, option: str) -> None:
        """Pick an option from the drop-down of an extra."""
        self.open_section("Extra Fields")
        self.field(name).get_by_role("combobox").click()
        self._page.get_by_role("option", name=option, exact=True).click()
        expect(self.field(name)).to_contain_text(option)

    def paste_json(self, name: str, text: str) -> None:
        """Paste into the editor of an object; what is typed there one by one is rewritten while one types."""
        self.open_section("Extra Fields")
        self.field(name).locator(".view-lines").click()
        self._page.evaluate("text => navigator.clipboard.writeText(text)", text)
        self._page.keyboard.press("ControlOrMeta+A")
        self._page.keyboard.press("ControlOrMeta+V")
        expect(self.field(name)).to_contain_text(next(iter(json.loads(text))))

    @property
    def save_button(self) -> Locator:
        return self.dialog.get_by_role("button", name="Save")

    def save(self) -> None:
        self.save_button.click()
        expect(self.dialog).to_be_hidden()


class ConnectionsPage:
    """
    The list of connections.

    :param url: where Airflow's user interface is
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self._url = f"{url}/connections"

    def open(self) -> None:
        self.page.goto(self._url)
        expect(self.page.get_by_role("button", name="Add Connection")).to_be_visible()

    def add(self, conn_id: str, type_name: str) -> ConnectionForm:
        """Open an empty form, type the id and choose the type by the name that people see."""
        self.open()
        self.page.get_by_role("button", name="Add Connection").click()
        form = ConnectionForm(self.page)
        form.dialog.locator("[name='connection_id']").fill(conn_id)
        form.dialog.get_by_role("combobox").click()
        self.page.get_by_role("option", name=type_name, exact=True).click()
        expect(form.field("host")).to_be_visible()
        return form

    def edit(self, conn_id: str) -> ConnectionForm:
        """Open the form of a stored connection."""
        self.open()
        self._row(conn_id).get_by_role("button", name="Edit Connection").click()
        form = ConnectionForm(self.page)
        expect(form.field("host")).to_be_visible()
        return form

    def test(self, conn_id: str) -> Outcome:
        """Press *Test* of a stored connection and wait for what the page says."""
        self.open()
        self._row(conn_id).get_by_role("button", name="Test Connection").click()
        message = self.page.get_by_role("status").filter(has_text="Test Connection")
        expect(message).to_be_in_viewport(ratio=1, timeout=60_000)  # it slides in
        return Outcome(
            title=message.locator("[data-part='title']").inner_text(),
            text=message.locator("[data-part='description']").inner_text(),
        )

    def _row(self, conn_id: str) -> Locator:
        cell = self.page.get_by_test_id("table-cell-connection_id").get_by_text(conn_id, exact=True)
        return self.page.get_by_role("row").filter(has=cell)


def _selector(name: str) -> str:
    if name in STANDARD:
        return f"[name='{name}']"
    # A drop-down has both, the id first and a hidden input with the name inside.
    return f"#element_{name}, [name='element_{name}']"
