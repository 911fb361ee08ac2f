"""The texts by which people meet refusals: codes, message texts, headings, ``errorMsg``.

A phrase is a sequence of words, so that quotes, stops, line breaks and frames around or within it do not matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from http import HTTPStatus
from typing import TYPE_CHECKING

from kms_conformance.contract.messages import Word, words

if TYPE_CHECKING:
    from kms_conformance.contract.contract import Contract
    from kms_conformance.contract.rows import ReasonCode, Requirement

LONGEST_GAP = 16
"""A placeholder of a message stands for this many words at most."""
_PLACEHOLDER = re.compile(r"<\w+>")
_FEW_WORDS = 5
_FIRST_ERROR, _LAST_ERROR = 400, 599
# What may stand directly before or after a clause without a stop between.
_BEFORE = frozenset({"error", "fatal", "warning", "warn", "failed", "message", "err", "info", "msg"})
_AFTER = frozenset({"status", "http", "code", "failed", "ok", "details"})
_SAYS_STATUS = frozenset({"status", "statuscode", "status_code", "http", "code", "1", "2", "error"})


class Kind(IntEnum):
    """What was recognised, the surest first."""

    CODE = 0
    MESSAGE = 1
    HEADING = 2
    SUBJECT = 3
    """The ``errorMsg`` of an answer: many refusals share one."""


@dataclass(frozen=True, eq=False)
class Entry:
    """A refusal that a text may be about: a reason code, or a row where a contract has no code for it."""

    contract: Contract
    code: ReasonCode | None = None
    row: Requirement | None = None

    @property
    def name(self) -> str:
        """The code, or the row's id."""
        return self.code.code if self.code is not None else self.row.id if self.row is not None else ""

    def fits(self, status: int) -> bool:
        """Tell whether an answer with this status may be the refusal."""
        return self.code is None or not self.code.status_judged or status in self.code.statuses


@dataclass(frozen=True, eq=False)
class Phrase:
    """Words that name refusals; ``None`` stands for any few words.

    ``clause``: too short or too common to count among other words. ``typed``: it counts in this spelling only.
    """

    words: tuple[str | None, ...]
    kind: Kind
    entries: tuple[Entry, ...]
    clause: bool = False
    typed: str = ""


@dataclass(frozen=True, slots=True)
class PhraseMatch:
    """A phrase in a text: ``start`` and ``end`` count words, ``line`` and ``last`` lines from 1."""

    start: int
    end: int
    line: int
    last: int
    kind: Kind
    entries: tuple[Entry, ...]


@dataclass
class LineMatches:
    """The matches of a line: phrases that end in it, and the statuses that it names."""

    found: list[PhraseMatch] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)


def phrases(contracts: Iterable[Contract]) -> tuple[Phrase, ...]:
    """Return every phrase of the contracts; refusals with the same text share a phrase."""
    gathered: dict[tuple[tuple[str | None, ...], Kind, bool, str], list[Entry]] = {}
    for contract in contracts:
        entries = {code.code: Entry(contract, code) for code in contract.codes.values()}
        for kind, text, about, typed in _texts(contract, entries):
            sequence = _sequence(text, numbers=kind is Kind.SUBJECT)
            clause = kind in {Kind.HEADING, Kind.SUBJECT} or (
                kind is Kind.MESSAGE and len(sequence) < _FEW_WORDS
            )
            if sequence:
                gathered.setdefault((sequence, kind, clause, typed), []).extend(about)
    return tuple(
        Phrase(sequence, kind, tuple(dict.fromkeys(entries)), clause, typed)
        for (sequence, kind, clause, typed), entries in gathered.items()
    )


