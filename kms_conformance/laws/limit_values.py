"""Values that the data of the law of limits describe: texts of a length, lists of a number, octets, moments and dates."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from kms_conformance.laws.request import filled
from kms_conformance.run.case import CaseRun

_YEARS = 9
"""Within so many years each date comes, a leap day too."""
_A_DAY = timedelta(days=1)


def made(value: Any, marks: Mapping[str, Any], case: CaseRun) -> Any:
    """Return data with its objects replaced by the values that they describe.

    ``{text, to, begin}``: a text of ``to`` characters that begins with ``begin`` and goes on with ``text``; ``{list, of}``:
    so many texts, ``{number}`` in each, and with ``to`` all of that length; ``{octets}``: so many random ones in base64;
    ``{later}``: the moment so many seconds from now by the instance's clock; ``{date, fraction, zone}``: the next such
    moment of a year (``-02-29T12:00:00``, or with its year) in UTC, written with a fraction of its second and as a clock of
    the zone shows it.
    """
    match value:
        case {"text": str(text), "to": int(length)}:
            begin = str(filled(value.get("begin", ""), marks))
            return (begin + text * length)[:length]
        case {"list": str(entry), "of": int(number)}:
            template = filled(entry, {name: mark for name, mark in marks.items() if name != "number"})
            texts = [template.replace("{number}", str(count)) for count in range(1, number + 1)]
            return [text.ljust(value.get("to", 0), "x") for text in texts]
        case {"octets": int(size)}:
            return case.random_secret(size)
        case {"later": int(seconds)}:
            return f"{case.now() + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"
        case {"date": str(date)}:
            return _written(next_date(date, case.now()), value.get("fraction", ""), value.get("zone", ""))
        case dict():
            return {name: made(inner, marks, case) for name, inner in value.items()}
        case list():
            return [made(inner, marks, case) for inner in value]
    return value


def next_date(date: str, now: datetime) -> datetime:
    """Return the next moment with a date in UTC (``-02-29T12:00:00``, or with its year), a day from now at the earliest."""
    moments = []
    for year in [""] if not date.startswith("-") else [f"{now.year + more:04}" for more in range(_YEARS)]:
        try:
            moments.append(datetime.fromisoformat(f"{year}{date}").replace(tzinfo=UTC))
        except ValueError:
            continue  # no leap year
    return next(one for one in moments if one > now + _A_DAY)


def _written(moment: datetime, fraction: str, zone: str) -> str:
    """Return a moment as a clock of a zone (``+05:30``, ``Z``; none: UTC) shows it."""
    hours, _, minutes = zone.lstrip("+-Z").partition(":")
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0)) * (-1 if zone[:1] == "-" else 1)
    return f"{moment + offset:%Y-%m-%dT%H:%M:%S}{fraction}{zone}"
