"""The ``--kms-*`` options of pytest's command line."""

from __future__ import annotations

import pytest

from kms_conformance.run.option_table import FUZZ_OPTIONS, RUN_OPTIONS, TARGET_OPTIONS

ALL_OPTIONS = (*TARGET_OPTIONS, *RUN_OPTIONS, *FUZZ_OPTIONS)
OPTIONS = tuple(f"kms_{option.name}" for option in ALL_OPTIONS)
"""The names under which pytest keeps the values of the options; each asks for cases."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ``--kms-*`` options."""
    group = parser.getgroup("kms", "KMS conformance")
    for option in ALL_OPTIONS:
        flag, text = f"--kms-{option.flag}", option.help.replace("%", "%%")
        if option.kind is bool:
            group.addoption(flag, action="store_true", default=None, help=text)
        elif option.choices:
            group.addoption(flag, choices=option.choices, help=text)
        else:
            # A path stays text: an empty one is as good as none.
            kind = option.kind if option.kind in {int, float} else str
            group.addoption(flag, type=kind, metavar=option.metavar, help=text)
