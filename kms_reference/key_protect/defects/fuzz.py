"""Faults that only fuzzing finds: deep in a body, on the third action, with unusual numbers and letters.

Each rewrites a finished reply, or a key behind it, when a request looks in a certain way. None shows in a documented
sequence, so they are kept apart from the other defects.
"""
# ruff: noqa: PLR2004 - the numbers are what each defect is about

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect.defects import fuzz_triggers as on
from kms_reference.key_protect.model import State
from kms_reference.switches import Defect

if TYPE_CHECKING:
    from collections.abc import Callable

    from kms_reference.rules import Draft, Mutator

    When = Callable[[Draft], bool]
    Spoil = Callable[[Draft], None]

_EXACT: Final = 2**53
_CROSSING: Final = 0.0004
_SLOW: Final = 5.5


# -- what is wrong with the reply ------------------------------------------------------------------


def _crash(draft: Draft) -> None:
    draft.status, draft.refused, draft.code = 500, True, None
    draft.body = {"error": "internal"}


def _no_json(draft: Draft) -> None:
    draft.raw = b"Traceback (most recent call last):"


def _cut(draft: Draft) -> None:
    draft.raw = json.dumps(draft.body).encode()[:-1] if draft.body is not None else None


def _total(draft: Draft) -> None:
    if isinstance(draft.body, dict) and isinstance(draft.body.get("metadata"), dict):
        draft.body["metadata"]["collectionTotal"] = draft.body["metadata"].get("collectionTotal", 0) + 1


def _status(status: int) -> Spoil:
    def spoil(draft: Draft) -> None:
        draft.status = status

    return spoil


def _code(code: str) -> Spoil:
    def spoil(draft: Draft) -> None:
        draft.reason["code"] = code

    return spoil


def _reason_status(draft: Draft) -> None:
    draft.reason["status"] = 418


def _drop(*names: str) -> Spoil:
    def spoil(draft: Draft) -> None:
        for name in names:
            draft.resource.pop(name, None)

    return spoil


def _put(name: str, value: Any) -> Spoil:
    def spoil(draft: Draft) -> None:
        draft.resource[name] = value

    return spoil


def _echo(draft: Draft) -> None:
    """Repeat the longest text of the request in the error message."""
    texts = [value for value, _ in on.values(on.body(draft)) if isinstance(value, str)]
    draft.resource["errorMsg"] = f"Bad Request: cannot read {max(texts, key=len, default='')}"


def _media(draft: Draft) -> None:
    draft.headers["content-type"] = "text/plain"


def _no_envelope(draft: Draft) -> None:
    draft.body = {"message": "no"}


def _other_correlation(draft: Draft) -> None:
    draft.headers["correlation-id"] = "00000000-0000-4000-8000-000000000000"


def _linger(draft: Draft) -> None:  # noqa: ARG001 - one signature for all
    time.sleep(_SLOW)


def _key(change: Callable[[Any], None]) -> Spoil:
    """Return what changes the key behind the reply."""

    def spoil(draft: Draft) -> None:
        key = draft.call.instance.find(draft.call.args.get("id", ""))
        if key is not None:
            change(key)

    return spoil


def _into(state: int) -> Spoil:
    def change(key: Any) -> None:
        key.state = state

    return _key(change)


def _forget_rotation(key: Any) -> None:
    key.rotated = None


def _lose_version(key: Any) -> None:
    if len(key.versions) > 1:
        del key.versions[0]


def _lose_dual(key: Any) -> None:
    key.dual_auth = None


def _plaintext(draft: Draft) -> None:
    if isinstance(draft.body, dict) and draft.body.get("plaintext"):
        draft.body["plaintext"] = "AAAA"


def _material(draft: Draft) -> None:
    key = draft.call.instance.find(draft.call.args.get("id", ""))
    if key is not None:
        draft.resource["keyHint"] = base64.b64encode(bytes.fromhex(key.newest.material)).decode()


def _when(test: When, spoil: Spoil) -> Mutator:
    def mutate(draft: Draft) -> None:
        if test(draft):
            spoil(draft)

    return mutate


