"""Which refusal a text shows: a pasted message, a code in a log, return and reason code of a module."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from kms_conformance.contract.contract import load_contract
from kms_conformance.contract.messages import words
from kms_conformance.contract.phrases import Entry, Kind, Phrase, PhraseMatch, Scanner, phrases

if TYPE_CHECKING:
    from kms_conformance.contract.contract import Contract
    from kms_conformance.contract.rows import ReasonCode

_WORD = r"(?:[\s:=,/.-]|return|reason|code|rc)"
_PAIR = re.compile(rf"{_WORD}*(\d+){_WORD}+(\d+){_WORD}*", re.IGNORECASE)
_RETURN = re.compile(rf"{_WORD}*(\d+){_WORD}*", re.IGNORECASE)
NEAR = 8
"""Lines of a log that may belong to one refusal: code, message and ``errorMsg`` stand on lines of their own."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """One answer to what a text is about, and by what it was recognised."""

    entry: Entry
    kind: Kind


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal in a log: the line on which it begins, and what it may be, the likeliest first."""

    line: int
    answers: tuple[Recognised, ...]


def named(contract: Contract, text: str) -> ReasonCode | None:
    """Return the code that a text is, in any case, or the return and reason code that it consists of."""
    name = " ".join(text.split())
    for pattern in (_PAIR, _RETURN):
        numbers = re.fullmatch(pattern, name)
        if numbers is not None:
            return _numbered(contract, *numbers.groups())
    return _by_case(contract.id).get(name.casefold())


@cache
def _by_case(contract: str) -> dict[str, ReasonCode]:
    return {code.casefold(): reason for code, reason in load_contract(contract).codes.items()}


def recognised(contract: Contract, text: str) -> list[ReasonCode]:
    """Return the codes of one contract that a text is about, the likeliest first; none when it knows nothing like it."""
    entry = named(contract, text)
    if entry is not None:
        return [entry]
    return [answer.entry.code for answer in pasted([contract], text) if answer.entry.code is not None]


def pasted(contracts: Sequence[Contract], text: str) -> list[Recognised]:
    """Return what a pasted text is about, the likeliest answer first.

    A code anywhere in it is the answer, and nothing else is. Without one the longest message counts, then headings of the
    page and texts of ``errorMsg``; a status that the text names rules out what does not have it.
    """
    scanner = _scanner(contracts)
    phrase_matches: list[PhraseMatch] = []
    statuses: list[int] = []
    for number, line in enumerate(text.splitlines(), 1):
        matches = scanner.feed(number, line)
        phrase_matches += matches.found
        statuses += matches.statuses
    return _ranked(phrase_matches, statuses)


def in_log(contracts: Sequence[Contract], pieces: Iterable[tuple[int, str]]) -> Iterator[Refusal]:
    """Yield every known refusal in a log, in the order of its lines; keeps a few lines at a time.

    ``pieces`` are numbered lines; a long line may come in several pieces with the same number.
    """
    log = _Log()
    scanner = _scanner(contracts)
    for number, piece in pieces:
        matches = scanner.feed(number, piece)
        log.waiting += matches.found
        log.statuses += [(number, status) for status in matches.statuses]
        yield from log.settled(number - NEAR)
    yield from log.settled(None)


def is_heading(contract: Contract, text: str) -> str:
    """Return the anchor of the section whose heading a text is, ``""`` where it is none."""
    typed = [word.text for line in text.splitlines() for word in words(line)]
    for section in contract.about.get("sections", ()):
        titles = (section["title"], *section.get("headings", ()))
        if typed and any(typed == [word.text for word in words(str(title))] for title in titles):
            return str(section["anchor"])
    return ""


