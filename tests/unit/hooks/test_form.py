"""The connection form of Airflow 2.11 to 3.1, which is made of the hook's methods."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from airflow_oauth_provider.get_provider_info import CONN_FIELDS, UI_FIELD_BEHAVIOUR
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook

NO_WIDGETS = "not applicable: this Airflow builds its form without flask_appbuilder"


def widgets() -> dict[str, Any]:
    pytest.importorskip("flask_appbuilder", reason=NO_WIDGETS)
    return OAuth2Hook.get_connection_form_widgets()


def providers_manager() -> Any:
    return importlib.import_module("airflow.providers_manager").ProvidersManager()


def test_standard_fields_are_labelled_and_hidden_as_in_the_new_form() -> None:
    assert OAuth2Hook.get_ui_field_behaviour() == {
        "hidden_fields": UI_FIELD_BEHAVIOUR["hidden-fields"],
        "relabeling": UI_FIELD_BEHAVIOUR["relabeling"],
        "placeholders": UI_FIELD_BEHAVIOUR["placeholders"],
    }


def test_airflow_takes_the_behaviour_of_the_standard_fields() -> None:
    pytest.importorskip("flask_appbuilder", reason=NO_WIDGETS)
    taken = providers_manager().field_behaviours["oauth2"]
    assert taken["relabeling"]["host"] == "Token URL (required)"
    assert taken["hidden_fields"] == ["schema", "port"]


def test_there_is_a_widget_for_every_field_but_objects() -> None:
    objects = {name for name, field in CONN_FIELDS.items() if "object" in field["schema"]["type"]}
    assert set(widgets()) == set(CONN_FIELDS) - objects
    assert objects == {"extra_params", "secret_params", "headers", "secret_headers", "proxies"}


def test_each_widget_is_of_the_fields_type_with_its_label_and_help() -> None:
    kinds = {"string": "StringField", "integer": "IntegerField", "boolean": "BooleanField"}
    for name, widget in widgets().items():
        declared = CONN_FIELDS[name]["schema"]["type"]
        kind = declared if isinstance(declared, str) else declared[0]
        assert widget.field_class.__name__ == kinds[kind]
        assert widget.args[0] == CONN_FIELDS[name]["label"]
        assert widget.kwargs["description"] == CONN_FIELDS[name]["description"]


def test_an_empty_number_is_allowed() -> None:
    leeway = widgets()["leeway"]
    from wtforms import Form

    assert type("MadeUp", (Form,), {"leeway": leeway})(data={}).validate()


def test_airflows_form_has_the_fields_of_the_connection() -> None:
    pytest.importorskip("flask_appbuilder", reason=NO_WIDGETS)
    made = providers_manager().connection_form_widgets
    assert "extra__oauth2__base_url" in made
    assert {info.field_name for info in made.values() if info.hook_class_name.endswith("OAuth2Hook")} == set(widgets())
