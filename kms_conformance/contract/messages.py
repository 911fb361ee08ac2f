"""When two message texts say the same.

The source pages print one message in several spellings: quoted with back-ticks, apostrophes or quotation marks or
not at all; with a colon, a period or a comma at the same place; with and without a final period. All of these are
one message; a different word is another message.
"""

from __future__ import annotations

import re

_QUOTES = str.maketrans("", "", "`'\"\u2018\u2019\u201c\u201d\u00b4")
_BREAK = re.compile(r"[:.,;]+(?=\s)")
_SPACE = re.compile(r"\s+")


def normalise(text: str) -> str:
    """Return the text without what the pages leave free: case, quotes, the kind of stop, the final period."""
    bare = text.translate(_QUOTES).strip().rstrip(".:;,").casefold()
    return _SPACE.sub(" ", _BREAK.sub(" :", bare))


def says(text: str, accepted: str, *, detail: bool = False) -> bool:
    """Tell whether ``text`` is the accepted message; with ``detail``, more may follow after a stop."""
    told, wanted = normalise(text), normalise(accepted)
    return told == wanted or (detail and told.startswith(f"{wanted} :"))
