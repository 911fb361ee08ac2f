"""How a record's contradictions are told: the first ones, and how many there are."""

from __future__ import annotations

from collections.abc import Sequence

import click

MOST = 40
"""Lines that are shown: whoever has read these knows what to look at."""


def show_contradictions(word: str, sentences: Sequence[str]) -> None:
    """Print a line for each sentence, ``word`` before it; of many the first ones and their number."""
    for sentence in sentences[:MOST]:
        click.echo(f"{word}: {sentence}")
    if len(sentences) > MOST:
        click.echo(f"{word}: and {len(sentences) - MOST:,} more of {len(sentences):,} in all")
