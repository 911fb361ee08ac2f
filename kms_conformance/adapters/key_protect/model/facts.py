"""Facts about an answer: which value a member has, where a source fixes it.

A member that no fact names is not judged. A rule returns what it expected instead of a value, or nothing.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

MISSING = object()
"""What a path leads to where an answer has no such member."""


class Rule(Protocol):
    """What a value must be."""

    def mismatch(self, value: Any) -> str:
        """Return what was expected instead of this value, ``""`` when the value is right."""


@dataclass(frozen=True, slots=True)
class Equal:
    """The value itself."""

    value: Any

    def mismatch(self, value: Any) -> str:
        """Return what was expected instead of this value."""
        same = value == self.value and isinstance(value, bool) == isinstance(self.value, bool)
        return "" if same else repr(self.value)


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of several values."""

    values: frozenset[Any]

    def mismatch(self, value: Any) -> str:
        """Return what was expected instead of this value."""
        try:
            allowed = value in self.values
        except TypeError:
            allowed = False
        return "" if allowed else f"one of {sorted(map(repr, self.values))}"


@dataclass(frozen=True, slots=True)
class NoneOf:
    """A text that is none of those known, because the service must have made a new one."""

    values: frozenset[str]

    def mismatch(self, value: Any) -> str:
        """Return what was expected instead of this value."""
        good = isinstance(value, str) and bool(value) and value not in self.values
        return "" if good else f"none of {sorted(self.values)}"


@dataclass(frozen=True, slots=True)
class Ending:
    """A text with a known end."""

    end: str

    def mismatch(self, value: Any) -> str:
        """Return what was expected instead of this value."""
        return (
            "" if isinstance(value, str) and value.endswith(self.end) else f"a text that ends in {self.end}"
        )


@dataclass(frozen=True, slots=True)
class Absent:
    """Left out, null, or empty: the API shows what is not set in each of these ways."""

    def mismatch(self, value: Any) -> str:
        """Return what was expected instead of this value."""
        return "" if value is MISSING or value in (None, "", []) else "no such member"


@dataclass(frozen=True, slots=True)
class AbsentOrFalse:
    """Left out, null or false."""

    def mismatch(self, value: Any) -> str:
        """Return what was expected instead of this value."""
        return "" if value is MISSING or value is None or value is False else "false or no such member"


@dataclass(frozen=True, slots=True)
class Optional:
    """Left out, or as another rule says."""

    rule: Rule

    def mismatch(self, value: Any) -> str:
        """Return what was expected instead of this value."""
        return "" if value is MISSING else self.rule.mismatch(value)


@dataclass(frozen=True, slots=True)
class Same:
    """The same members in any order."""

    values: frozenset[Any]

    def mismatch(self, value: Any) -> str:
        """Return what was expected instead of this value."""
        good = (
            isinstance(value, list)
            and len(value) == len(self.values)
            and all(v in self.values for v in value)
        )
        return "" if good else f"exactly {sorted(map(repr, self.values))}"


@dataclass(frozen=True, slots=True)
class Near:
    """A date between two moments, in seconds since 1970."""

    earliest: float
    latest: float

    def mismatch(self, value: Any) -> str:
        """Return what was expected instead of this value."""
        seconds = seconds_of(value)
        if seconds is not None and self.earliest <= seconds <= self.latest:
            return ""
        return f"a date from {date_of(self.earliest)} to {date_of(self.latest)}"


@dataclass(frozen=True, slots=True)
class Bytes:
    """Base64 of so many bytes; at least one where the number is 0."""

    length: int = 0

    def mismatch(self, value: Any) -> str:
        """Return what was expected instead of this value."""
        data = decoded(value)
        good = data is not None and (len(data) == self.length if self.length else bool(data))
        return "" if good else f"base64 of {self.length or 'some'} bytes"


