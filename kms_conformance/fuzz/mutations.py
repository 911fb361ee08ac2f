"""Values that break careless code, put in the place of one value of a valid body."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

_BIG = 2**53
# A JSON text in place of a value: what ``json.dumps`` would not write stands here as it goes over the wire.
_TEXTS: tuple[str, ...] = (
    f"{_BIG + 1}",
    f"{-_BIG - 1}",
    "9223372036854775808",
    "1" + "0" * 400,
    "1e400",
    "-1e400",
    "1.0",
    "0.1",
    "-0",
    "1E2",
    "null",
    "true",
    "false",
    "[]",
    "{}",
    '""',
    '" "',
    '"\\u0000"',
    '"\\ud800"',
    '"\\udfff\\ud800"',
    '"\\u202eevil"',
    '"\\ufeff"',
    '"e\\u0301"',
    '"\\u0435\\u0430"',
    '"\\ud83d\\ude00"',
    '"%2e%2e%2f"',
    '"../../etc/passwd"',
    "\"' OR '1'='1\"",
    '"{{7*7}}"',
    '"${jndi:ldap://x}"',
    '"true"',
    '"1"',
    '"<script>"',
    '"\\r\\nx: y"',
    "[" * 120 + "]" * 120,
    '{"a":' * 120 + "1" + "}" * 120,
    '"' + "A" * 20000 + '"',
    "[null,null]",
    "[[]]",
    "[0,1,2,3,4,5,6,7,8,9]",
)
_MARK = "\ue002here\ue002"


def twisted(body: Any, rng: random.Random) -> str:
    """Return a body as JSON text with one value or member that careless code handles wrongly."""
    places = list(_places(body))
    way = rng.random()
    if way < 0.7 or not isinstance(body, dict):  # noqa: PLR2004 - seven in ten
        return _with_text(body, rng.choice(places), rng.choice(_TEXTS))
    objects = [place for place in places if isinstance(_at(body, place), dict)]
    place = rng.choice(objects) if objects else ()
    return _with_member(body, place, rng)


def _with_text(body: Any, place: tuple[Any, ...], text: str) -> str:
    changed = _put(body, place, _MARK)
    return json.dumps(changed, ensure_ascii=False).replace(f'"{_MARK}"', text)


def _with_member(body: Any, place: tuple[Any, ...], rng: random.Random) -> str:
    """Add a member: one that nobody knows, or a known one for the second time or in other letters."""
    target = _at(body, place)
    names = [str(name) for name in target] or ["name"]
    name = rng.choice(names)
    value = rng.choice(_TEXTS)
    written = rng.choice((name, name.upper(), f" {name}", "__proto__", "constructor", "", "a" * 300))
    changed = json.dumps(_put(body, (*place, _MARK), 0), ensure_ascii=False)
    return changed.replace(f'"{_MARK}": 0', f"{json.dumps(written)}: {value}")


def _places(body: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the place of every value, the whole body included."""
    places = [here]
    if isinstance(body, dict):
        for name, value in body.items():
            places += _places(value, (*here, name))
    elif isinstance(body, list):
        for index, value in enumerate(body):
            places += _places(value, (*here, index))
    return places


def _at(body: Any, place: tuple[Any, ...]) -> Any:
    for step in place:
        body = body[step]
    return body


def _put(body: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    changed = copy.deepcopy(body)
    _at(changed, place[:-1])[place[-1]] = value
    return changed
