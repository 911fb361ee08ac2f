"""The flags that say how a run fuzzes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from kms_conformance.fuzz.options import FuzzOptions


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
            click.option("--replay", metavar="ID", help="Try one finding again."),
            click.option(
                "--example-database",
                metavar="URL",
                help="Where generated findings are kept between runs: a folder or redis://HOST.",
            ),
        ]
    ):
        function = option(function)
    return function


def fuzz_options(flags: Mapping[str, Any], profile: str) -> FuzzOptions:
    """Return what the flags and the profile say about fuzzing: a gate replays the sample and generates nothing."""
    from kms_conformance.fuzz.options import EXAMPLES, SEED, FuzzOptions  # noqa: PLC0415 - --help stays quick

    asked = flags.get("fuzz_time") is not None or flags.get("max_examples") is not None
    thorough = profile != "gate"
    seed = flags.get("seed")
    return FuzzOptions(
        on=not flags.get("no_fuzz"),
        whole=thorough,
        generate=thorough or asked,
        seconds=flags.get("fuzz_time"),
        examples=flags.get("max_examples") or EXAMPLES,
        seed=SEED if seed is None else seed,
        replay=flags.get("replay") or "",
        database=flags.get("example_database") or "",
    )
