"""A merged campaign checked without any key: each run is judged again, and page and figures follow from what the runs give.

``judge`` prints what :func:`examine_campaign` yields. One run is in memory at a time. What no run shows stays as recorded, and
a note says so: why a shard is missing, how a run without any report ended, which name an endpoint has.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any

from kms_conformance.campaign import matrix_page
from kms_conformance.campaign.merged import (
    RESULTS,
    CampaignResult,
    Gathering,
    RunSummary,
    document_text,
    endpoint_summary,
    run_summary,
    without_report,
)
from kms_conformance.campaign.store import PLAN
from kms_conformance.contract.schemas import SCHEMA_FILES
from kms_conformance.errors import ExitCode, RecordError, SuiteError
from kms_conformance.judging.verdict import Run
from kms_conformance.outputs import results
from kms_conformance.outputs.files import read_file
from kms_conformance.outputs.shards import read_shard
from kms_conformance.outputs.text import shorten
from kms_conformance.verification.check import examine

_LOAD, _SEED = "load", "--seed"
_SHOWN, _LONGEST = 20, 80
_MERGED = re.compile(r">Merged (\d{4}-\d{2}-\d{2})\. ")
_MISSING = re.compile(
    r"shard (?P<shard>\d+/\d+)(?: has not been run|: (?P<state>partial|failed), .*)", re.DOTALL
)
_WITHOUT_VERDICT = frozenset({ExitCode.USAGE, ExitCode.NOT_VERIFIED, ExitCode.UNREACHABLE})
_OTHER_DAY = timedelta(days=1)
"""How far the day of another machine's clock may be from that of this one's."""


@dataclass(frozen=True, slots=True)
class Told:
    """What was found in one place: a ``headline`` with its scope, what was taken as recorded, and what is not as recorded."""

    place: str
    headline: str
    notes: tuple[str, ...]
    problems: tuple[str, ...]


@dataclass
class CampaignExamination:
    """What an examination has found so far; the exit code is that of the campaign, ``None`` where it cannot be told."""

    exit_code: int | None = None
    broken: bool = False


@dataclass
class _Seen:
    """What the runs that were judged so far give."""

    gathering: Gathering = field(default_factory=Gathering)
    summaries: dict[str, list[RunSummary]] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    alike: dict[tuple[str, str], tuple[str, Any]] = field(default_factory=dict)
    finished: float = 0.0
    is_whole: bool = True


def is_campaign(directory: Path) -> bool:
    """Tell whether a directory is a merged campaign, or has the shards of one and no run."""
    if (directory / RESULTS).exists():
        return True
    return (directory / PLAN).exists() and not (directory / results.NAME).exists()


def examine_campaign(directory: Path, outcome: CampaignExamination) -> Iterator[Told]:
    """Judge each run of a merged campaign and then the page; ``outcome`` has the exit code at the end.

    Raises :class:`RecordError` where the directory holds no merged campaign that this version of the suite can read.
    """
    record = _read(directory)
    seen = _Seen()
    for endpoint in record["endpoints"]:
        for run in endpoint["runs"]:
            told = _run(directory, endpoint["name"], run, seen)
            outcome.broken |= bool(told.problems)
            yield told
    problems = [*_apart(record), *_strays(directory, record)]
    notes = [
        f"{place} is what a load has measured, and no part of the page"
        for place in _folders(directory)
        if PurePosixPath(place).parts[:1] == (_LOAD,) and place not in _named(record)
    ]
    if seen.is_whole:
        result = CampaignResult(
            record["name"],
            tuple(endpoint_summary(name, runs) for name, runs in seen.summaries.items()),
            seen.gathering.section_lines(),
            seen.gathering.shared_findings(),
        )
        problems += _written(directory, record, result, seen.finished)
        outcome.exit_code = result.exit_code
        verdict = f"exit code {result.exit_code}: " + ", ".join(
            f"{endpoint.name} {endpoint.verdict}" for endpoint in result.endpoints
        )
    else:
        notes.append(
            f"{RESULTS} and {matrix_page.NAME} were not held against the runs, of which one cannot be judged"
        )
        verdict = "no verdict"
    outcome.broken |= bool(problems)
    yield Told("", f"campaign {record['name']}: {verdict}", tuple(notes), tuple(problems))


def _read(directory: Path) -> dict[str, Any]:
    """Return ``campaign-results.json``; raise :class:`RecordError` where it is none."""
    try:
        document: dict[str, Any] = json.loads(read_file(directory / RESULTS).decode("utf-8"))
    except FileNotFoundError as error:
        why = f"it holds the shards of a campaign, and no {RESULTS}: `kms-conformance merge` writes it"
        raise RecordError(str(directory), why) from error
    except OSError as error:
        raise RecordError(str(directory), f"{RESULTS}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise RecordError(str(directory), f"{RESULTS} is not JSON ({error})") from error
    if (complaint := SCHEMA_FILES.complaint("campaign-results", document)) is not None:
        raise RecordError(
            str(directory), f"{RESULTS} is not what a merge writes: {shorten(complaint, 4 * _LONGEST)}"
        )
    for name in _named(document):
        parts = PurePosixPath(name).parts
        if not name or "\\" in name or name != "/".join(parts) or name.startswith("/") or ".." in parts:
            raise RecordError(str(directory), f"{RESULTS} names a run {name!r}, which is no folder below it")
    return document


def _named(record: Mapping[str, Any]) -> list[str]:
    return [run["name"] for endpoint in record["endpoints"] for run in endpoint["runs"]]


def _run(directory: Path, endpoint: str, recorded: Mapping[str, Any], seen: _Seen) -> Told:
    """Judge one run, and keep of it what the page tells."""
    name, missing = recorded["name"], tuple(recorded["missing"])
    own = seen.summaries.setdefault(endpoint, [])
    if not recorded["report"]:
        code = recorded["exit_code"]
        problems = (
            [] if code in _WITHOUT_VERDICT else [f"{RESULTS}: {name} has no report, and exit code {code}"]
        )
        problems += _unexplained(name, missing, frozenset())
        summary = without_report(
            name, code if code in _WITHOUT_VERDICT else int(ExitCode.NOT_VERIFIED), missing
        )
        own.append(summary)
        notes = tuple(f"taken as recorded: {why}" for why in missing)
        return Told(name, summary.headline, notes, tuple(problems))
    try:
        found = examine(directory / name)
    except SuiteError as error:
        seen.is_whole = False
        return Told(name, "it cannot be judged", (), (error.sentence,))
    summary = run_summary(name, found.run, missing)
    own.append(summary)
    seen.gathering.join(Gathering.of(endpoint, name, found.run))
    seen.finished = max(seen.finished, found.run.finished)
    problems = [*found.problems, *_misplaced(endpoint, name, found.run, seen)]
    parts = found.run.meta.get("shards") or ()
    problems += _unexplained(name, missing, frozenset(part["shard"] for part in parts))
    notes = (*found.notes, *(f"taken as recorded: {why}" for why in missing))
    return Told(name, f"{found.headline} ({found.scope})", notes, tuple(problems))


def _unexplained(name: str, missing: Sequence[str], there: frozenset[str]) -> Iterator[str]:
    """Yield a sentence for each shard that neither is there nor is said to be missing, and for the reverse."""
    said: dict[str, str | None] = {}
    for why in missing:
        match = _MISSING.fullmatch(why)
        if match is None:
            yield f"{RESULTS}: {name}: no merge says {shorten(why, _LONGEST)!r} of a shard"
            continue
        said[match["shard"]] = match["state"]
    totals = {shard.partition("/")[2] for shard in (*said, *there)}
    if len(totals) > 1 or (not there and not said):
        yield f"{RESULTS}: {name}: its shards are not parts of one whole"
        return
    for shard in (f"{number}/{total}" for total in totals for number in range(1, int(total) + 1)):
        if shard not in there and shard not in said:
            yield f"{RESULTS}: {name} has no shard {shard}, and missing does not say so"
        elif shard in there and shard in said and said[shard] is None:
            yield f"{RESULTS}: {name}: missing says that shard {shard} has not been run, and it is there"
    for shard in said:
        number, _, total = shard.partition("/")
        if not 1 <= int(number) <= int(total):
            yield f"{RESULTS}: {name}: there is no shard {shard}"


def _misplaced(endpoint: str, name: str, run: Run, seen: _Seen) -> Iterator[str]:
    """Yield a sentence where a run is not the one that its place tells: another seed, endpoint or kind, or a copy."""
    for part in run.meta.get("shards") or ():
        read_shard(part["shard"])
    ids = [part["run_id"] for part in run.meta.get("shards") or ()] or [run.meta["run_id"]]
    for run_id in ids:
        if seen.ids.setdefault(run_id, name) != name:
            yield f"results.json: it is run {run_id}, which is {seen.ids[run_id]} already"
    parts = name.split("/")
    if parts[0] != endpoint:
        yield f"{RESULTS}: {name} is no run of the endpoint {endpoint}"
    words = list(map(str, run.meta.get("command_line") or ()))
    seed = words[words.index(_SEED) + 1 :][:1] if _SEED in words else []
    if seed and parts[1:2] != [f"seed-{seed[0]}"]:
        yield f"results.json: command_line has the seed {seed[0]}, and its place is that of {'/'.join(parts[1:])}"
    target = run.meta["target"]
    for scope, what, value in (
        (endpoint, "target.base_url", target.get("base_url")),
        (endpoint, "contracts", [block["id"] for block in run.meta["contracts"]]),
        ("", "profile", run.profile.value),
        ("", "edition", run.meta["edition"]),
    ):
        first, before = seen.alike.setdefault((scope, what), (name, value))
        if before != value:
            yield f"results.json: {what} is {value}, and {before} in {first}"


def _apart(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each name that is there twice."""
    for what, names in (
        ("endpoint", [endpoint["name"] for endpoint in record["endpoints"]]),
        ("run", _named(record)),
    ):
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f"{RESULTS}: the {what} {name} is there twice"


