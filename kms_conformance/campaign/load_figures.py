"""What a load has seen: times, errors and wrong answers of each operation. Pure."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

_TOO_MANY, _SERVER_ERROR = 429, 500
_QUANTILES = (("p50_s", 0.50), ("p95_s", 0.95), ("p99_s", 0.99))


class Seen:
    """What came back: times, errors and wrong answers of each operation, and the first wrong one."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.times: dict[str, list[float]] = {}
        self.errors: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()
        self.first: dict[str, Any] | None = None

    def take(self, operation: Mapping[str, Any], status: int, text: str, seconds: float) -> None:
        """Take in an answer; status 0 where none came."""
        name = operation["name"]
        self.times.setdefault(name, []).append(seconds)
        if not status or status == _TOO_MANY or (status >= _SERVER_ERROR and status != operation["status"]):
            self.errors[name] += 1
            return
        got = difference(operation, status, text)
        if got:
            self.wrong[name] += 1
            expected = f"{operation['status']} {operation['code']}".strip()
            self.first = self.first or {
                "operation": name,
                "expected": expected,
                "got": got,
                "after_s": round(time.monotonic() - self.began, 3),
            }

    def document(self) -> dict[str, Any]:
        """Return the figures."""
        blocks = [
            {
                "name": name,
                "count": len(times),
                "errors": self.errors[name],
                "wrong": self.wrong[name],
                **{label: round(quantile(times, share), 4) for label, share in _QUANTILES},
            }
            for name, times in sorted(self.times.items())
        ]
        return {
            "operations": blocks,
            "requests": sum(len(times) for times in self.times.values()),
            "errors": self.errors.total(),
            "wrong": self.wrong.total(),
            "first_wrong": self.first,
        }


def difference(operation: Mapping[str, Any], status: int, text: str) -> str:
    """Return what an answer is instead of what was promised, ``""`` where it is that; no value of it is repeated."""
    if status != operation["status"]:
        return str(status)
    if operation["code"]:
        return "" if f'"{operation["code"]}"' in text else f"{status} without that code"
    try:
        body = json.loads(text) if operation["equals"] else {}
    except ValueError:
        return f"{status} and no JSON"
    names = [name for name, value in operation["equals"].items() if body.get(name) != value]
    return f"{status} with another {names[0]}" if names else ""


def quantile(times: list[float], share: float) -> float:
    """Return the time that so large a share of the requests did not exceed."""
    ordered = sorted(times)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]
