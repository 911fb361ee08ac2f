"""What the files of a report folder say, the packed parts of its page included."""

from __future__ import annotations

import re
from pathlib import Path

from kms_conformance.outputs.html_blocks import whole

_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.")
"""The form of a JSON web token: no piece of base64, which may begin like one by chance, has dots."""


def texts_of(folder: Path) -> list[str]:
    """Return the text of every file below a folder; a page in the form in which a browser shows it."""
    places = sorted(place for place in folder.rglob("*") if place.is_file())
    texts = [(place.name, place.read_text(encoding="utf-8", errors="replace")) for place in places]
    return [whole(text) if name == "report.html" else text for name, text in texts]


def tokens_in(texts: list[str]) -> list[str]:
    """Return what looks like a token in the texts."""
    return [match[0] for text in texts for match in _TOKEN.finditer(text)]
