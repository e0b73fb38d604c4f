"""What a test needs from the machine."""

from __future__ import annotations

import os

import pytest


def require(condition: bool, what: str) -> None:
    """
    Skip the test unless *condition* holds; fail it under ``OAUTH2_REQUIRE_ALL=1``, where everything is installed.

    :param what: what is missing, as the end of the sentence "needs …"
    """
    if condition:
        return
    if os.environ.get("OAUTH2_REQUIRE_ALL") == "1":
        pytest.fail(f"needs {what}", pytrace=False)
    pytest.skip(f"needs {what}")
