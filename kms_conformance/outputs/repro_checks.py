"""The checks by which a reproduction judges an answer: pasted into each script, standard library only."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any

from kms_conformance.contract.messages import says
from kms_conformance.evidence.members import MISSING, pick

Answer = tuple[int, dict[str, str], Any, str]
"""Status (0: none came), headers in lower case, document, and everything as text."""
FIRST_REDIRECT, FIRST_ERROR, FIRST_FAULT = 300, 400, 500


def short_text(value: Any) -> str:
    """Return a value in a few characters."""
    return "nothing" if value is MISSING else repr(value)[:200]


def outcome_complaint(outcome: dict[str, Any], method: str, answer: Answer, schemas: dict[str, Any]) -> str:
    """Return why an answer is not this outcome, or ``""``."""
    status, _, body, _ = answer
    if status not in outcome["statuses"] if outcome["statuses"] else status < FIRST_ERROR:
        return str(status)
    # An answer to HEAD has no body.
    if outcome["schema"] in schemas and method != "HEAD":
        wrong = schema_complaint(outcome["schema"], body, schemas)
        if wrong:
            return f"{status} with a body that is not a {outcome['schema']}: {wrong}"
    if outcome["code"] is not None:
        code = pick(body, outcome["code_at"]) if outcome["code_at"] else MISSING
        if code != outcome["code"]:
            return f"{status} with code {short_text(code)}"
    return _text_complaint(outcome, status, body) or _target_complaint(outcome, body)


def _text_complaint(outcome: dict[str, Any], status: int, body: Any) -> str:
    """Return why the text of an answer is not that of an outcome, or ``""``; without a code it is the summary."""
    path = outcome["text_at"] if outcome["code"] is not None else outcome["summary_at"] or outcome["text_at"]
    patterns, messages = outcome["patterns"], outcome["messages"]
    if not path or not (patterns or messages):
        return ""
    text = pick(body, path)
    fits = isinstance(text, str) and (
        any(re.search(pattern, text) for pattern in patterns)
        if patterns
        else any(says(text, known, detail=outcome["detail"]) for known in messages)
    )
    return "" if fits else f"{outcome['code'] or status} with {path.rpartition('.')[2]} {short_text(text)}"


def _target_complaint(outcome: dict[str, Any], body: Any) -> str:
    """Return why the target of a refusal is not that of an outcome, or ``""``."""
    if not outcome["target"] or not outcome["target_at"]:
        return ""
    target = pick(body, outcome["target_at"])
    fits = isinstance(target, dict) and [target.get("type"), target.get("name")] == list(outcome["target"])
    return "" if fits else f"{outcome['code']} with target {short_text(target)}"


# --- rules of every exchange ------------------------------------------------------------------------------------------


def rule_complaint(rule: dict[str, Any], method: str, answer: Answer, schemas: dict[str, Any]) -> str:
    """Return how an answer breaks a rule that holds for every exchange, or ``""``."""
    status, headers, body, text = answer
    if not status:
        return text or "no answer"
    kind = rule["rule"]
    if kind in {"envelope", "success-schema"}:
        name = rule["schema"] if kind == "envelope" else rule["schemas"].get(str(status), "")
        judged = method != "HEAD" and (kind == "success-schema" or status >= FIRST_ERROR)
        wrong = schema_complaint(name, body, schemas) if judged and name in schemas else ""
        return f"{status} with a body where {wrong}" if wrong else ""
    if kind == "complete":
        return ""
    if kind == "echo":
        return "a secret of the request in the answer" if _echoed(rule, status, headers, body) else ""
    named = str(pick(body, rule.get("summary", "-")))
    kinds: dict[str, Callable[[], tuple[Any, Any]]] = {
        "server-error": lambda: (
            status < FIRST_FAULT or [pick(body, rule["code"]), status] in rule["lawful"],
            True,
        ),
        "redirect": lambda: (FIRST_REDIRECT <= status < FIRST_ERROR, False),
        "media-type": lambda: (_is_of(headers.get("content-type", ""), rule.get("known", ())), True),
        "total": lambda: _total(pick(body, rule["total"]), pick(body, rule["entries"])),
        "reason-status": lambda: (pick(body, rule["status"]), status),
        "code": lambda: ([pick(body, rule["code"]), status] == rule["recorded"], False),
        "new-style-code": lambda: (_named_code(named), pick(body, rule["code"])),
        "phrase": lambda: (_status_of(named, status), status),
        "correlation": lambda: (headers.get(rule["header"]), rule["sent"]),
    }
    got, wanted = kinds[kind]()
    if kind == "new-style-code" and not got:
        return ""
    return "" if got == wanted else f"{status} with {short_text(got) if not isinstance(got, bool) else kind}"


def _is_of(media: str, known: list[str]) -> bool:
    plain = media.partition(";")[0].strip().lower()
    return any(plain.endswith(name) if name.startswith("+") else plain == name for name in known)


def _total(told: Any, entries: Any) -> tuple[Any, Any]:
    """Return a total and how many entries there are; the same where one of both is not told."""
    return (told, len(entries)) if told is not MISSING and isinstance(entries, list) else (0, 0)


def _named_code(text: str) -> str:
    found = re.search(r"\(([A-Z][A-Z0-9_]+)\)\s*\.?\s*\Z", text)
    return found[1] if found else ""


def _status_of(text: str, otherwise: int) -> int:
    phrases = {status.phrase: int(status) for status in HTTPStatus if status >= FIRST_ERROR}
    return phrases.get(text.partition(":")[0].strip(), otherwise)


def _echoed(rule: dict[str, Any], status: int, headers: dict[str, str], body: Any) -> bool:
    for path in rule["lawful"] if status < FIRST_ERROR else ():
        body = _without(body, path.split("."))
    whole = json.dumps([body, headers], ensure_ascii=False)
    return any(secret in whole for secret in rule["secrets"])


def _without(body: Any, path: list[str]) -> Any:
    if not path:
        return None
    head, rest = path[0], path[1:]
    if isinstance(body, list):
        return [
            _without(value, rest) if head in {"*", "[]", str(place)} else value
            for place, value in enumerate(body)
        ]
    if isinstance(body, dict):
        return {name: _without(value, rest) if name == head else value for name, value in body.items()}
    return body


# --- JSON Schema, as far as the suite's own schemas use it ------------------------------------------------------------


def schema_complaint(name: str, document: Any, schemas: dict[str, Any]) -> str:
    """Return which rule of a schema a document breaks, with its place, or ``""``."""
    return next(_broken(schemas[name], document, name, schemas, "the body"), "")


def _broken(schema: Any, value: Any, root: str, schemas: dict[str, Any], place: str) -> Iterator[str]:
    if isinstance(schema, bool):
        if not schema:
            yield f"{place} must not be there"
        return
    if "$ref" in schema:
        file, _, pointer = schema["$ref"].partition("#")
        name = file.rpartition("/")[2].removesuffix(".schema.json") or root
        yield from _broken(
            pick(schemas[name], pointer.strip("/").replace("/", ".")), value, name, schemas, place
        )
    for word, wanted in schema.items():
        check = SIMPLE.get(word)
        if check is not None and not check(value, wanted):
            yield f"{place} breaks {word}"
    yield from _combined(schema, value, root, schemas, place)
    if isinstance(value, dict):
        yield from _members(schema, value, root, schemas, place)
    elif isinstance(value, list):
        first = schema.get("prefixItems", [])
        for number, entry in enumerate(value):
            inner = first[number] if number < len(first) else schema.get("items", True)
            yield from _broken(inner, entry, root, schemas, f"{place}/{number}")


def _combined(
    schema: dict[str, Any], value: Any, root: str, schemas: dict[str, Any], place: str
) -> Iterator[str]:
    def fits(inner: Any) -> bool:
        return not any(_broken(inner, value, root, schemas, place))

    for inner in schema.get("allOf", ()):
        yield from _broken(inner, value, root, schemas, place)
    if "anyOf" in schema and not any(map(fits, schema["anyOf"])):
        yield f"{place} breaks anyOf"
    if "oneOf" in schema and sum(map(fits, schema["oneOf"])) != 1:
        yield f"{place} breaks oneOf"
    if "not" in schema and fits(schema["not"]):
        yield f"{place} breaks not"
    if "if" in schema:
        yield from _broken(
            schema.get("then" if fits(schema["if"]) else "else", True), value, root, schemas, place
        )


def _members(
    schema: dict[str, Any], value: dict[str, Any], root: str, schemas: dict[str, Any], place: str
) -> Iterator[str]:
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for name, inner in value.items():
        own = [known[name]] if name in known else []
        own += [pattern for text, pattern in patterns.items() if re.search(text, name)]
        for one in own or [schema.get("additionalProperties", True)]:
            yield from _broken(one, inner, root, schemas, f"{place}/{name}")
        if "propertyNames" in schema:
            yield from _broken(schema["propertyNames"], name, root, schemas, f"{place}/{name}")
    for name, others in schema.get("dependentRequired", {}).items():
        if name in value and not set(others) <= set(value):
            yield f"{place} breaks dependentRequired"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_type(value: Any, wanted: Any) -> bool:
    kinds = {
        "null": value is None,
        "boolean": isinstance(value, bool),
        "string": isinstance(value, str),
        "array": isinstance(value, list),
        "object": isinstance(value, dict),
        "number": _is_number(value),
        "integer": _is_number(value) and value == int(value),
    }
    return any(kinds[name] for name in ([wanted] if isinstance(wanted, str) else wanted))


def _same(one: Any, other: Any) -> bool:
    return _canonical(one) == _canonical(other)


def _canonical(value: Any) -> str:
    """Return a document as a text that is the same for the same documents: 2.0 is 2."""

    def plain(inner: Any) -> Any:
        if isinstance(inner, dict):
            return {name: plain(one) for name, one in inner.items()}
        if isinstance(inner, list):
            return [plain(one) for one in inner]
        return int(inner) if isinstance(inner, float) and inner.is_integer() else inner

    return json.dumps(plain(value), sort_keys=True)


SIMPLE: dict[str, Any] = {
    "type": _is_type,
    "enum": lambda value, wanted: any(_same(value, one) for one in wanted),
    "const": _same,
    "pattern": lambda value, wanted: not isinstance(value, str) or re.search(wanted, value) is not None,
    "minLength": lambda value, wanted: not isinstance(value, str) or len(value) >= wanted,
    "maxLength": lambda value, wanted: not isinstance(value, str) or len(value) <= wanted,
    "minimum": lambda value, wanted: not _is_number(value) or value >= wanted,
    "maximum": lambda value, wanted: not _is_number(value) or value <= wanted,
    "exclusiveMinimum": lambda value, wanted: not _is_number(value) or value > wanted,
    "minItems": lambda value, wanted: not isinstance(value, list) or len(value) >= wanted,
    "maxItems": lambda value, wanted: not isinstance(value, list) or len(value) <= wanted,
    "uniqueItems": lambda value, wanted: (
        not (wanted and isinstance(value, list)) or len({_canonical(one) for one in value}) == len(value)
    ),
    "minProperties": lambda value, wanted: not isinstance(value, dict) or len(value) >= wanted,
    "maxProperties": lambda value, wanted: not isinstance(value, dict) or len(value) <= wanted,
    "required": lambda value, wanted: not isinstance(value, dict) or set(wanted) <= set(value),
}
