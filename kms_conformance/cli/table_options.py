"""The options of the table as click's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from kms_conformance.run.option_table import FUZZ_OPTIONS, RUN_OPTIONS, RunOption


def run_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a run to a command."""
    return with_options(RUN_OPTIONS, function)


def fuzz_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of fuzzing to a command."""
    return with_options(FUZZ_OPTIONS, function)


def with_options(options: Iterable[RunOption], function: Callable[..., Any]) -> Callable[..., Any]:
    """Add options to a command, in their order."""
    for option in reversed(tuple(options)):
        function = click_option(option)(function)
    return function


def named(options: Iterable[RunOption], name: str) -> RunOption:
    """Return the option of this name."""
    return next(option for option in options if option.name == name)


def click_option(option: RunOption) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return an option of the table as click's decorator."""
    if option.kind is bool:
        return click.option(f"--{option.flag}", is_flag=True, help=option.help)
    return click.option(
        f"--{option.flag}",
        option.name,
        type=_type(option),
        metavar=option.metavar or None,
        default=option.default,
        show_default=option.default is not None,
        envvar=option.variable or None,
        help=option.help,
    )


def _type(option: RunOption) -> click.ParamType[Any]:
    if option.choices:
        return click.Choice(option.choices)
    if option.kind is int:
        return click.IntRange(min=option.at_least, max=option.at_most)
    if option.kind is float:
        return click.FLOAT if option.above is None else click.FloatRange(min=option.above, min_open=True)
    return click.Path(path_type=Path) if option.kind is Path else click.STRING
