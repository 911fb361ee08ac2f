"""A transcript on disk, whose exchanges are read case by case: what a run has seen may be larger than memory.

Where each exchange stands is found once, without reading it; :meth:`Transcript.load` reads those of a case.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from array import array
from collections.abc import Callable, Iterator, Sequence
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple, TypeVar, overload

from kms_conformance.errors import TranscriptError
from kms_conformance.evidence.exchange import Exchange
from kms_conformance.evidence.outline import KeptExchanges, Outline, outline_of
from kms_conformance.judging.expectation import Expectation
from kms_conformance.outputs import har
from kms_conformance.outputs.files import open_file

Judged = tuple[Exchange, list[Expectation]]
T = TypeVar("T")
_CASE = re.compile(rb'"_kms": \{"case": ("(?:[^"\\]|\\.)*")')
_OWN = b'"_kms": {"case": '


class Places(NamedTuple):
    """Where the exchanges of a ``case`` stand: offset and length of each in bytes; ``as_written`` has 0 for one that no run writes so."""

    case: str
    offsets: array[int]
    lengths: array[int]
    as_written: bytearray

    def reordered(self, order: Sequence[int]) -> Places:
        """Return the places in another order."""
        return Places(
            self.case,
            array("Q", (self.offsets[place] for place in order)),
            array("Q", (self.lengths[place] for place in order)),
            bytearray(self.as_written[place] for place in order),
        )


class Transcript:
    """The transcript of a report directory, open for reading; to be closed."""

    def __init__(self, path: Path) -> None:
        """Find the exchanges; raise :class:`TranscriptError` where the file is no transcript of this suite."""
        self.path, self.size = path, 0
        self.cases: dict[str, Places] = {}
        self._last: tuple[Places, list[Judged]] | None = None
        self._file = self._checked(lambda: open_file(path))
        try:
            if not self._checked(self._is_in_lines):
                self._file = self._checked(self._in_lines)
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def load(self, places: Places) -> list[Judged]:
        """Return the exchanges at these places, each with what was expected of it; the last ones are kept."""
        if self._last is None or self._last[0] is not places:
            self._last = None
            self._last = (places, [self._load(places, place) for place in range(len(places.offsets))])
        return self._last[1]

    def line(self, places: Places, place: int) -> str:
        """Return the line of an exchange as a run writes it."""
        if places.as_written[place]:
            return self._bytes(places, place).decode("ascii")
        return har.entry_text(*self._load(places, place))

    def note_form(self, places: Places) -> None:
        """Note which of the exchanges stand there the way that a run writes them."""
        for place, judged in enumerate(self.load(places)):
            anew = har.entry_text(*judged).encode("ascii", "backslashreplace")
            places.as_written[place] = anew == self._bytes(places, place)

    def _load(self, places: Places, place: int) -> Judged:
        judged = self._checked(lambda: har.judged_of(self._bytes(places, place).decode("utf-8")))
        if judged[0].case != places.case:
            raise TranscriptError(
                str(self.path),
                f"an entry of {judged[0].case!r} says at its end that it is of {places.case!r}",
            )
        return judged

    def _bytes(self, places: Places, place: int) -> bytes:
        # Not `seek`: a child of this process reads the same open file.
        return os.pread(self._file.fileno(), places.lengths[place], places.offsets[place])

    def _checked(self, read: Callable[[], T]) -> T:
        try:
            return read()
        except OSError as error:
            raise TranscriptError(str(self.path), error.strerror or str(error)) from error
        except (ValueError, RecursionError) as error:
            raise TranscriptError(str(self.path), f"it is not JSON of the right form ({error})") from error
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise TranscriptError(
                str(self.path), f"a member is missing or of the wrong kind ({error!r})"
            ) from error

    def _is_in_lines(self) -> bool:
        """Find the exchanges of a file that has one of them a line, as a run writes it; tell whether it is one."""
        head, mark = bytearray(), har.ENTRIES.encode()
        for line in self._file:
            head += line
            if line == mark:
                break
        else:
            return False
        json.loads(bytes(head) + har.END.encode())
        offset, is_last = len(head), False
        for line in self._file:
            if is_last:
                return line == har.END[1:].encode() and not self._file.read(1)
            if not line.startswith(b"{"):
                return False
            is_last = not line.endswith(b",\n")
            self._found(offset, len(line) - (1 if is_last else 2), line)
            offset += len(line)
        return False

    def _found(self, offset: int, length: int, line: bytes) -> None:
        match = _CASE.match(line, line.rfind(_OWN))
        case = (
            str(json.loads(match[1])) if match else har.judged_of(line.decode("utf-8").rstrip(",\n"))[0].case
        )
        places = self.cases.setdefault(case, Places(case, array("Q"), array("Q"), bytearray()))
        places.offsets.append(offset)
        places.lengths.append(length)
        places.as_written.append(0)
        self.size += 1

    def _in_lines(self) -> BufferedReader:
        """Return a file of lines with the exchanges of one that somebody has written in another way."""
        self.cases, self.size = {}, 0
        self._file.seek(0)
        document, offset = json.loads(self._file.read().decode("utf-8")), 0
        with tempfile.TemporaryDirectory() as name:
            place = Path(name) / har.NAME
            with place.open("wb") as lines:
                for entry in document["log"]["entries"]:
                    line = har.line_of(entry).encode("ascii")
                    self._found(offset, len(line), line)
                    offset += lines.write(line + b"\n")
            self._file.close()
            return open_file(place)


class StoredExchanges(KeptExchanges):
    """The exchanges of a case in a transcript."""

    def __init__(self, transcript: Transcript, places: Places, outlines: Sequence[Outline]) -> None:
        """Name the file, the places in it, and what is known of each exchange."""
        self._transcript, self._places, self.outlines = transcript, places, outlines

    def __len__(self) -> int:
        """Return their number."""
        return len(self.outlines)

    @overload
    def __getitem__(self, place: int) -> Exchange: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Exchange]: ...
    def __getitem__(self, place: int | slice) -> Exchange | Sequence[Exchange]:
        """Read the case and return one of them, or several."""
        judged = self._transcript.load(self._places)
        if isinstance(place, slice):
            return [exchange for exchange, _ in judged[place]]
        return judged[place][0]

    def entry(self, place: int) -> str:
        """Return an exchange as the transcript has it."""
        return self._transcript.line(self._places, place)


class StoredExpectations(Sequence[Expectation]):
    """What was expected of the exchanges of a case, in their order."""

    def __init__(self, transcript: Transcript, places: Places, number: int) -> None:
        """Name the file, the places in it, and how many expectations there are."""
        self._transcript, self._places, self._number = transcript, places, number

    def __len__(self) -> int:
        """Return their number."""
        return self._number

    def __iter__(self) -> Iterator[Expectation]:
        """Read the case and yield them."""
        for _, expectations in self._transcript.load(self._places):
            yield from expectations

    @overload
    def __getitem__(self, place: int) -> Expectation: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Expectation]: ...
    def __getitem__(self, place: int | slice) -> Expectation | Sequence[Expectation]:
        """Read the case and return one of them, or several."""
        return list(self)[place]


def outlines_of(judged: Sequence[Judged]) -> tuple[Outline, ...]:
    """Return the outlines of exchanges."""
    return tuple(outline_of(exchange) for exchange, _ in judged)