_ROWS: Final[tuple[tuple[str, When, Spoil, str], ...]] = (
    # numbers
    ("fuzz-number-over-2-53", on.some(on.big), _crash, "A number beyond 2^53 crashes the parser."),
    (
        "fuzz-fraction-where-integer",
        on.some(lambda v: isinstance(v, float)),
        _no_json,
        "A fraction gives a stack trace.",
    ),
    (
        "fuzz-negative-offset-pages",
        on.query(lambda n, v: n == "offset" and v.startswith("-")),
        _crash,
        "A negative offset crashes the list.",
    ),
    (
        "fuzz-large-limit-total",
        on.both(on.query(lambda n, v: n == "limit" and v.isdigit() and int(v) > 1000), on.done("getKeys")),
        _total,
        "Beyond a limit of 1000 the total is off by one.",
    ),
    (
        "fuzz-limit-not-a-number",
        on.query(lambda n, v: n == "limit" and not v.lstrip("-").isdigit()),
        _no_envelope,
        "A limit that is no number is refused without envelope.",
    ),
    # letters
    ("fuzz-astral-name", on.text(on.astral), _cut, "A letter outside the basic plane cuts the reply short."),
    ("fuzz-nul-in-text", on.text(lambda t: "\0" in t), _crash, "A NUL in a text crashes the store."),
    (
        "fuzz-combining-letters",
        on.text(lambda t: "\u0301" in t),
        _status(202),
        "Combining letters are taken, with a status of its own.",
    ),
    (
        "fuzz-right-to-left",
        on.text(lambda t: "\u202e" in t),
        _media,
        "A direction mark changes the media type.",
    ),
    (
        "fuzz-lone-surrogate",
        on.text(lambda t: any("\ud800" <= c <= "\udfff" for c in t)),
        _crash,
        "Half a surrogate pair crashes the encoder.",
    ),
    (
        "fuzz-control-letters",
        on.text(lambda t: any(ord(c) < 32 for c in t)),
        _reason_status,
        "Control letters make the reason's status a teapot.",
    ),
    ("fuzz-long-text", on.text(lambda t: len(t) > 5000), _no_json, "A long text gives a stack trace."),
    (
        "fuzz-unicode-search",
        on.query(lambda n, v: n == "search" and not v.isascii()),
        _crash,
        "A search for other alphabets crashes.",
    ),
    (
        "fuzz-percent-in-path",
        on.path(lambda v: "%" in v),
        _no_envelope,
        "An escape in a path is refused without envelope.",
    ),
    # shapes
    ("fuzz-deep-body", on.deep(20), _crash, "A deeply nested body crashes."),
    ("fuzz-empty-list", on.some(lambda v: v == []), _total, "An empty list makes the total off by one."),
    (
        "fuzz-null-member",
        on.both(on.member(lambda _, v: v is None), on.refused),
        _code("BAD_BODY"),
        "A null member gets a code that nobody knows.",
    ),
    ("fuzz-empty-member-name", on.member(lambda n, _: not n), _crash, "A member without a name crashes."),
    ("fuzz-long-member-name", on.member(lambda n, _: len(n) > 100), _crash, "A long member name crashes."),
    (
        "fuzz-proto-member",
        on.member(lambda n, _: n in {"__proto__", "constructor"}),
        _no_envelope,
        "A member of JavaScript's own gets another reply.",
    ),
    (
        "fuzz-body-is-a-list",
        lambda draft: isinstance(on.body(draft), list),
        _crash,
        "A body that is a list crashes.",
    ),
    (
        "fuzz-body-is-a-text",
        lambda draft: isinstance(on.body(draft), str),
        _no_json,
        "A body that is a text gives a stack trace.",
    ),
    (
        "fuzz-nested-boolean",
        on.both(on.member(lambda _, v: isinstance(v, bool)), on.refused),
        _reason_status,
        "A boolean in a refused body makes the reason's status a teapot.",
    ),
    (
        "fuzz-payload-echoed",
        on.both(
            on.member(lambda n, v: n == "payload" and isinstance(v, str) and len(v) > 11),
            on.both(on.refused, on.member(lambda n, _: n == "resources")),
        ),
        _echo,
        "A refused payload is repeated.",
    ),
    (
        "fuzz-unknown-ring-header",
        on.both(on.header("x-kms-key-ring", bool), on.refused),
        _drop("reasons", "errorMsg"),
        "With a ring header, refusals lose their message.",
    ),
    (
        "fuzz-unknown-query",
        on.query(
            lambda n, _: (
                n
                not in {
                    "limit",
                    "offset",
                    "state",
                    "extractable",
                    "search",
                    "sort",
                    "filter",
                    "policy",
                    "action",
                    "force",
                    "totalCount",
                    "allKeyStates",
                    "crk_id",
                    "allowExpiringKey",
                    "preventKeyDeletion",
                    "urlEncodedResourceCRNQuery",
                }
            )
        ),
        _crash,
        "An unknown query parameter crashes.",
    ),
    (
        "fuzz-prefer-minimal-status",
        on.both(
            on.header("prefer", lambda v: "minimal" in v),
            on.done("createKey", "createKeyWithPoliciesOverrides"),
        ),
        _status(206),
        "return=minimal is answered with 206.",
    ),
    (
        "fuzz-odd-content-type",
        on.both(
            on.header(
                "content-type",
                lambda v: v not in {"", "application/json"} and not v.startswith("application/vnd."),
            ),
            lambda _: True,
        ),
        _crash,
        "An unexpected content type crashes.",
    ),
    (
        "fuzz-other-correlation-id",
        on.both(on.header("correlation-id", lambda v: v.count("-") == 4), on.refused),
        _other_correlation,
        "Refusals come with a correlation id of their own.",
    ),
    (
        "fuzz-filter-crashes",
        on.query(lambda n, v: n == "filter" and "=" in v),
        _crash,
        "A filter with an equals sign crashes.",
    ),
    (
        "fuzz-rings-listed-without-id",
        on.both(on.done("listKeyRings"), on.query(lambda n, _: n == "totalCount")),
        _drop("id"),
        "With totalCount the first ring has no id.",
    ),
    (
        "fuzz-kmip-name-missing",
        on.both(on.done("getKmipAdapters"), on.query(lambda n, _: n == "limit")),
        _drop("name"),
        "With a limit the first adapter has no name.",
    ),
    (
        "fuzz-alias-reply-without-alias",
        on.both(on.done("createKeyAlias"), on.path(lambda v: "_" in v)),
        _drop("alias"),
        "An alias with an underscore is not shown.",
    ),
    # sequences, and what crosses
    ("fuzz-third-wrap-crashes", on.nth(3, "wrapKey"), _crash, "The third wrap with a key crashes."),
    (
        "fuzz-third-metadata-total",
        on.nth(3, "getKeyMetadata"),
        _total,
        "The third reading of a key counts one too many.",
    ),
    ("fuzz-crossing-requests", on.crossing(), _crash, "Two requests that cross crash."),
    (
        "fuzz-slow-on-sort",
        on.both(on.query(lambda n, v: n == "sort" and v.count(",") >= 6), on.done("getKeys")),
        _linger,
        "Sorting by many properties takes long.",
    ),
    (
        "fuzz-second-enable-expires",
        on.nth(2, "enableKey"),
        _into(State.DEACTIVATED),
        "Enabling for the second time deactivates.",
    ),
    (
        "fuzz-rotation-limit-lost-by-disable",
        on.done("disableKey"),
        _key(_forget_rotation),
        "Disabling forgets the last rotation.",
    ),
    (
        "fuzz-second-rotation-loses-version",
        on.nth(2, "rotateKey"),
        _key(_lose_version),
        "The second rotation loses the first version.",
    ),
    (
        "fuzz-restore-loses-dual-auth",
        on.done("restoreKey"),
        _key(_lose_dual),
        "A restored key has lost dual authorisation.",
    ),
    (
        "fuzz-unset-disables",
        on.done("unsetKeyForDeletion"),
        _into(State.SUSPENDED),
        "Withdrawing an authorisation disables the key.",
    ),
    (
        "fuzz-unwrap-after-rotation",
        on.both(on.done("unwrapKey"), lambda draft: "rewrappedKeyVersion" in (draft.body or {})),
        _plaintext,
        "After a rotation, old ciphertexts open to something else.",
    ),
    (
        "fuzz-rewrap-then-disabled",
        on.nth(2, "rewrapKey"),
        _into(State.SUSPENDED),
        "Rewrapping twice disables the key.",
    ),
    (
        "fuzz-material-in-versions",
        on.both(on.done("getKeyVersions"), on.query(lambda n, _: n == "allKeyStates")),
        _material,
        "Versions in all states show key material.",
    ),
)

FUZZ_DEFECTS: Final[tuple[Defect, ...]] = tuple(
    Defect(name, doc, mutate=_when(test, spoil)) for name, test, spoil, doc in _ROWS
)
