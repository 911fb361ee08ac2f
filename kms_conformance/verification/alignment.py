"""Compares two documents of which one was made anew: only what differs from run to run may differ, and consistently.

A case that is played again makes its own ids, times, key material and tokens. Each such value stands for one of the
recorded run: the first pair binds the two, in both directions, and from then on each may stand for nothing else.
Everything else has to be equal, character by character.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from kms_conformance.redaction.pseudonyms import MARK

_HEX = r"[0-9A-Fa-f]"
_KINDS: Mapping[str, str] = {
    "token": r"<[A-Za-z][\w-]*:[0-9a-f]{12}>",
    "person": rf"{MARK}[0-9a-f]{{4}}\+?[0-9a-f]{{4}}@pseudonym\.invalid|(?<=IBMid-){MARK}\w+|(?<=iam-ServiceId-){MARK}[\w-]+"
    rf"|(?<=iam-Profile-){MARK}[\w-]+|(?<![0-9A-Za-z]){MARK}[0-9]{{2,4}}(?=_[A-Za-z])",
    "pem": r"-----BEGIN [A-Z ]+-----[^-]*-----END [A-Z ]+-----",
    "uuid": rf"{_HEX}{{8}}(?:-{_HEX}{{4}}){{3}}-{_HEX}{{12}}",
    "name": r"kmsct-[A-Za-z0-9_-]+",
    "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)",
    "octets": rf"{_HEX}{{32,}}",
    "length": r"\d+(?=;PCI request;| characters with wrapped key parts)",
}
"""What differs from run to run: tokens of secrets, pseudonyms, ids, the suite's names, times, octets of a frame and their number."""
_UNBOUND, _MADE = frozenset({"length"}), frozenset({"octets"})
_SECRET, _SHORTEST = 8, 7
"""Characters of the shortest secret, and of the shortest text that may hold what differs from run to run."""
_HOLDING = frozenset({str, dict, list})
_MOST = 8192
_MOST_PLACES, _LONGEST = 3, 2000
_TOKEN = re.compile(_KINDS["token"])
_VARIABLE = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _KINDS.items()))


class DepartureError(Exception):
    """What was made anew is not what was recorded; the text says where and how."""


class BoundError(DepartureError):
    """A value stands for another one than before."""


