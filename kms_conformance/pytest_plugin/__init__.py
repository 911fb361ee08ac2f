"""The pytest plugin: cases are ordinary items, and one verdict object comes out at the end.

This module is what pytest loads at every start, so it is light and inert: it adds the options and the markers, and loads
the rest only where a session asks for cases, by ``--kms-target`` or another ``--kms`` option, or by collecting
``kms_conformance.scenarios``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kms_conformance.pytest_plugin.command_line import OPTIONS, pytest_addoption

__all__ = ["pytest_addoption", "pytest_configure"]

NAME = "kms-session"
"""Under which the active half is registered with pytest."""
OWN_CASES = "kms_conformance.scenarios"
_MARKERS = (
    "covers(*requirements): rows of requirements.yaml that the case puts to the test",
    "needs(identity, capability, control): what the target must give",
    "impact(*kinds): what the case touches beyond its own keys",
    "waits(seconds): how long the case waits in all",
)


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and become active where cases are asked for."""
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)
    worker: dict[str, Any] | None = getattr(config, "workerinput", None)
    is_worker = worker is not None and "kms" in worker
    if is_worker or (worker is None and not _is_active(config) and _asked_for(config)):
        from kms_conformance.pytest_plugin.plugin import of_options, of_worker  # noqa: PLC0415 - inert sessions stay light

        config.pluginmanager.register(of_worker(worker) if worker is not None else of_options(config), NAME)


def _is_active(config: pytest.Config) -> bool:
    """Tell whether the command line has brought a session of its own."""
    return any(getattr(plugin, "is_kms_session", False) for plugin in config.pluginmanager.get_plugins())


def _asked_for(config: pytest.Config) -> bool:
    """Tell whether an option or an argument of the session asks for cases."""
    if any(config.getoption(option, None) is not None for option in OPTIONS):
        return True
    package = Path(__file__).parent.parent
    folders = (package / "scenarios", package.parent / "scenarios")  # of a wheel, and of a checkout
    for argument in config.args:
        place = str(argument).partition("::")[0]
        path = (config.invocation_params.dir / place).resolve()
        if place.startswith(OWN_CASES) or any(path.is_relative_to(folder) for folder in folders):
            return True
    return False
