"""The connection form of Airflow 2.11 to 3.1, which is made of the hook's methods."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from airflow_oauth_provider.form import CONN_FIELDS, SECRET_FIELDS, UI_FIELD_BEHAVIOUR
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
    assert taken["relabeling"]["host"] == "Token URL or issuer (required)"
    assert taken["hidden_fields"] == ["schema", "port"]


def test_there_is_a_widget_for_every_field_but_objects_and_lists() -> None:
    kinds = {name: field["schema"]["type"][0] for name, field in CONN_FIELDS.items()}
    without = {name for name, kind in kinds.items() if kind in ("object", "array")}
    assert set(widgets()) == set(CONN_FIELDS) - without
    assert without == {
        "assertion_claims", "rar", "extra_params", "secret_params", "headers", "secret_headers", "proxies",
    }  # fmt: skip


def test_each_widget_is_of_the_fields_type_with_its_label_and_help() -> None:
    kinds = {"string": "StringField", "integer": "IntegerField", "boolean": "BooleanField"}
    for name, widget in widgets().items():
        kind = "PasswordField" if name in SECRET_FIELDS else kinds[CONN_FIELDS[name]["schema"]["type"][0]]
        assert widget.field_class.__name__ == kind
        assert widget.args[0] == CONN_FIELDS[name]["label"]
        assert widget.kwargs["description"] == CONN_FIELDS[name]["description"]


def test_an_edit_in_the_form_of_2_11_keeps_keys_and_passphrases_without_showing_them() -> None:
    """That form takes an input without a value for one that somebody emptied."""
    secrets = {name: widget for name, widget in widgets().items() if name in SECRET_FIELDS}
    from wtforms import Form

    shown = type("MadeUp", (Form,), secrets)(data=dict.fromkeys(secrets, "made-up-key"))
    assert len(secrets) == 4
    for name in secrets:
        assert 'type="password"' in str(shown[name]())
        assert 'value="made-up-key"' in str(shown[name]())


def test_no_widget_is_a_text_area_of_which_2_11_would_make_a_json_editor() -> None:
    declared = widgets()
    from wtforms import Form

    made = type("MadeUp", (Form,), declared)()
    assert [field.name for field in made if "<textarea" in str(field())] == []


def test_airflow_takes_keys_and_passphrases_for_sensitive() -> None:
    pytest.importorskip("flask_appbuilder", reason=NO_WIDGETS)
    made = providers_manager().connection_form_widgets.values()
    ours = {info.field_name: info.is_sensitive for info in made if info.hook_class_name.endswith("OAuth2Hook")}
    assert {name for name, sensitive in ours.items() if sensitive} == SECRET_FIELDS & set(widgets())


def test_an_empty_number_is_allowed() -> None:
    leeway = widgets()["leeway"]
    from wtforms import Form

    assert type("MadeUp", (Form,), {"leeway": leeway})(data={}).validate()


def test_airflows_form_has_the_fields_of_the_connection() -> None:
    pytest.importorskip("flask_appbuilder", reason=NO_WIDGETS)
    made = providers_manager().connection_form_widgets
    assert "extra__oauth2__base_url" in made
    assert {info.field_name for info in made.values() if info.hook_class_name.endswith("OAuth2Hook")} == set(widgets())
