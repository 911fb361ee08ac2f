"""What a case expects of one exchange, as data.

An expectation is built by a case, judged by ``judge`` and stored with the transcript: it holds no code,
so that anybody can judge the same exchange again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kms_conformance.contract.severity import Verdict
from kms_conformance.evidence.serialization import AS_TEXT

_MANY = 9


@dataclass(frozen=True, slots=True)
class Outcome:
    """One answer that is allowed.

    ``code`` is the reason code, ``None`` where the answer carries no reasons (a success, or an envelope with
    ``errorMsg`` alone). ``messages`` are accepted texts (none: any); with ``detail`` more may follow each.
    ``target`` is ``(type, name)`` where the reason must name what was wrong. ``schema`` names a file of ``schemas/``.
    No statuses: any error. ``code_at``, ``text_at``, ``target_at`` and ``summary_at`` are the dotted paths of what the answer
    must say (see :class:`kms_conformance.contract.refusals.ReasonPlaces`); ``patterns`` are regular expressions of which one must be found in the text.
    """

    statuses: tuple[int, ...]
    code: str | None = None
    messages: tuple[str, ...] = ()
    detail: bool = False
    target: tuple[str, str] | None = None
    schema: str | None = None
    source: str = ""
    code_at: str = ""
    text_at: str = ""
    target_at: str = ""
    summary_at: str = ""
    patterns: tuple[str, ...] = ()

    def description(self) -> str:
        """Return the outcome in a few words."""
        many = len(self.statuses) > _MANY and self.statuses[-1] - self.statuses[0] == len(self.statuses) - 1
        status = " or ".join(str(status) for status in self.statuses) or "an error"
        status = f"{self.statuses[0]} to {self.statuses[-1]}" if many else status
        if self.patterns and not self.code:
            return f"{status} with a text like {self.patterns[0]!r}"
        return f"{status} {self.code}" if self.code else status

    def within(self, other: Outcome) -> bool:
        """Tell whether another outcome names the same code and more statuses, so that its words say this one too."""
        same = (self.code, self.patterns[:1]) == (other.code, other.patterns[:1])
        return same and set(self.statuses) < set(other.statuses)


@dataclass(frozen=True, slots=True)
class Member:
    """A statement about one member of the answer's body.

    ``path`` is dotted (``resources.0.id``; ``resources.*.id`` collects); ``check`` is one of ``equals``, ``agrees``
    (equals, where it is there at all), ``differs``,
    ``present``, ``absent``, ``empty`` (absent, or nothing: no text, no entries, false), ``contains``, ``lacks``, ``length``, ``header``, ``matches`` (a text,
    or one of a list of texts, in which a regular expression of the list ``value`` is found), ``matches-none``, ``hides``
    (nowhere in the answer; ``path`` only names what), ``selects``, ``sorted`` and ``between`` (see
    :mod:`kms_conformance.judging.order`), ``one-order`` (see :mod:`kms_conformance.judging.histories`).
    ``value`` is redacted like the exchange: a secret is its token.
    """

    path: str
    check: str
    value: Any = field(default=None, metadata=AS_TEXT)

    def description(self) -> str:
        """Return the statement in words."""
        words = {
            "equals": f"{self.path} = {self.value!r}",
            "agrees": f"{self.path} = {self.value!r} where it is shown",
            "differs": f"{self.path} other than {self.value!r}",
            "present": f"a member {self.path}",
            "absent": f"no member {self.path}",
            "empty": f"no member {self.path}, or an empty one",
            "contains": f"{self.path} with {self.value!r}",
            "lacks": f"{self.path} without {self.value!r}",
            "length": f"{self.value} entries" + (f" at {self.path}" if self.path else ""),
            "matches": f"{self.path} like {_first(self.value)!r}",
            "matches-none": f"{self.path} unlike {_first(self.value)!r}",
            "hides": f"{self.path} nowhere in the answer",
            "header": f"header {self.path}" + ("" if self.value is None else f" = {self.value!r}"),
        }
        return words[self.check] if self.check in words else self._list_description()

    def _list_description(self) -> str:
        if self.check == "sorted":
            return f"{self.path} sorted by " + ", ".join(f"{name} {order}" for name, order in self.value)
        if self.check == "one-order":
            return f"answers that fit some order of {len(self.value['requests'])} requests"
        if self.check == "between":
            first, last = self.value
            if first == last:
                return f"{self.path} = {first}"
            return f"{self.path} not before {first}" + (f" and not after {last}" if last else "")
        of, are, ordered = self.value
        order = " in this order" if ordered else ""
        names = ", ".join(
            one if one and one.isprintable() and not set(one) & {" ", ","} else repr(one) for one in are
        )
        return f"{self.path} with exactly these of the case's {len(of)}{order}: {names or 'none'}"


@dataclass(frozen=True, slots=True)
class Expectation:
    """Which outcomes of one exchange a requirement allows, and what its body must hold.

    ``severity`` is what a deviation does to the case: the requirement's level and evidence have decided it.
    """

    exchange: str
    requirement: str
    severity: Verdict
    outcomes: tuple[Outcome, ...]
    members: tuple[Member, ...] = ()

    def description(self) -> str:
        """Return the expectation in a few words."""
        outcomes = (
            outcome.description() for outcome in self.outcomes if not any(map(outcome.within, self.outcomes))
        )
        parts = [" or ".join(dict.fromkeys(outcomes))]
        parts += [member.description() for member in self.members]
        return ", ".join(part for part in parts if part)


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list | tuple) and value else value