def _texts(contract: Contract, entries: dict[str, Entry]) -> Iterator[tuple[Kind, str, list[Entry], str]]:
    for code, entry in entries.items():
        reason = contract.codes[code]
        # An ordinary word names no code: a code has an underscore, a number or a capital letter within it.
        # A name that no answer carries is ours or the page's: elsewhere the same word in small letters means other things.
        if re.search(r"_|[a-z]\d|\d[a-z]|(?-i:[a-z][A-Z])", code, re.IGNORECASE):
            yield Kind.CODE, code, [entry], "" if reason.in_body else code
        for text in reason.messages:
            yield Kind.MESSAGE, text, [entry], ""
        for text in reason.subjects:
            yield Kind.SUBJECT, text, [entry], ""
    for text, entry in _tolerated(contract, entries):
        yield Kind.MESSAGE, text, [entry], ""
    for section in contract.about.get("sections", ()):
        about = [entries[code] for code in section.get("codes", ())]
        for title in (section["title"], *section.get("headings", ())):
            yield Kind.HEADING, str(title), about, ""
    for name, row in contract.about.get("row_names", {}).items():
        yield Kind.CODE, str(name), [Entry(contract, row=contract.requirement(row))], ""


def _tolerated(contract: Contract, entries: dict[str, Entry]) -> Iterator[tuple[str, Entry]]:
    """Give the messages that rows tolerate in the place of their codes, which are about these codes all the same."""
    for row in contract.requirements.values():
        for other in row.accepts:
            if other.get("message") and row.code in entries:
                yield str(other["message"]), entries[row.code]


def _sequence(text: str, *, numbers: bool) -> tuple[str | None, ...]:
    """Return the words of a text of a contract; its placeholders, and with ``numbers`` its numbers, are left open."""
    sequence: list[str | None] = []
    for place, part in enumerate(_PLACEHOLDER.split(text)):
        sequence += [None] if place else []
        sequence += [None if numbers and word.text.isdigit() else word.text for word in words(part)]
    while sequence and sequence[-1] is None:
        sequence.pop()
    while sequence and sequence[0] is None:
        sequence.pop(0)
    return tuple(
        word for place, word in enumerate(sequence) if word is not None or sequence[place - 1] is not None
    )


