"""What servers write in the place of dates and numbers, and the clock of what is measured."""

from __future__ import annotations

import base64
import re
import time

import pytest

from kms_conformance.api import Inconclusive, near
from kms_conformance.evidence import steady_clock
from kms_conformance.evidence.dates import moment_of
from kms_conformance.evidence.header_values import http_date, whole_number
from kms_conformance.transport.claims import end_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Thu, 01 Jan 1970 00:01:40 GMT", 100.0),
        ("Thu, 01 Jan 1970 00:01:40 -0000", 100.0),
        ("Thu, 01 Jan 1970 01:01:40 +0100", 100.0),
        ("", None),
        ("soon", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2024 00:00:00 +9999999999", None),
        ("Mon, 32 Jan 2024 00:00:00 GMT", None),
        ("Mon, 01 Jan 2024 12.34.56.78+0800", None),
    ],
)
def test_dates(text: str, seconds: float | None) -> None:
    """A date is a moment, whatever this machine's zone; anything else is none."""
    assert http_date(text) == seconds


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7", 7),
        ("007", 7),
        ("", None),
        ("-1", None),
        ("1.0", None),
        ("\xb2", None),
        ("\u0663", None),
        ("9" * 5000, None),
    ],
)
def test_numbers(text: str, number: int | None) -> None:
    """Digits are a number; not those of other scripts or in other places, nor thousands of them."""
    assert whole_number(text) == number


def test_clock_that_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Setting this machine's clock changes nothing of what is measured."""
    before = steady_clock.now()
    assert abs(before - time.time()) < 3600
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert before <= steady_clock.now() < before + 3600


@pytest.mark.parametrize("end", ["1" + "0" * 400, "1e999", "NaN", "-1", "true", '"soon"', "253402300800"])
def test_end_of_a_token_that_is_no_date(end: str) -> None:
    """A token may say of its end what it likes."""
    claims = _base64(f'{{"exp": {end}}}')
    assert end_of(f"e30.{claims}.c2ln") is None
    seven = _base64('{"exp": 7}')
    assert end_of(f"e30.{seven}.c2ln") == 7.0


def _base64(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("value", "is_date"),
    [
        ("2026-11-29T20:00:00Z", True),
        ("2026-11-29T20:00:00.123456+05:30", True),
        ("2026-11-29T20:00:00", False),
        ("9999-12-31T23:59:59Z", False),
        ("0001-01-01T00:00:00+14:00", False),
        ("soon", False),
        (7, False),
        (None, False),
    ],
)
def test_dates_of_bodies(value: object, is_date: bool) -> None:
    """A date has an offset and a year from which a calendar can go on: else no later one can be told."""
    assert (moment_of(value) is not None) is is_date


def test_patterns_near_a_date() -> None:
    """A second earlier or later is near; of what is no date nothing is."""
    pattern = near("2026-12-31T23:59:50.5Z", seconds=10)
    assert all(re.match(pattern, text) for text in ("2026-12-31T23:59:59Z", "2027-01-01T00:00:01.9Z"))
    assert not re.match(pattern, "2027-01-01T00:00:02Z")
    with pytest.raises(Inconclusive):
        near("9999-12-31T23:59:59Z", seconds=10)
