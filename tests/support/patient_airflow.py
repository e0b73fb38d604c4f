"""Token stores that may take their time in all programs of an Airflow; see :mod:`tests.support.patience`."""

from __future__ import annotations

import os
from pathlib import Path

# Holds what Python imports by itself when it starts.
PROGRAMS = Path(__file__).parent / "patient_programs"


def patient(*folders: Path) -> dict[str, str]:
    """
    Return the environment of programs whose stores are patient.

    :param folders: from which these programs import, too
    """
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return {"PYTHONPATH": os.pathsep.join([*map(str, (PROGRAMS, *folders)), *filter(None, inherited)])}
