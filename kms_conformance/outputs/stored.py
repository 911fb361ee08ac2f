"""Runs that are on disk already, as far as comparing them needs: ``results.json``, and each answer in three words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from io import BufferedReader
from pathlib import Path
from typing import Any, NamedTuple

from kms_conformance.errors import StoredRunError
from kms_conformance.outputs import har
from kms_conformance.outputs.files import open_file, read_file

RESULTS, TRANSCRIPT = "results.json", "transcript.har"
_TEXT = rb'"((?:[^"\\]|\\.)*)"'
_MARK = har.ENTRIES.encode()
_ANSWER, _KMS = b'"response": {"status": ', b'"_kms": {"case": '
_BODY = re.compile(rb'"mimeType": %b, "text": %b' % (_TEXT, _TEXT))
_OWN = re.compile(
    rb'"_kms": \{"case": %b, "step": %b, "operation": (?:null|%b), "identity": %b, "id": %b, "trouble": %b, "started": ([^,]+), "duration": ([^,]+),'
    % ((_TEXT,) * 6)
)
_CODE = re.compile(rb'"code": (?:null|%b), "expectations"' % _TEXT)
_MESSAGES = ("message", "errorMsg", "error_description", "msg", "error")
_ERRORS = 400
_MEMBERS = (
    *("verdict", "headline", "counts", "profile", "edition", "finished", "duration_s"),
    *("suite", "contracts", "latency", "groups"),
)
"""What a record needs to be compared; one that an older version of the suite has written may lack some."""


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
            with open_file(path) as file:
                return list(_exchanges(path, file))
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            raise StoredRunError(str(path), "its transcript cannot be read") from error

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
    """Read the run in a report directory; raise :class:`StoredRunError`."""
    try:
        record = json.loads(read_file(directory / RESULTS).decode("utf-8"))
        cases = {case["id"]: case for case in record["cases"]}
    except OSError as error:
        raise StoredRunError(str(directory), error.strerror or str(error)) from error
    except (ValueError, RecursionError, TypeError, KeyError) as error:
        raise StoredRunError(str(directory), "its results.json is none") from error
    lacking = [name for name in _MEMBERS if name not in record]
    if lacking:
        why = f"its results.json, of the form {record.get('schema_version')}, lacks {', '.join(lacking)}"
        raise StoredRunError(str(directory), why)
    return StoredRun(directory, record, cases)


def _exchanges(path: Path, file: BufferedReader) -> Iterator[StoredExchange]:
    """Yield the exchanges: a run writes one of them a line, which spares reading all that is not compared."""
    if _MARK not in iter(file.readline, b""):
        file.seek(0)
        yield from _whole(path, file.read())
        return
    for line in file:
        if not line.startswith(b"{"):
            return
        place, answered = line.rfind(_KMS), line.find(_ANSWER)
        own = _OWN.match(line, place) if place >= 0 else None
        code = _CODE.search(line, own.end()) if own else None
        if own is None or code is None or answered < 0:
            yield from _whole(path, b'{"log":{"entries":[%b]}}' % line.rstrip(b",\n"))
            continue
        case, step, operation, exchange = map(_plain, own.group(1, 2, 3, 5))
        start = answered + len(_ANSWER)
        number = int(line[start : line.index(b",", start)])
        body = _BODY.search(line, start, place) if number >= _ERRORS else None
        message = _message(_plain(body[2])) if body else ""
        began = float(own[7])
        answer = Answer(number, _plain(code[1]), message)
        yield StoredExchange(case, step, operation, exchange, answer, began, began + float(own[8]))


def _whole(path: Path, text: bytes) -> Iterator[StoredExchange]:
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
        raise StoredRunError(str(path), "its transcript cannot be read") from error


def _plain(inner: bytes | None) -> str:
    """Return what the inside of a JSON string means."""
    if inner is None:
        return ""
    return str(json.loads(b'"%b"' % inner)) if b"\\" in inner else inner.decode("utf-8")


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
