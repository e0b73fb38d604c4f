"""The form of Airflow 2.11 to 3.1: widgets of the fields that newer versions read as they are declared."""

from __future__ import annotations

from typing import Any

from airflow_oauth_provider.form import CONN_FIELDS


def form_widgets() -> dict[str, Any]:
    """Return a widget for each field that is text, a number or a flag."""
    from flask_appbuilder.fieldwidgets import BS3TextFieldWidget
    from wtforms import BooleanField, IntegerField, StringField
    from wtforms.validators import optional

    widgets: dict[str, Any] = {}
    for name, field in CONN_FIELDS.items():
        label, description, schema = field["label"], field["description"], field["schema"]
        if "boolean" in schema["type"]:
            widgets[name] = BooleanField(label, description=description)
        elif "integer" in schema["type"]:
            widgets[name] = IntegerField(
                label, description=description, widget=BS3TextFieldWidget(), validators=[optional()]
            )
        elif "string" in schema["type"] and schema.get("writeOnly"):
            widgets[name] = _password(label, description)
        elif "string" in schema["type"]:
            # One line, for PEM too: 2.11 makes a JSON editor of each text area, and its Test sends the last one's
            # text alone. A pasted PEM loses its line breaks here, which are mended when it is read.
            widgets[name] = StringField(label, description=description, widget=BS3TextFieldWidget())
    return widgets


def _password(label: str, description: str) -> Any:
    from flask_appbuilder.fieldwidgets import BS3PasswordFieldWidget
    from wtforms import PasswordField

    widget = BS3PasswordFieldWidget()
    # 2.11 takes an empty field for one that was emptied: a hidden value would be gone with the next edit.
    widget.hide_value = False
    return PasswordField(label, description=description, widget=widget)