@dataclass
class _Log:
    """What was found in the last lines of a log and may still belong to what the next lines hold."""

    waiting: list[PhraseMatch] = field(default_factory=list)
    statuses: list[tuple[int, int]] = field(default_factory=list)
    codes: list[PhraseMatch] = field(default_factory=list)

    def settled(self, until: int | None) -> Iterator[Refusal]:
        """Yield the refusals that end before a line (``None``: the end of the log)."""
        if until is not None and not (self.waiting and self.waiting[0].last < until):
            return
        whole = _outermost(self.waiting)
        due = [match for match in whole if until is None or match.last < until]
        sure = [*self.codes, *(match for match in whole if match.kind is Kind.CODE)]
        texts = [match for match in whole if match.kind is Kind.MESSAGE]
        groups: dict[tuple[int, int], list[PhraseMatch]] = {}
        for match in sorted(due, key=lambda match: (match.line, match.start)):
            titled = match.kind is Kind.SUBJECT and any(
                other.kind is Kind.HEADING and other.start == match.end for other in whole
            )
            if not titled and not _belongs(match, sure, texts):
                groups.setdefault((match.line, 0 if match.kind is Kind.CODE else match.start), []).append(
                    match
                )
        for (line, _), group in groups.items():
            codes = [match for match in group if match.kind is Kind.CODE]
            near = [status for at, status in self.statuses if at == line] or [
                status for at, status in self.statuses if abs(at - line) <= NEAR
            ]
            for answers in _each(codes) if codes else [_ranked(group, near)]:
                yield Refusal(line, tuple(answers))
        if until is not None:
            self.codes = [match for match in sure if match.last >= until - 2 * NEAR]
            self.waiting = [match for match in self.waiting if match.last >= until]
            self.statuses = [(at, status) for at, status in self.statuses if at >= until - NEAR]


def _each(codes: Iterable[PhraseMatch]) -> list[list[Recognised]]:
    """Return each code of a line once, as an answer of its own."""
    entries = dict.fromkeys(entry for match in codes for entry in match.entries)
    return [[Recognised(entry, Kind.CODE)] for entry in entries]


def _belongs(match: PhraseMatch, sure: Iterable[PhraseMatch], texts: Iterable[PhraseMatch]) -> bool:
    """Tell whether a surer match near by already names this refusal."""
    if match.kind is Kind.CODE:
        return False
    for code in sure:
        common = not match.entries or set(code.entries).intersection(match.entries)
        near = abs(code.line - match.line) <= NEAR
        if near and (common or match.kind is not Kind.MESSAGE or code.line == match.line):
            return True
    return match.kind is not Kind.MESSAGE and any(abs(text.line - match.line) <= NEAR for text in texts)


def _ranked(matches: Iterable[PhraseMatch], statuses: Sequence[int]) -> list[Recognised]:
    whole = _outermost(matches)
    surest = min((one.kind for one in whole), default=Kind.CODE)
    if surest is Kind.CODE:
        whole = [one for one in whole if one.kind is Kind.CODE]
    elif surest is Kind.MESSAGE:
        whole = [one for one in whole if one.kind is Kind.MESSAGE]
    if surest is not Kind.CODE:
        whole = sorted(whole, key=lambda one: (one.start - one.end, one.kind, one.start))
    answers: dict[Entry, Recognised] = {}
    for one in whole:
        for entry in one.entries:
            answers.setdefault(_known(answers, entry), Recognised(entry, one.kind))
    ranked = list(answers.values())
    if surest is Kind.CODE:
        return ranked
    fitting = [one for one in ranked if any(one.entry.fits(status) for status in statuses)]
    return fitting or ranked


def _known(answers: Iterable[Entry], entry: Entry) -> Entry:
    return next(
        (answer for answer in answers if answer.code is entry.code and answer.row is entry.row), entry
    )


def _outermost(matches: Iterable[PhraseMatch]) -> list[PhraseMatch]:
    """Return what is not a part of something longer of the same or a surer kind."""
    everything = list(matches)
    return [
        one
        for one in everything
        if one.kind is Kind.CODE
        or not any(
            other.start <= one.start
            and one.end <= other.end
            and other.end - other.start > one.end - one.start
            for other in everything
        )
    ]


def _scanner(contracts: Sequence[Contract]) -> Scanner:
    return Scanner(_phrases(tuple(contract.id for contract in contracts)), contracts)


@cache
def _phrases(contracts: tuple[str, ...]) -> tuple[Phrase, ...]:
    return phrases([load_contract(contract) for contract in contracts])


def _numbered(contract: Contract, code: str, reason: str = "") -> ReasonCode | None:
    """Return what a return and a reason code mean; without that pair, what the return code alone means."""
    return contract.codes.get(f"{code}/{reason}" if reason else code) or contract.codes.get(code)
