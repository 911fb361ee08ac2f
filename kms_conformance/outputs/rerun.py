"""The command line that runs one case again. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

from kms_conformance.judging.verdict import Run

_WITH_VALUE = frozenset(
    {
        "-k",
        "-n",
        "--shard",
        "--shard-durations",
        "--report-dir",
        "--kms-report-dir",
        "--kms-shard",
        "--junitxml",
        "--alluredir",
    }
)
_ALONE = frozenset({"-x", "--exitfirst", "--lf", "--last-failed", "--write-baseline"})
# What pytest's -k takes as one word.
_WORD = re.compile(r"[\w:+\-.\[\]\\/]+", re.ASCII)


def rerun_command(run: Run, case_id: str) -> str:
    """Return the command line that runs a case again: the run's own, without what chose other cases or another place."""
    words = list(map(str, run.meta.get("command_line", ()))) or ["kms-conformance", "run"]
    return shlex.join([*_kept(words), "-k", _name(case_id)])


def _kept(words: Sequence[str]) -> Iterator[str]:
    skipping = False
    for word in words:
        name = word.partition("=")[0]
        if skipping:
            skipping = False
        elif name in _WITH_VALUE:
            skipping = "=" not in word
        elif word not in _ALONE:
            yield word


def _name(case_id: str) -> str:
    """Return what -k finds a case by: its name, with its parameters where -k can read them."""
    plain, bracket, parameters = case_id.partition("[")
    name = plain.rpartition(".")[2]
    whole = f"{name}{bracket}{parameters}"
    return whole if _WORD.fullmatch(whole) else name
