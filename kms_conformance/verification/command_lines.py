"""Whether a record is one of the run that its command line asks for: options, target, contracts and selection.

Pure. Only what is given on the command line is held against the record: the environment and the target file may say more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from kms_conformance.outputs import shards
from kms_conformance.run.option_table import FUZZ_OPTIONS, RUN_OPTIONS, TARGET_OPTIONS
from kms_conformance.target.target import FULL

_RUN, _SELECTION = "run", "left out by the selection"
_SELECTING = frozenset({"-k", "--lf", "--replay", "--shard", "--mode"})
_SWITCHES = frozenset(
    {
        *(f"--{one.flag}" for one in (*RUN_OPTIONS, *FUZZ_OPTIONS, *TARGET_OPTIONS) if one.kind is bool),
        *("--insecure", "--lf", "--plan", "--quiet", "-q", "--write-baseline"),
    }
)
_MARKERS = "covers needs impact waits parametrize skip xfail usefixtures"
_WORD = re.compile(r"[^\s()]+")
_OPERATORS = frozenset({"and", "or"})


def complaints(record: Mapping[str, Any], case_names: Iterable[str]) -> Iterator[str]:
    """Yield a sentence for each option that the record does not show; ``case_names`` are ids and places of its cases."""
    words = [str(word) for word in record["command_line"]]
    if _RUN not in words[1:4] or record["shards"]:
        return
    given = _given(words[words.index(_RUN, 1) + 1 :])
    for option, shown in _shown(record).items():
        for value in given.get(option, ())[-1:]:
            recorded = shown(value)
            if recorded is not None:
                yield f"results.json: the command line says {option} {value}, the record {recorded}"
    for option, name in (("--defect", "defects"), ("--variation", "variations")):
        recorded = record["options"].get(name, [])
        if sorted(given.get(option, ())) != sorted(map(str, recorded)):
            yield f"results.json: the command line says {_named(option, given)}, and options.{name} is {recorded}"
    for option, recorded in (
        ("--challenge", record["options"].get("challenge")),
        ("--product", record.get("product")),
    ):
        if bool(recorded) != bool("".join(given.get(option, ()))):
            yield f"results.json: the command line says {_named(option, given)}, the record {recorded or 'nothing of it'}"
    yield from _selection(record, given, case_names)


def _given(words: Sequence[str]) -> dict[str, list[str]]:
    """Return the values of each option, in their order; a switch has an empty one."""
    given: dict[str, list[str]] = {}
    for word, after in pairwise([*words, ""]):
        option, equals, value = word.partition("=")
        if option.startswith("-") and (option.startswith("--") or len(option) == 2):  # noqa: PLR2004 - a short one
            given.setdefault(option, []).append(value if equals else "" if option in _SWITCHES else after)
    return given


def _shown(record: Mapping[str, Any]) -> dict[str, Callable[[str], str | None]]:
    """Return for each option how it is looked up: what the record has instead of its value, ``None`` where it fits."""
    target, options = record["target"], record["options"]
    limits, fuzz = target.get("limits", {}), options.get("fuzz", {})
    contracts = [block["id"] for block in record["contracts"]]

    def same(recorded: Any) -> Callable[[str], str | None]:
        return lambda value: None if str(recorded).rstrip("/") == value.rstrip("/") else str(recorded)

    def number(recorded: Any) -> Callable[[str], str | None]:
        return lambda value: None if _is_number(value, recorded) else str(recorded)

    def there(recorded: Any, otherwise: str) -> Callable[[str], str | None]:
        return lambda _: None if recorded else otherwise

    return {
        "--base-url": same(target.get("base_url")),
        "--instance": same(target.get("instance")),
        "--iam-url": same(target.get("iam_url")),
        "--rescue-url": same(target.get("rescue_url")),
        "--mode": same(target.get("mode", FULL)),
        "--max-wait": number(options.get("max_wait")),
        "--requests-per-second": number(limits.get("requests_per_second")),
        "--control-url": there(target.get("control"), "no control protocol"),
        "--insecure": there(target.get("insecure"), "certificates that were checked"),
        "--proxy": there(target.get("proxy"), "no proxy"),
        "--baseline": there(options.get("baseline") is not None, "no baseline"),
        "--no-fuzz": there(not fuzz.get("on", True), "fuzzing"),
        "--seed": number(fuzz["seed"]) if "seed" in fuzz else lambda _: None,
        "--contract": lambda value: None if sorted(value.split(",")) == sorted(contracts) else ", ".join(contracts),
        "--allow": lambda value: None if target.get("allow", {}).get(value) else "that it is not allowed",
        "--capability": lambda value: _lacked(value, target.get("capabilities", {})),
        "--shard": lambda value: _shard(value, str(record["partial"])),
    }  # fmt: skip


def _is_number(value: str, recorded: Any) -> bool:
    try:
        return recorded is not None and float(value) == float(recorded)
    except ValueError:
        return False


def _lacked(value: str, capabilities: Mapping[str, Any]) -> str | None:
    name = value.removeprefix("no-").replace("-", "_")
    wanted = not value.startswith("no-")
    return None if capabilities.get(name, wanted) is wanted else f"{name} = {not wanted}"


def _shard(value: str, partial: str) -> str | None:
    shard = shards.named_in(partial)
    return None if not shard or str(shard) == value or value in partial else partial


def _named(option: str, given: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(f"{option} {value}" for value in given.get(option, ())) or f"no {option}"


def _selection(
    record: Mapping[str, Any], given: Mapping[str, Sequence[str]], case_names: Iterable[str]
) -> Iterator[str]:
    """Check that a run of a selection says so, that one without is none, and that the selection has the cases."""
    partial = str(record["partial"])
    asked = "".join(given.get("-k", ())[-1:])
    if partial.endswith(_SELECTION) and not _SELECTING & given.keys():
        yield f"results.json: {partial!r}, and the command line selects none"
    counted = partial.partition(" ")[0]
    if partial.endswith(_SELECTION) and counted.isdecimal() and int(counted) != int(record["not_run"] or 0):
        yield f"results.json: {partial!r}, and not_run is {record['not_run']}"
    if not asked:
        return
    if not partial and record["not_run"]:
        yield f"results.json: the command line says -k {asked}, and partial is empty"
    wanted = [word.lower() for word in _WORD.findall(asked) if word not in _OPERATORS]
    if "not" in wanted or any(word in _MARKERS for word in wanted):
        return
    for name in case_names:
        if not any(word in name.lower() for word in wanted):
            yield f"results.json: the command line says -k {asked}, which does not select {name.partition(' ')[0]}"
            break
