"""Runs that are on disk already, as far as comparing them needs: ``results.json``, and each answer in three words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from kms_conformance.errors import RecordError
from kms_conformance.outputs.files import read_file

RESULTS, TRANSCRIPT = "results.json", "transcript.har"
_TEXT = r'"((?:[^"\\]|\\.)*)"'
_STATUS = re.compile(r'"response": \{"status": (\d+)')
_BODY = re.compile(rf'"mimeType": {_TEXT}, "text": {_TEXT}')
_OWN = re.compile(
    rf'"_kms": \{{"case": {_TEXT}, "step": {_TEXT}, "operation": (?:null|{_TEXT}), "identity": {_TEXT}, "id": {_TEXT}, "trouble": {_TEXT}, "started": ([^,]+), "duration": ([^,]+),'
)
_CODE = re.compile(rf'"code": (?:null|{_TEXT}), "expectations"')
_MESSAGES = ("message", "errorMsg", "error_description", "msg", "error")
_ERRORS = 400


class Answer(NamedTuple):
    """An answer: ``status`` 0 where none came; ``code`` and ``message`` are empty where it has none."""

    status: int
    code: str
    message: str

    @property
    def text(self) -> str:
        """The answer in a few words."""
        words = " ".join(filter(None, [str(self.status or "no answer"), self.code]))
        return f"{words}: {self.message}" if self.message else words


class StoredExchange(NamedTuple):
    """One exchange: whose, which, what came, and when it began and ended, in seconds since the epoch."""

    case: str
    step: str
    operation: str
    exchange: str
    answer: Answer
    began: float
    ended: float


@dataclass(frozen=True)
class StoredRun:
    """A report directory and its ``results.json``."""

    directory: Path
    record: Mapping[str, Any]
    cases: Mapping[str, Mapping[str, Any]] = field(repr=False)

    @property
    def name(self) -> str:
        """The name of the run in a comparison of several."""
        return self.directory.name or str(self.directory)

    @cached_property
    def exchanges(self) -> list[StoredExchange]:
        """Every exchange of the transcript; none where there is no transcript."""
        path = self.directory / TRANSCRIPT
        try:
            text = read_file(path).decode("utf-8")
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            raise RecordError(str(path), "its transcript cannot be read") from error
        return list(_exchanges(path, text))

    @property
    def overlapping(self) -> set[str]:
        """The cases that have sent requests at the same moment, whose answers depend on which of them was first."""
        until: dict[str, float] = {}
        cases = set()
        for one in sorted(self.exchanges, key=lambda one: one.began):
            if one.began < until.get(one.case, 0.0):
                cases.add(one.case)
            until[one.case] = max(one.ended, until.get(one.case, 0.0))
        return cases


def read_run(directory: Path) -> StoredRun:
    """Read the run in a report directory; raise :class:`RecordError`."""
    try:
        record = json.loads(read_file(directory / RESULTS).decode("utf-8"))
        return StoredRun(directory, record, {case["id"]: case for case in record["cases"]})
    except OSError as error:
        raise RecordError(str(directory), error.strerror or str(error)) from error
    except (ValueError, RecursionError, TypeError, KeyError) as error:
        raise RecordError(str(directory), "its results.json is none") from error


def _exchanges(path: Path, text: str) -> Iterator[StoredExchange]:
    """Yield the exchanges: a run writes one of them a line, which spares reading all that is not compared."""
    lines = text.split("\n")
    try:
        start = lines.index('"entries":[')
    except ValueError:
        yield from _whole(path, text)
        return
    for line in lines[start + 1 :]:
        if not line.startswith("{"):
            return
        place = line.rfind('"_kms": {"case": ')
        own, status = _OWN.match(line, place), _STATUS.search(line)
        code = _CODE.search(line, place)
        if place < 0 or own is None or status is None or code is None:
            yield from _whole(path, f'{{"log":{{"entries":[{line.rstrip(",")}]}}}}')
            continue
        case, step, operation, exchange = (_plain(own[number]) for number in (1, 2, 3, 5))
        number = int(status[1])
        body = _BODY.search(line, status.end(), place) if number >= _ERRORS else None
        message = _message(_plain(body[2])) if body else ""
        began = float(own[7])
        answer = Answer(number, _plain(code[1]), message)
        yield StoredExchange(case, step, operation, exchange, answer, began, began + float(own[8]))


def _whole(path: Path, text: str) -> Iterator[StoredExchange]:
    try:
        for entry in json.loads(text)["log"]["entries"]:
            kms, status = entry["_kms"], int(entry["response"]["status"])
            body = entry["response"]["content"].get("text") if status >= _ERRORS else None
            answer = Answer(status, kms["code"] or "", _message(body or ""))
            began = float(kms["started"])
            ended = began + float(kms["duration"])
            yield StoredExchange(
                kms["case"], kms["step"], kms["operation"] or "", kms["id"], answer, began, ended
            )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RecordError(str(path), "its transcript cannot be read") from error


def _plain(inner: str | None) -> str:
    """Return what the inside of a JSON string means."""
    if inner is None:
        return ""
    return str(json.loads(f'"{inner}"')) if "\\" in inner else inner


@lru_cache(maxsize=4096)
def _message(body: str) -> str:
    """Return the text of an error: the innermost of the members that usually hold it."""
    try:
        return _found(json.loads(body)) if body else ""
    except (ValueError, RecursionError):
        return ""


def _found(value: Any) -> str:
    if isinstance(value, list):
        return next(filter(None, map(_found, value)), "")
    if not isinstance(value, dict):
        return ""
    inner = next(
        filter(None, (_found(value[name]) for name in value if isinstance(value[name], list | dict))), ""
    )
    own = next((value[name] for name in _MESSAGES if isinstance(value.get(name), str)), "")
    return inner or str(own)
