"""What Airflow finds of the page when it loads its plugins."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from airflow.plugins_manager import AirflowPlugin

from airflow_oauth_provider.ui import plugin

HAS_PAGES = hasattr(AirflowPlugin, "external_views")


def printed_by(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split("\n")[-2].split()


def test_the_module_costs_airflow_nothing_but_itself() -> None:
    code = (
        "import sys, airflow.plugins_manager; before = set(sys.modules); import airflow_oauth_provider.ui.plugin; "
        "print(*(set(sys.modules) - before))"
    )
    assert set(printed_by(code)) - {"airflow_oauth_provider"} == {
        "airflow_oauth_provider.ui",
        "airflow_oauth_provider.ui.plugin",
    }


def test_airflow_loads_it_by_its_entry_point_without_a_word() -> None:
    code = (
        "import contextlib, io\n"
        "from airflow import plugins_manager\n"
        "said = io.StringIO()\n"
        "with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):\n"
        "    found = [info for info in plugins_manager.get_plugin_info() if info['name'] == 'oauth2_tokens']\n"
        "get_errors = getattr(plugins_manager, 'get_import_errors', lambda: plugins_manager.import_errors)\n"
        "views = [view['name'].replace(' ', '_') for info in found for view in info.get('external_views', [])]\n"
        "print(len(found), len(get_errors()), 'oauth' in said.getvalue().lower(), *views)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    pages = ["OAuth_2.0_tokens"] if HAS_PAGES else []
    assert done.stdout.split("\n")[-2].split() == ["1", "0", "False", *pages]


@pytest.mark.skipif(HAS_PAGES, reason="not applicable: this Airflow has pages of plugins")
def test_below_airflow_3_1_nothing_is_registered() -> None:
    for name in ("fastapi_apps", "external_views"):
        assert not hasattr(plugin.OAuth2TokensPlugin, name)


@pytest.mark.skipif(not HAS_PAGES, reason="not applicable: Airflow below 3.1 has no pages of plugins")
def test_the_page_is_a_view_of_its_own_application() -> None:
    [view], [app] = plugin.OAuth2TokensPlugin.external_views, plugin.OAuth2TokensPlugin.fastapi_apps
    assert view["href"] == f"{app['url_prefix'][1:]}/"
    assert view["destination"] == "nav"


def test_all_files_of_the_page_are_in_the_package() -> None:
    folder = Path(plugin.__file__).parent / "page"
    assert {path.name for path in folder.iterdir()} == {
        "forbidden.html",
        "index.html",
        "page.css",
        "page.js",
        "row.js",
        "theme.js",
    }
