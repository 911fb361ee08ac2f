"""When two message texts count as the same.

The source pages print one message in several spellings: quoted with back-ticks, apostrophes or quotation marks or
not at all; with a colon, a period or a comma at the same place; with and without a final period. All of these are
one message; a different word is another message.

What people paste has more around it, so it is compared word by word: :func:`words`.
"""

from __future__ import annotations

import html
import re
import unicodedata
from typing import NamedTuple

_QUOTES = str.maketrans("", "", "`'\"\u2018\u2019\u201c\u201d\u00b4")
_BREAK = re.compile(r"[:.,;]+(?=\s)")
_SPACE = re.compile(r"\s+")
_WORD = re.compile(r"\w+")
# "can't" is one word, in whatever quotes, and so it is without any.
_IN_WORD = re.compile(r"(?<=\w)['`\u2018\u2019\u00b4](?=\w)")
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_ESCAPE = re.compile(r"\\+(?:u([0-9a-fA-F]{4})|([nrtbf\"'/`]))")
# Only what a page or a mail puts around text: a placeholder such as <ID> is part of a message.
_TAG = re.compile(
    r"</?(?:a|b|br|code|div|em|h[1-6]|i|li|p|pre|span|strong|td|tr|tt)(?:\s[^<>]{0,200})?/?>", re.IGNORECASE
)
_INVISIBLE = re.compile("[\u00ad\u200b\u200c\u200d\u2060\ufeff]")


def normalise(text: str) -> str:
    """Return the text without the differences that the pages leave open: case, quotes, the kind of stop, the final period."""
    bare = text.translate(_QUOTES).strip().rstrip(".:;,").casefold()
    return _SPACE.sub(" ", _BREAK.sub(" :", bare))


def says(text: str, accepted: str, *, detail: bool = False) -> bool:
    """Tell whether ``text`` is the accepted message; with ``detail``, more may follow after a stop."""
    got, wanted = normalise(text), normalise(accepted)
    return got == wanted or (detail and got.startswith(f"{wanted} :"))


class Word(NamedTuple):
    """A word of a pasted text: ``text`` in small letters, ``typed`` as it stands there.

    ``opens`` and ``closes``: a clause begins before it, ends after it; at the end of a line one does.
    """

    text: str
    typed: str
    opens: bool
    closes: bool


def words(line: str) -> list[Word]:
    """Return the words of a line without what stands around them: quotes, stops, frames, escapes, tags, colours."""
    bare = _IN_WORD.sub("", unescaped(line))
    matches = list(_WORD.finditer(bare))
    result = []
    for place, match in enumerate(matches):
        typed = match[0].strip("_")
        if not typed:
            continue
        before = bare[matches[place - 1].end() : match.start()] if place else ""
        last = place == len(matches) - 1
        after = "" if last else bare[match.end() : matches[place + 1].start()]
        opens = not place or not before.isspace()
        small = typed.casefold()
        result.append(Word("cannot" if small == "cant" else small, typed, opens, last or not after.isspace()))
    return result


def unescaped(line: str) -> str:
    """Return a line without colours, HTML tags and the escapes of JSON and HTML; line breaks in it become blanks."""
    bare = _COLOUR.sub("", line)
    if "\\" in bare:
        bare = _ESCAPE.sub(_character, bare)
    if "&" in bare:
        bare = html.unescape(html.unescape(bare))
    if "<" in bare:
        bare = _TAG.sub("\n", bare)
    return bare if bare.isascii() else unicodedata.normalize("NFKC", _INVISIBLE.sub("", bare))


def _character(escape: re.Match[str]) -> str:
    if escape[1]:
        return chr(int(escape[1], 16))
    return "\n" if escape[2] in "nrtbf" else escape[2]