@dataclass
class Alignment:
    """What stands for what; one for each case. ``recorded`` is of the run, ``anew`` of the case played again."""

    recorded: dict[str, str] = field(default_factory=dict)
    anew: dict[str, str] = field(default_factory=dict)
    bound: list[tuple[str, str]] = field(default_factory=list)
    """The pairs that were bound since somebody took them."""

    def know(self, document: Any) -> None:
        """Let everything variable in a recorded answer stand for itself: the case has it from there."""
        if isinstance(document, str):
            for value, _ in _variables(document) if len(document) >= _SHORTEST else ():
                self.recorded.setdefault(value, value)
                self.anew.setdefault(value, value)
        elif isinstance(document, dict):
            for name, value in document.items():
                if len(name) >= _SHORTEST:
                    self.know(name)
                if value.__class__ in _HOLDING:
                    self.know(value)
        elif isinstance(document, list):
            for value in document:
                if value.__class__ in _HOLDING:
                    self.know(value)

    def take_bound(self) -> list[tuple[str, str]]:
        """Return the pairs that were bound since the last time and still are."""
        taken, self.bound = self.bound, []
        return [(one, other) for one, other in taken if self.recorded.get(one) == other]

    def as_anew(self, document: Any) -> Any:
        """Return a recorded answer with the values that the case has made itself in the place of those they stand for."""
        match document:
            case dict():
                return {self.as_anew(name): self.as_anew(value) for name, value in document.items()}
            case list():
                return [self.as_anew(value) for value in document]
            case str():
                return _VARIABLE.sub(self._own, document) if _variables(document) else document
        return document

    def _own(self, match: re.Match[str]) -> str:
        return self.anew.get(match[0], match[0])

    def demand(self, anew: Any, recorded: Any, where: str) -> None:
        """Hold two documents against each other; raise :class:`DepartureError` where they differ."""
        if anew is recorded or (type(anew) is type(recorded) is str and anew == recorded):
            return
        if isinstance(anew, dict) and isinstance(recorded, dict):
            self._demand_members(anew, recorded, where)
        elif isinstance(anew, list | tuple) and isinstance(recorded, list | tuple):
            if len(anew) != len(recorded):
                raise DepartureError(f"{where} has {len(recorded)} entries instead of {len(anew)}")
            for place, (one, other) in enumerate(zip(anew, recorded, strict=True)):
                self.demand(one, other, f"{where}.{place}")
        elif isinstance(anew, str) and isinstance(recorded, str):
            self._demand_text(anew, recorded, where)
        elif type(anew) is not type(recorded) or anew != recorded:
            raise DepartureError(f"{where} is {recorded!r} instead of {anew!r}")

    def _demand_members(self, anew: Mapping[str, Any], recorded: Mapping[str, Any], where: str) -> None:
        if list(anew) == list(recorded):
            for name, value in anew.items():
                self.demand(value, recorded[name], f"{where}.{name}")
            return
        lacking = [name for name in anew if name not in recorded]
        beyond = [name for name in recorded if name not in anew]
        raise DepartureError(
            f"{where} lacks {', '.join(lacking)}"
            if lacking
            else f"{where} has {', '.join(beyond)} that the case does not send"
            if beyond
            else f"the members of {where} are in another order"
        )

    def _demand_text(self, anew: str, recorded: str, where: str) -> None:
        if len(anew) >= _SECRET and _TOKEN.fullmatch(recorded) and _may_be_secret(anew):
            # What another case has sent as a secret is one in this case too, and shown nowhere.
            self.bound.append((anew, recorded))
            if self.recorded.setdefault(anew, recorded) != recorded:
                raise BoundError(f"{where} is {recorded!r}, which holds another value than before")
            return
        ours, theirs = _variables(anew), _variables(recorded)
        if _skeleton(anew) != _skeleton(recorded):
            secrets = self._secrets_inside(anew, recorded)
            if not secrets:
                raise DepartureError(f"{where} is {recorded!r} instead of {anew!r}")
            for secret, token in secrets:
                self._demand_text(secret, token, where)
            return
        bound: list[tuple[str, str]] = []
        for one, other in zip(ours, theirs, strict=True):
            if one[0] == other[0] or one[1] in _UNBOUND:
                continue
            made = one[1] in _MADE
            if made and one[0] not in self.recorded and self.anew.get(other[0]) == other[0]:
                # Made by the case and seen first in an answer.
                del self.anew[other[0]], self.recorded[other[0]]
            if self.recorded.get(one[0], other[0]) != other[0] or self.anew.get(other[0], one[0]) != one[0]:
                self._release(bound)
                raise BoundError(f"{where} is {recorded!r}, which holds another value than before")
            bound += self._bind(one[0], other[0], is_time=one[1] == "time")
        self.bound += bound

    def _secrets_inside(self, anew: str, recorded: str) -> list[tuple[str, str]]:
        """Return what stands in the place of each token inside of a recorded text, empty where more than that differs.

        What another case has sent as a secret may be a part of a text here.
        """
        parts, tokens = _TOKEN.split(recorded), _TOKEN.findall(recorded)
        if _TOKEN.fullmatch(recorded) or not 0 < len(tokens) <= _MOST_PLACES or len(anew) > _LONGEST:
            return []
        pattern = f"(.{{{_SECRET},}})".join(re.escape(self.as_anew(part)) for part in parts)
        fits = re.fullmatch(pattern, anew, re.DOTALL)
        return [] if fits is None else list(zip(fits.groups(), tokens, strict=True))

    def _bind(self, anew: str, recorded: str, *, is_time: bool) -> list[tuple[str, str]]:
        """Bind two values, of times also what they are in UTC, as an answer may show them; return the pairs that are new."""
        pairs = [(anew, recorded), (_in_utc(anew), _in_utc(recorded))] if is_time else [(anew, recorded)]
        new = [pair for pair in pairs if pair[0] not in self.recorded and pair[1] not in self.anew]
        for one, other in new:
            self.recorded[one], self.anew[other] = other, one
        return new

    def _release(self, bound: list[tuple[str, str]]) -> None:
        for one, other in bound:
            del self.recorded[one], self.anew[other]


def _may_be_secret(text: str) -> bool:
    """Tell whether a text can have been sent as a secret by another case: none of what each case makes anew, but for octets."""
    variable = _VARIABLE.fullmatch(text)
    return variable is None or variable.lastgroup == "octets"


def _in_utc(time: str) -> str:
    """Return a time as the suite writes one in UTC; what is no time as it is."""
    try:
        return datetime.fromisoformat(time).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError):
        return time


@lru_cache(maxsize=_MOST)
def _variables(text: str) -> tuple[tuple[str, str | None], ...]:
    """Return what differs from run to run in a text, each with its kind; most texts come again and again."""
    return tuple((match[0], match.lastgroup) for match in _VARIABLE.finditer(text))


@lru_cache(maxsize=_MOST)
def _skeleton(text: str) -> str:
    return _VARIABLE.sub(lambda match: f"\0{match.lastgroup}\0", text)