@dataclass(frozen=True, slots=True)
class Between:
    """A number within bounds, also where a header spells it."""

    least: int
    most: int

    def mismatch(self, value: Any) -> str:
        """Return what was expected instead of this value."""
        try:
            number = int(value)
        except (TypeError, ValueError):
            return f"a number from {self.least} to {self.most}"
        return "" if self.least <= number <= self.most else f"a number from {self.least} to {self.most}"


@dataclass(frozen=True, slots=True)
class Entries:
    """The entries of a list, each known by a member: those that must be there, those that may, and their order."""

    by: str
    required: Mapping[str, Mapping[str, Rule]]
    possible: Mapping[str, Mapping[str, Rule]] = field(default_factory=dict)
    order: tuple[str, ...] | None = None
    least: int | None = None
    most: int | None = None

    def mismatch(self, value: Any) -> str:
        """Return what was expected instead of this value."""
        entries = [] if value is MISSING or value is None else value
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            return "a list of objects"
        names = [str(entry.get(self.by)) for entry in entries]
        return self._mismatched_names(names) or self._mismatched_members(entries)

    def _mismatched_names(self, names: list[str]) -> str:
        if len(set(names)) != len(names):
            return f"each {self.by} once"
        if self.order is not None:
            return "" if tuple(names) == self.order else f"in this order: {list(self.order)}"
        if self.least is None and not set(self.required) <= set(names):
            return f"also {sorted(set(self.required) - set(names))}"
        entries = {**self.required, **self.possible}
        if not set(names) <= set(entries):
            return f"without {sorted(set(names) - set(entries))}"
        few = self.least is not None and len(names) < self.least
        many = self.most is not None and len(names) > self.most
        return f"{self.least} to {self.most} entries, not {len(names)}" if few or many else ""

    def _mismatched_members(self, entries: list[dict[str, Any]]) -> str:
        rules = {**self.required, **self.possible}
        for entry in entries:
            for path, rule in rules.get(str(entry.get(self.by)), {}).items():
                expected = rule.mismatch(lead(entry, path))
                if expected:
                    return f"{entry.get(self.by)}: {path} {expected}, not {_shown(lead(entry, path))}"
        return ""


@dataclass(frozen=True, slots=True)
class ByKind:
    """The entries of a list, each known by the member that only its kind has."""

    kinds: Mapping[str, Mapping[str, Rule]]

    def mismatch(self, value: Any) -> str:
        """Return what was expected instead of this value."""
        entries = [] if value is MISSING or value is None else value
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            return "a list of objects"
        for kind, facts in self.kinds.items():
            of_kind = [entry for entry in entries if entry.get(kind) is not None]
            if len(of_kind) != 1:
                return f"one entry of {kind}"
            for path, rule in facts.items():
                expected = rule.mismatch(lead(of_kind[0], path))
                if expected:
                    return f"{kind}: {path} {expected}, not {_shown(lead(of_kind[0], path))}"
        return ""


def lead(value: Any, path: str) -> Any:
    """Return what a dotted path leads to, :data:`MISSING` where it leads nowhere; ``""`` leads to the value itself."""
    for part in path.split(".") if path else []:
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return MISSING
    return value


def failures(facts: Mapping[str, Rule], body: Any) -> list[str]:
    """Return one sentence for each fact that a body breaks."""
    messages = []
    for path, rule in facts.items():
        value = lead(body, path)
        expected = rule.mismatch(value)
        if expected:
            messages.append(f"{path} must be {expected}, not {_shown(value)}")
    return messages


def seconds_of(value: Any) -> float | None:
    """Return an RFC 3339 date as seconds since 1970, nothing where the text is no such date with an offset."""
    if not isinstance(value, str):
        return None
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        return None
    return None if read.tzinfo is None else read.timestamp()


def date_of(seconds: float) -> str:
    """Return seconds since 1970 as an RFC 3339 date in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def decoded(value: Any) -> bytes | None:
    """Return what a base64 text stands for, nothing where it is none."""
    if not isinstance(value, str):
        return None
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None


def _shown(value: Any) -> str:
    text = "missing" if value is MISSING else repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."  # noqa: PLR2004 - what fits a line or two
