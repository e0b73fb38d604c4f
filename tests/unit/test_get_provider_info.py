from __future__ import annotations

import importlib
import json
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest

from airflow_oauth_provider.form import CONN_FIELDS, UI_FIELD_BEHAVIOUR
from airflow_oauth_provider.get_provider_info import CONFIG, CONNECTION_TYPE, get_provider_info
from airflow_oauth_provider.hooks.oauth2 import OAuth2Hook


def schema(name: str) -> dict[str, Any]:
    path = Path(airflow.__file__).parent / name
    if not path.exists():
        pytest.skip(f"not applicable: Airflow {airflow.__version__} has no {name}")
    return json.loads(path.read_text())  # type: ignore[no-any-return]


def providers_manager() -> Any:
    """Return what tasks ask for the hook of a connection."""
    try:
        runtime = importlib.import_module("airflow.sdk.providers_manager_runtime")
    except ImportError:
        return importlib.import_module("airflow.providers_manager").ProvidersManager()
    return runtime.ProvidersManagerTaskRuntime()


def test_the_entry_point_leads_here() -> None:
    (found,) = [
        e for e in entry_points(group="apache_airflow_provider") if e.value.startswith("airflow_oauth_provider.")
    ]
    assert found.load() is get_provider_info


def test_the_dict_is_json_and_each_call_describes_the_same() -> None:
    assert json.loads(json.dumps(get_provider_info())) == get_provider_info()


def test_the_dict_holds_against_the_schema_of_what_airflow_loads() -> None:
    jsonschema.validate(get_provider_info(), schema("provider_info.schema.json"))


def test_connection_types_and_config_hold_against_the_schema_that_really_checks_them() -> None:
    strict = schema("provider.yaml.schema.json")
    items = strict["properties"]["connection-types"]["items"]
    if "conn-fields" not in items["properties"]:
        pytest.skip(f"not applicable: the schema of Airflow {airflow.__version__} knows no conn-fields")
    assert items["properties"]["conn-fields"]
    resolved = {**strict, "type": "object", "required": [], "properties": strict["properties"]}
    part = {name: get_provider_info()[name] for name in ("connection-types", "config")}
    jsonschema.validate(part, resolved)
    broken = json.loads(json.dumps(part))
    broken["connection-types"][0]["conn-fields"]["scope"]["schema"]["type"] = "nonsense"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, resolved)


def test_the_form_is_the_one_that_is_declared() -> None:
    (described,) = get_provider_info()["connection-types"]
    assert described["conn-fields"] == CONN_FIELDS
    assert described["ui-field-behaviour"] == UI_FIELD_BEHAVIOUR


def test_airflow_finds_connection_type_and_hook() -> None:
    hook = providers_manager().hooks[CONNECTION_TYPE]
    assert hook is not None
    assert hook.hook_class_name == f"{OAuth2Hook.__module__}.{OAuth2Hook.__name__}"
    assert (hook.hook_name, hook.connection_id_attribute_name) == ("OAuth 2.0 API", "oauth2_conn_id")
    assert (CONNECTION_TYPE, "_" in CONNECTION_TYPE) == ("oauth2", False)
    assert OAuth2Hook.conn_type == CONNECTION_TYPE


def test_settings_are_declared_with_their_defaults_and_those_that_hold_secrets_are_sensitive() -> None:
    options = CONFIG["oauth2"]["options"]
    assert set(options) == {
        "token_store", "token_store_prefix", "token_store_key", "allowed_token_endpoints", "allowed_api_origins",
        "key_folders", "assertion_env_names",
    }  # fmt: skip
    # The URL of a Redis may hold its password.
    assert [name for name, option in options.items() if option.get("sensitive")] == ["token_store", "token_store_key"]
    # Airflow masks a sensitive option's value wherever it stands in a log: file:// would vanish from all of them.
    assert options["token_store"]["default"] == ""


def test_the_module_needs_the_standard_library_alone() -> None:
    code = (
        "import sys; import airflow_oauth_provider.get_provider_info as m; m.get_provider_info();"
        "tops = {n.partition('.')[0] for n in sys.modules} - set(sys.stdlib_module_names) - {'airflow_oauth_provider'};"
        "print(sorted(t for t in tops if not t.startswith('_')))"
    )
    # -S: what site-packages' .pth files import is not ours; the project itself is found from here.
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "[]"
