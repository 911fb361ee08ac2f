"""The flags that say how a run fuzzes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click


def fuzz_flags(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags of fuzzing to a command."""
    for option in reversed(
        [
            click.option("--no-fuzz", is_flag=True, help="Leave fuzzing out; the report says so."),
            click.option(
                "--fuzz-time",
                type=click.FloatRange(min=0, min_open=True),
                metavar="SECONDS",
                help="Generate requests for so long (default with nightly and certify: as many as --max-examples).",
            ),
            click.option(
                "--max-examples",
                type=click.IntRange(min=1),
                metavar="N",
                help="Generated requests for each operation and kind.",
            ),
            click.option("--seed", type=int, metavar="N", help="Seed of what is generated."),
            click.option(
                "--replay",
                metavar="ID",
                help="Try one finding again: its id or its file, as the report names it.",
            ),
            click.option(
                "--example-database",
                metavar="URL",
                help="Where generated findings are kept between runs: a folder or redis://HOST.",
            ),
        ]
    ):
        function = option(function)
    return function