class Scanner:
    """Looks for phrases in lines as they come; keeps the last few hundred words, whatever the text's length."""

    def __init__(self, known_phrases: Sequence[Phrase], contracts: Sequence[Contract]) -> None:
        self._by_last: dict[str, list[Phrase]] = {}
        for phrase in known_phrases:
            self._by_last.setdefault(str(phrase.words[-1]), []).append(phrase)
        self._longest = max(
            sum(LONGEST_GAP if word is None else 1 for word in phrase.words) for phrase in known_phrases
        )
        self._window: list[Word] = []
        self._lines: list[int] = []
        self._count = 0
        # Return and reason code of a crypto module.
        self._pairs = {
            code: Entry(contract, known_code)
            for contract in contracts
            for code, known_code in contract.codes.items()
            if code[0].isdigit()
        }

    def feed(self, number: int, line: str) -> LineMatches:
        """Take the next line, or the next piece of a long one."""
        matches = LineMatches()
        for word in _clauses(words(_written_out(line))):
            self._window.append(word)
            self._lines.append(number)
            self._count += 1
            if word.text.isdigit():
                self._take_number(word, matches)
            for phrase in self._by_last.get(word.text, ()):
                start = self._start(phrase, word)
                if start is not None:
                    matches.found.append(self._found(start, phrase.kind, phrase.entries))
            matches.statuses += self._status(word)
        if len(self._window) > 2 * self._longest:
            del self._window[: -self._longest], self._lines[: -self._longest]
        return matches

    def _found(self, start: int, kind: Kind, entries: tuple[Entry, ...]) -> PhraseMatch:
        gone = self._count - len(self._window)
        return PhraseMatch(gone + start, self._count, self._lines[start], self._lines[-1], kind, entries)

    def _start(self, phrase: Phrase, word: Word) -> int | None:
        """Return where in the window a phrase that ends with the newest word begins, or ``None``."""
        if phrase.typed and word.typed != phrase.typed:
            return None
        place, gap = len(self._window), 0
        wanted = list(phrase.words)
        while wanted:
            if wanted[-1] is None:
                wanted.pop()
                gap = LONGEST_GAP
                continue
            size = next((at for at, literal in enumerate(reversed(wanted)) if literal is None), len(wanted))
            part, wanted = wanted[-size:], wanted[:-size]
            for end in range(place - bool(gap), max(place - gap, size) - 1, -1):
                if [word.text for word in self._window[end - size : end]] == part:
                    place = end - size
                    break
            else:
                return None
        return place if not phrase.clause or (self._opens(place) and word.closes) else None

    def _opens(self, place: int) -> bool:
        return (
            self._window[place].opens
            or place == 0
            or self._lines[place - 1] != self._lines[place]
            or self._window[place - 1].text in _BEFORE
        )

    def _take_number(self, word: Word, matches: LineMatches) -> None:
        """Note the number as a reason code, where a return code stands before it."""
        tail = [typed.text for typed in self._window[-_PAIR_WORDS:]]
        if "reason" not in tail[-3:-1] or tail[-2] not in {"reason", "code"}:
            return
        reason = len(tail) - 1 - tail[::-1].index("reason")
        if "return" not in tail[:reason]:
            return
        begin = reason - 1 - tail[:reason][::-1].index("return")
        number = next((typed for typed in tail[begin + 1 : begin + 3] if typed.isdigit()), "")
        entry = self._pairs.get(f"{number}/{word.text}") or self._pairs.get(number)
        if entry is not None:
            matches.found.append(self._found(len(self._window) - len(tail) + begin, Kind.CODE, (entry,)))

    def _status(self, word: Word) -> list[int]:
        """Return the status of an answer that the newest words name."""
        before = self._window[-2].text if len(self._window) > 1 else ""
        if word.text.isdigit():
            number = int(word.text[:4])
            return [number] if _FIRST_ERROR <= number <= _LAST_ERROR and before in _SAYS_STATUS else []
        for size in _PHRASE_SIZES:
            tail = self._window[-size:]
            status = _PHRASES.get(" ".join(one.text for one in tail))
            if status is not None and word.closes and (tail[0].opens or before == str(status)):
                return [status]
        return []


def _clauses(line_words: list[Word]) -> Iterator[Word]:
    """Return the words of a line; a clause also ends before a word such as ``Status``."""
    for place, word in enumerate(line_words, 1):
        before_status = place < len(line_words) and line_words[place].text in _AFTER
        yield word._replace(closes=True) if before_status else word


def _written_out(line: str) -> str:
    """Return a line with pairs such as ``return 209/71`` or ``(209/71)`` as tools print them in words."""
    if "/" not in line and "," not in line:
        return line
    # In brackets alone, three of seven is progress; a reason is mostly smaller than the return code.
    text = _BARE_PAIR.sub(lambda pair: _in_words(pair) if int(pair[1]) > int(pair[2]) else pair[0], line)
    return _NAMED_PAIR.sub(_in_words, text)


def _in_words(pair: re.Match[str]) -> str:
    return f" return {pair[1]} reason {pair[2]} "


_NUMBERS = r"(\d{1,10})\s{0,2}[/,]\s{0,2}(\d{1,5})\b(?!\s{0,2}[/,.]\s{0,2}\d)"
_NAMED_PAIR = re.compile(rf"\b(?:return|reason|codes?|rc|error)\b\W{{0,3}}{_NUMBERS}", re.IGNORECASE)
_BARE_PAIR = re.compile(r"(?<=[(\[\"'])(\d{1,10})/(\d{1,5})(?=[)\]\"'])")
_PAIR_WORDS = 14
_PHRASES = {
    " ".join(word.text for word in words(status.phrase)): int(status)
    for status in HTTPStatus
    if status >= _FIRST_ERROR
}
_PHRASE_SIZES = tuple(sorted({phrase.count(" ") + 1 for phrase in _PHRASES}))
