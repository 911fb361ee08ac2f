"""``badge.svg``: verdict, edition and day of a run, to be shown beside other badges."""

from __future__ import annotations

from pathlib import Path

from markupsafe import escape

from kms_conformance.judging.verdict import Run, RunVerdict
from kms_conformance.outputs.files import put
from kms_conformance.outputs.overview import contract_ids
from kms_conformance.outputs.text import rfc3339

NAME = "badge.svg"
_COLOURS = {
    RunVerdict.CONFORMANT: "#1a7046",
    RunVerdict.NON_CONFORMANT: "#b3261e",
    RunVerdict.NOT_VERIFIED: "#8a5a00",
}
_LETTER, _MARGIN, _HEIGHT = 6.6, 8, 20
"""Pixels: the width of a letter, the margin beside the words, and the height."""


def write(run: Run, directory: Path) -> Path:
    """Write ``badge.svg`` and return its path."""
    return put(directory / NAME, render(run))


def render(run: Run) -> str:
    """Return the badge as SVG: no script, no font and no picture from elsewhere."""
    edition = str(run.meta.get("edition", "page"))
    name = f"{', '.join(contract_ids(run)) or 'KMS'} {edition}"
    state = f"{run.verdict.value} {rfc3339(run.finished)[:10]}"
    left, right = (round(len(text) * _LETTER + 2 * _MARGIN) for text in (name, state))
    width, colour = left + right, _COLOURS[run.verdict]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{_HEIGHT}" role="img"'
        f' aria-label="{escape(name)}: {state}"><title>{escape(name)}: {state}</title>'
        f'<clipPath id="r"><rect width="{width}" height="{_HEIGHT}" rx="3"/></clipPath><g clip-path="url(#r)">'
        f'<rect width="{left}" height="{_HEIGHT}" fill="#444c52"/>'
        f'<rect x="{left}" width="{right}" height="{_HEIGHT}" fill="{colour}"/></g>'
        f'<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
        f'<text x="{left / 2:g}" y="14" textLength="{left - 2 * _MARGIN}">{escape(name)}</text>'
        f'<text x="{left + right / 2:g}" y="14" textLength="{right - 2 * _MARGIN}">{state}</text></g></svg>\n'
    )
