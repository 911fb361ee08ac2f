"""Parts of the report that are kept compressed until somebody opens them, and the report with all of them unpacked.

A block is a JSON array of texts, deflated, in a script element that browsers do not run. Two builds of zlib may compress
the same texts differently, so that reports are compared by what their blocks hold: :func:`whole`.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Sequence

from markupsafe import Markup, escape

INDEX = "index-block"
_LEVEL, _MOST = 9, 1 << 28
_PARTS, _PACKED = 3, 2
"""Of each block of a page that was split: what stands before it, its id, its content."""
_BLOCK = re.compile(r'<script type="text/plain" id="([a-z0-9-]+)">([A-Za-z0-9+/=]*)</script>')


def block(name: str, texts: Sequence[str]) -> Markup:
    """Return the element that holds some texts; ``name`` is its id: letters, digits and hyphens."""
    deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = deflate.compress(json.dumps(texts).encode("ascii")) + deflate.flush()
    text = base64.b64encode(packed).decode("ascii")
    return Markup(f'<script type="text/plain" id="{name}">{text}</script>')  # noqa: S704 - base64 and our own name


def same(page: str, other: str) -> bool:
    """Tell whether two reports hold the same; a block at a time, for all of them are several times as large as the page.

    Raises :class:`ValueError` where a block cannot be read.
    """
    pages = [_BLOCK.split(text) for text in (page, other)]
    if list(map(len, pages)) != [len(pages[0])] * 2:
        return False
    return all(
        one == another or (number % _PARTS == _PACKED and _texts(one) == _texts(another))
        for number, (one, another) in enumerate(zip(*pages, strict=True))
    )


def whole(page: str) -> str:
    """Return a report with the texts of each block in its place; raise :class:`ValueError` where one cannot be read."""
    return _BLOCK.sub(_replacement, page)


def _replacement(match: re.Match[str]) -> str:
    text = "\n".join(_texts(match[2]))
    # What cases are searched by is no markup, and the script never makes any of it.
    return f"<!-- {match[1]} -->\n{escape(text) if match[1] == INDEX else text}"


def _texts(packed: str) -> list[str]:
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = inflate.decompress(base64.b64decode(packed, validate=True), _MOST)
    except zlib.error as error:
        raise ValueError("a block of the report cannot be unpacked") from error
    if not inflate.eof or inflate.unused_data:
        raise ValueError("a block of the report is cut off, or something follows it")
    return list(map(str, json.loads(content)))
