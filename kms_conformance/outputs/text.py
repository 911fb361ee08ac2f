"""How texts, times and durations look in every output. Pure."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from datetime import UTC, datetime

_HIDDEN = re.compile(r"[^\x20-\x7e]")
_HIDDEN_IN_LINES = re.compile(r"[^\x20-\x7e\n]")
_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_ELLIPSIS = "..."
_JOINT = re.compile(r"[._\[\]/?&=,:-]")


def rfc3339(seconds: float) -> str:
    """Return a time in seconds since the epoch as RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def rounded(seconds: float) -> float:
    """Return a duration in seconds, to the millisecond."""
    return round(seconds, 3)


def duration_text(seconds: float) -> str:
    """Return a duration for people: ``12 ms``, ``3.4 s``, ``2 min 5 s``, ``1 h 3 min``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:  # noqa: PLR2004 - seconds of a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:  # noqa: PLR2004 - minutes of an hour
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def visible(text: str) -> str:
    """Return a text with everything escaped that a terminal or an eye would not show as it is.

    A server chooses part of these texts: escape sequences and direction marks must not act.
    """
    return _HIDDEN.sub(_escaped, text)


def visible_lines(text: str) -> str:
    """Return a text of several lines in which everything else that hides is escaped."""
    return _HIDDEN_IN_LINES.sub(_escaped, text)


def one_line(text: str) -> str:
    """Return a text on one line, blanks collapsed and hidden characters escaped."""
    return visible(" ".join(text.split()))


def first_line(text: str) -> str:
    """Return the first line of a docstring or of a message."""
    return one_line(text.strip().partition("\n")[0])


def shorten(text: str, width: int) -> str:
    """Return a text of at most ``width`` characters; an ellipsis says that some are missing.

    It ends after a word where one ends in the second half of the room, and anywhere else.
    """
    if len(text) <= width:
        return text
    head = text[: max(width - len(_ELLIPSIS), 0)]
    blank = head.rfind(" ") if text[len(head)] != " " else len(head)
    return (head[:blank].rstrip() if blank > len(head) // 2 else head) + _ELLIPSIS


def wrapped(text: str, width: int, *, most: int | None = None) -> list[str]:
    """Return a text on lines of ``width`` characters, on at most so many; an ellipsis says that some are missing.

    A word that no line holds, such as the id of a case, is broken after one of its points, brackets and underscores.
    """
    wrapper = _Wrapper(width, max_lines=most, placeholder=_ELLIPSIS, break_on_hyphens=False)
    return wrapper.wrap(text) or [""]


class _Wrapper(textwrap.TextWrapper):
    """Breaks long words where a reader would."""

    def _handle_long_word(
        self, reversed_chunks: list[str], cur_line: list[str], cur_len: int, width: int
    ) -> None:
        """Put the first part of a long word on the line, and leave the rest for the next."""
        room = max(width - cur_len, 1)
        word = reversed_chunks[-1]
        end = max((match.end() for match in _JOINT.finditer(word, 0, room)), default=0)
        if end <= room // 3:
            if cur_line:
                return
            end = room
        cur_line.append(word[:end])
        reversed_chunks[-1] = word[end:]


def plural(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun: ``1 case``, ``2 cases``."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    if unicodedata.category(character) not in _CATEGORIES:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004 - Python's own forms
