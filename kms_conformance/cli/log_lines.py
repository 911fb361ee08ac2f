"""The lines of a log as it comes: UTF-8, what Windows writes (UTF-16 with or without a mark, its own 8-bit characters), UTF-32."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from io import BufferedIOBase
from typing import BinaryIO

LONGEST_PIECE = 64 * 1024
"""Characters of a piece of a long line, and octets that are read at once."""
_LONGEST_WORD = 120
"""Characters at the end of a piece that may be the beginning of a word."""
_ENOUGH, _SAMPLE = 4, 512
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_MOSTLY, _HARDLY = 0.5, 0.05
_WINDOWS = "kms-conformance-windows-1252"


def lines(log: BinaryIO) -> Iterator[tuple[int, str]]:
    """Yield the lines of a log with their numbers; a long line in pieces of bounded size, none cut within a word."""
    number, kept = 1, ""
    for text in _texts(log):
        *whole, kept = (kept + text).split("\n")
        for line in whole:
            yield from ((number, piece) for piece in _pieces(line.rstrip("\r")))
            number += 1
        while len(kept) > LONGEST_PIECE:
            cut = _cut(kept, LONGEST_PIECE)
            yield number, kept[:cut]
            kept = kept[cut:]
    if kept:
        yield number, kept


def encoding_of(beginning: bytes) -> str:
    """Return the encoding of a log by its first octets: its mark, or where the zeros of plain letters stand."""
    for mark, encoding in _MARKS:
        if beginning.startswith(mark):
            return encoding
    pairs = len(beginning) // 2
    sample = beginning[: 2 * pairs]
    first, second = sample[::2].count(0), sample[1::2].count(0)
    if second > _MOSTLY * pairs and first <= _HARDLY * pairs:
        return "utf-16-le"
    if first > _MOSTLY * pairs and second <= _HARDLY * pairs:
        return "utf-16-be"
    return "utf-8"


def _texts(log: BinaryIO) -> Iterator[str]:
    """Yield a log as text, as soon as some of it has come."""
    read = log.read1 if isinstance(log, BufferedIOBase) else log.read
    beginning = b""
    while len(beginning) < _ENOUGH and (more := read(LONGEST_PIECE)):
        beginning += more
    encoding = encoding_of(beginning[:_SAMPLE])
    decoder = codecs.getincrementaldecoder(encoding)(_WINDOWS if encoding == "utf-8" else "replace")
    yield decoder.decode(beginning).removeprefix("\ufeff")
    while more := read(LONGEST_PIECE):
        yield decoder.decode(more)
    yield decoder.decode(b"", final=True)


def _pieces(line: str) -> Iterator[str]:
    while len(line) > LONGEST_PIECE:
        cut = _cut(line, LONGEST_PIECE)
        yield line[:cut]
        line = line[cut:]
    yield line


def _cut(text: str, most: int) -> int:
    """Return where a text may be cut before a place: after the last blank, or where a word is longer than any."""
    blank = max(
        (place for sign in " \t" if (place := text.rfind(sign, most - _LONGEST_WORD, most)) >= 0), default=-1
    )
    return blank + 1 if blank >= 0 else most - _LONGEST_WORD


def _of_windows(error: UnicodeError) -> tuple[str, int]:
    """Read octets that are no UTF-8 as Windows writes them, and those that it has no sign for as Latin-1."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    octets = error.object[error.start : error.end]
    try:
        return octets.decode("cp1252"), error.end
    except UnicodeDecodeError:
        return octets.decode("latin-1"), error.end


codecs.register_error(_WINDOWS, _of_windows)