def _folders(directory: Path) -> Iterator[str]:
    """Yield the folders below one that hold a run."""
    for place, folders, files in os.walk(directory):
        folders.sort()
        if results.NAME in files:
            yield Path(place).relative_to(directory).as_posix()
            if Path(place) != directory:
                folders.clear()


def _strays(directory: Path, record: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each run that lies there and that the page does not tell of."""
    told = {run["name"] for endpoint in record["endpoints"] for run in endpoint["runs"] if run["report"]}
    for place in _folders(directory):
        if place not in told and PurePosixPath(place).parts[:1] != (_LOAD,):
            yield f"{place} holds a run that {RESULTS} does not tell of: another merge has left it, or it was left out"


def _written(
    directory: Path, record: Mapping[str, Any], result: CampaignResult, finished: float
) -> Iterator[str]:
    """Compare figures and page with those that the runs give."""
    text = document_text(result)
    places = list(_differences(RESULTS, record, json.loads(text)))
    yield from places[:_SHOWN]
    if len(places) > _SHOWN:
        yield f"{RESULTS}: and {len(places) - _SHOWN} more members are not what the runs give"
    if not places and read_file(directory / RESULTS) != text.encode("utf-8", "backslashreplace"):
        yield f"{RESULTS} is not written the way that a merge writes it"
    try:
        page = read_file(directory / matrix_page.NAME).decode("utf-8")
    except OSError as error:
        yield f"{matrix_page.NAME} cannot be read: {error.strerror}"
        return
    except UnicodeDecodeError:
        yield f"{matrix_page.NAME} is no UTF-8"
        return
    merged = _MERGED.search(page)
    try:
        day = date.fromisoformat(merged[1]) if merged else None
    except ValueError:
        day = None
    if day is None:
        yield f"{matrix_page.NAME} does not say when it was merged"
        return
    if day < datetime.fromtimestamp(finished, UTC).date() - _OTHER_DAY:
        yield f"{matrix_page.NAME}: it was merged on {day}, before its last run had ended"
    lines, wanted = page.split("\n"), matrix_page.render(result, f"{day}").split("\n")
    if lines != wanted:
        pairs = enumerate(zip(lines, wanted, strict=False), 1)
        number = next(
            (number for number, (one, other) in pairs if one != other), min(len(lines), len(wanted)) + 1
        )
        yield f"{matrix_page.NAME}, line {number}: it is not what the runs give"


def _differences(place: str, recorded: Any, given: Any) -> Iterator[str]:
    """Yield a sentence for each member in which two documents differ."""
    if isinstance(recorded, dict) and isinstance(given, dict):
        for name in dict.fromkeys((*given, *recorded)):
            inner = f"{place}.{name}" if place != RESULTS else f"{place}: {name}"
            if name not in recorded:
                yield f"{inner} is missing"
            elif name not in given:
                yield f"{inner} is nothing that the runs give"
            else:
                yield from _differences(inner, recorded[name], given[name])
        if recorded == given and list(recorded) != list(given):
            yield f"{place} has its members in another order"
    elif isinstance(recorded, list) and isinstance(given, list):
        if len(recorded) != len(given):
            yield f"{place} has {len(recorded)} entries, and the runs give {len(given)}"
        for number, (one, other) in enumerate(zip(recorded, given, strict=False)):
            yield from _differences(f"{place}[{number}]", one, other)
    elif recorded != given or type(recorded) is not type(given):
        yield f"{place} is {_shown(recorded)}, and the runs give {_shown(given)}"


def _shown(value: Any) -> str:
    return shorten(json.dumps(value, ensure_ascii=False), _LONGEST)
