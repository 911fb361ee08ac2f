"""The values of a target document, each checked by the form that it must have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kms_conformance.errors import (
    BadValueError,
    did_you_mean,
)
from kms_conformance.system import System
from kms_conformance.target.schema import target_schema
from kms_conformance.target.urls import checked_url

FRESH = "fresh"


def checked_instance(name: str, value: Any, system: System) -> str:
    """Check what keeps cases apart by the form that a system gives it."""
    form = system.instance
    fresh = f', or "{FRESH}" where the endpoint makes instances on first use' if form.fresh else ""
    advice = f"give {form.what}{fresh}."
    if value is None:
        if form.default is None:
            raise BadValueError(name, "", "it is missing", advice)
        return form.default
    if value == FRESH:
        if not form.fresh:
            raise BadValueError(name, FRESH, f"{system.id} makes no instances on first use", advice)
        return FRESH
    if isinstance(value, str) and value == form.default:
        return value
    if not isinstance(value, str) or (form.pattern and not re.fullmatch(form.pattern, value)):
        raise BadValueError(name, str(value), f"that is not {form.what}", advice)
    return value


def optional_url(document: Mapping[str, Any], key: str, name: str) -> str:
    """Return a member that is a URL, ``""`` where it is not given; raise :class:`BadValueError`."""
    return checked_url(name, document[key]) if key in document else ""


def checked_number(name: str, value: Any, *, low: float, exclusive: bool = False) -> float | None:
    """Return a number of seconds or a rate, ``None`` where none is given; raise :class:`BadValueError`."""
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise BadValueError(
            name, str(value), "that is no number", "give seconds or a rate as a number."
        ) from None
    if isinstance(value, bool) or number != number or number < low or (exclusive and number == low):  # noqa: PLR0124 - NaN
        raise BadValueError(
            name,
            str(value),
            f"it must be {'above' if exclusive else 'at least'} {low:g}",
            "see docs/target.md.",
        )
    return number


def checked_switches(document: Mapping[str, Any], key: str) -> dict[str, bool]:
    """Return a table of names that are true or false; raise :class:`BadValueError`."""
    names = target_schema()["properties"][key]["propertyNames"]["enum"]
    switches: dict[str, bool] = {}
    for name, value in table_of(document, key).items():
        if name not in names:
            near = did_you_mean(name, names)
            # A flag or a variable said so: the keys of the file are known by now.
            hint = f"did you mean {near!r}?" if near else f"known: {', '.join(names)}."
            raise BadValueError(key, name, "there is no such name", hint)
        if not isinstance(value, bool):
            raise BadValueError(
                f"{key}.{name}", str(value), "it must be true or false", "write true or false without quotes."
            )
        switches[name] = value
    return switches


def table_of(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return a table of a document, empty where it is not given; raise :class:`BadValueError`."""
    return checked_table(key, document.get(key, {}))


def checked_table(name: str, value: Any) -> Mapping[str, Any]:
    """Return a value that has to be a table; raise :class:`BadValueError`."""
    if not isinstance(value, Mapping):
        shown = "…" if name.startswith("identities") else str(value)
        raise BadValueError(name, shown, "it must be a table", f"write it as [{name}].")
    return value
