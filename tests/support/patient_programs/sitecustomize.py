"""
Python imports this by itself where this folder is on PYTHONPATH; see :mod:`tests.support.patient_airflow`.

Nothing is imported before the program does it: some tests look at what is.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

PATIENT_S = 60.0
STORES = "airflow_oauth_provider.tokens.stores"


def _guarded(module: Any) -> None:
    module.GuardedStore.__init__.__kwdefaults__["timeout_s"] = PATIENT_S


def _file(module: Any) -> None:
    module._LOCK_TIMEOUT_S = module._COUNT_TIMEOUT_S = PATIENT_S


def _redis(module: Any) -> None:
    module._SOCKET_TIMEOUT_S = PATIENT_S


def _variable(module: Any) -> None:
    module.TIMEOUT_S = PATIENT_S


def _opening(module: Any) -> None:
    module.CONNECTING_TIMEOUT_S = PATIENT_S


CHANGES = {
    f"{STORES}.guarded": _guarded,
    f"{STORES}.file": _file,
    f"{STORES}.redis": _redis,
    f"{STORES}.variable": _variable,
    f"{STORES}.opening": _opening,
}


class Patience(MetaPathFinder):
    """Changes the modules of the stores right after they were executed."""

    def __init__(self) -> None:
        self._finding = False

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        change = CHANGES.get(fullname)
        if change is None or self._finding:
            return None
        self._finding = True
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._finding = False
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_change(module: ModuleType) -> None:
            execute(module)
            change(module)

        spec.loader.exec_module = execute_and_change  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, Patience())
