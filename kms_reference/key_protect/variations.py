"""Variations: other wordings, headers, shapes and statuses that no source forbids."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect.errors import UMBRELLA_MESSAGES, RefusalError
from kms_reference.key_protect.iam import Issuer
from kms_reference.key_protect.sections import UMBRELLA
from kms_reference.key_protect.wire import keys_shown
from kms_reference.switches import Variation, gives

if TYPE_CHECKING:
    from collections.abc import Callable

    from kms_reference.rules import Draft, Mutator

_DATE: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)Z")
_NEWER: Final = re.compile(r": Please see (\W?)reasons\1 for more details \(\w+\)$")
_OLDER: Final = re.compile(r"\. Please see (\W?)reasons\1 for more details\.$")


def _texts(change: Callable[[str, Draft], str], *, summary: bool = True, message: bool = True) -> Mutator:
    def mutate(draft: Draft) -> None:
        if not draft.refused or draft.code is None:
            return
        if summary:
            draft.resource["errorMsg"] = change(draft.resource["errorMsg"], draft)
        if message:
            draft.reason["message"] = change(draft.reason["message"], draft)

    return mutate


def _reason(change: Callable[[dict[str, Any]], object]) -> Mutator:
    def mutate(draft: Draft) -> None:
        if draft.reason:
            change(draft.reason)

    return mutate


def _reply(change: Callable[[Draft], object]) -> Mutator:
    def mutate(draft: Draft) -> None:
        change(draft)

    return mutate


def _header(name: str, value: str, *, with_body: bool = False) -> Mutator:
    def mutate(draft: Draft) -> None:
        if draft.body is not None or not with_body:
            draft.headers[name] = value

    return mutate


def _vendor_type(draft: Draft) -> None:
    """Say the collection's own type; the vendor's live tests show that wrapped keys have one of their own too."""
    if not isinstance(draft.body, dict):
        return
    if "metadata" in draft.body:
        draft.headers["content-type"] = draft.body["metadata"].get("collectionType", "application/json")
    else:
        kind = "import_token" if draft.operation in ("postImportToken", "getImportToken") else "key_action"
        draft.headers["content-type"] = f"application/vnd.ibm.kms.{kind}+json"


def _sorted(value: Any, *, backwards: bool) -> Any:
    if isinstance(value, dict):
        return {k: _sorted(value[k], backwards=backwards) for k in sorted(value, reverse=backwards)}
    if isinstance(value, list):
        return [_sorted(item, backwards=backwards) for item in value]
    return value


def _replaced(value: Any, pattern: re.Pattern[str], by: str) -> Any:
    if isinstance(value, dict):
        return {k: _replaced(v, pattern, by) for k, v in value.items()}
    if isinstance(value, list):
        return [_replaced(item, pattern, by) for item in value]
    return pattern.sub(by, value) if isinstance(value, str) else value


def _fractions(draft: Draft) -> None:
    if not draft.refused:
        draft.body = _replaced(draft.body, _DATE, r"\1.000Z")


def _umbrella(draft: Draft) -> None:
    if draft.refused and draft.operation == "deleteKey" and draft.code in UMBRELLA_MESSAGES:
        draft.resource["errorMsg"] = "Key could not be deleted. Please 'reasons' for more details."
        draft.reason["message"] = UMBRELLA_MESSAGES[draft.code]


def _extra_members(draft: Draft) -> None:
    if isinstance(draft.body, dict):
        draft.body["trace"] = "0"
        if draft.resource:
            draft.resource["satelliteLocation"] = None
        if draft.reason:
            draft.reason["documentation"] = "apidocs"


def _empty_lists(draft: Draft) -> None:
    if not draft.refused and isinstance(draft.body, dict) and "metadata" in draft.body:
        draft.body.setdefault("resources", [])


def _target_when_undocumented(draft: Draft) -> None:
    if draft.refused and draft.code == "PROTECTED_RESOURCE_ERR":
        draft.reason["target"] = {"type": "query_param", "name": "force"}


def _older(text: str, _: Draft) -> str:
    return _NEWER.sub(". Please see `reasons` for more details.", text)


def _newer(text: str, draft: Draft) -> str:
    return _OLDER.sub(f": Please see `reasons` for more details ({draft.code})", text)


def _subject_of_action(draft: Draft) -> None:
    names = {"wrapKey": "Wrap with key", "unwrapKey": "Unwrap with key", "rewrapKey": "Rewrap with key"}
    if draft.refused and draft.code is not None and draft.operation in names:
        words = f"{names[draft.operation]} could not be performed"
        draft.resource["errorMsg"] = draft.resource["errorMsg"].replace(
            "Action could not be performed on key", words
        )


def _unauthorized_with_reason(draft: Draft) -> None:
    if draft.refused and draft.status == 401:  # noqa: PLR2004 - the status itself
        draft.resource["reasons"] = [
            {
                "code": "UNAUTHORIZED_ERR",
                "message": draft.resource["errorMsg"],
                "status": 401,
                "moreInfo": "https://cloud.ibm.com/apidocs/key-protect",
            }
        ]


def _unreadable_bearer(draft: Draft) -> None:
    if draft.code == "BEARER_SUB_EXTRACTION_ERR":
        draft.status, draft.code = 401, None
        draft.resource.pop("reasons")
        draft.resource["errorMsg"] = "Unauthorized: The user does not have access to the specified resource"


def _http_layer(draft: Draft) -> None:
    """Let a web server answer what no operation was asked for, as stock ones do: in words of its own, without envelope."""
    form = {405, 413}
    if draft.status in form or (draft.status == 404 and draft.operation is None):  # noqa: PLR2004 - the status itself
        draft.raw = _PAGE
        draft.headers["content-type"] = "text/html"


_ALIAS_LINGERS: Final = 240.0
_MOVE_TAKES: Final = 540.0
_PAGE: Final = b"<html><body><h1>Refused</h1></body></html>"


def _by_gateway(draft: Draft, status: int) -> None:
    """Let a gateway answer in the place of the service."""
    draft.status, draft.refused, draft.code, draft.raw = status, True, None, _PAGE
    draft.headers["content-type"] = "text/html"


def _path_stopped(draft: Draft) -> None:
    """Let a gateway stop a path with a control character, which it would have to pass on as it is."""
    args = draft.call.args.values() if draft.call is not None and draft.refused else ()
    if any(not character.isprintable() and character < "\x80" for text in args for character in text):
        _by_gateway(draft, 400)


def _outages() -> Mutator:
    """Let a gateway answer every twentieth request that only reads."""
    read = 0

    def mutate(draft: Draft) -> None:
        nonlocal read
        # Reading an import token uses up a retrieval, so what comes of it cannot be asked for again.
        reads = draft.operation is not None and draft.operation.startswith("get")
        if reads and draft.operation != "getImportToken" and not draft.refused:
            read += 1
            if read % 20 == 0:
                _by_gateway(draft, 503)

    return mutate


def _undeleted(draft: Draft) -> None:
    if draft.operation == "getKeys":
        for key in keys_shown(draft):
            key.pop("deleted", None)


def _ring_untold(draft: Draft) -> None:
    if draft.operation != "patchKey":
        for key in keys_shown(draft):
            key.pop("keyRingID", None)


def _lingering() -> Mutator:
    """Show a removed alias for four minutes more."""
    removed: dict[str, dict[str, float]] = {}
    known: dict[str, set[str]] = {}

    def mutate(draft: Draft) -> None:
        for key in draft.call.instance.keys.values() if draft.call is not None else ():
            gone = known.get(key.id, set()) - key.aliases.keys()
            removed.setdefault(key.id, {}).update(dict.fromkeys(gone, draft.call.now))
            known[key.id] = set(key.aliases)
        for entry in keys_shown(draft):
            late = [
                alias
                for alias, moment in removed.get(entry["id"], {}).items()
                if draft.call.now < moment + _ALIAS_LINGERS and alias not in (entry.get("aliases") or ())
            ]
            if late:
                entry["aliases"] = [*(entry.get("aliases") or ()), *late]

    return mutate


def _moving() -> Mutator:
    """Show a moved key in its former ring for nine minutes; the reply to the move itself shows the new ring."""
    moved: dict[str, tuple[float, str]] = {}
    known: dict[str, str] = {}

    def mutate(draft: Draft) -> None:
        for key in draft.call.instance.keys.values() if draft.call is not None else ():
            before = known.get(key.id, key.ring)
            if before != key.ring:
                moved[key.id] = (draft.call.now, before)
            known[key.id] = key.ring
        for entry in keys_shown(draft) if draft.operation != "patchKey" else ():
            moment, before = moved.get(entry["id"], (0.0, ""))
            if draft.call.now < moment + _MOVE_TAKES:
                entry["keyRingID"] = before

    return mutate


def _nulls(draft: Draft) -> None:
    for key in keys_shown(draft):
        for name in ("description", "aliases", "tags", "expirationDate", "lastRotateDate", "deletionDate"):
            key.setdefault(name, None)


def _own_codes(draft: Draft) -> None:
    """Give refusals whose code no source fixes a code and a status of the server's own."""
    free = {"createKey", "createKeyAlias", "createKeyRing", "deleteKeyRing", "postImportToken"}
    if draft.refused and draft.operation in free and draft.code == "INVALID_FIELD_ERR":
        draft.status, draft.code = 422, "VALUE_REFUSED"
        draft.reason.update(code=draft.code, status=draft.status)
        summary = str(draft.resource["errorMsg"]).replace("INVALID_FIELD_ERR", draft.code)
        draft.resource["errorMsg"] = summary.replace("Bad Request", "Unprocessable Entity")


def _expired(_: RefusalError, issuer: Issuer) -> RefusalError:
    """Say that the token is expired: by 401, and in the edition `service` by 400, as the service was seen to do."""
    if issuer.rules.page:
        return RefusalError(status=401, summary="Unauthorized: Token is expired")
    return RefusalError(status=400, summary="Bad Request: Token is expired")


REPLY_VARIATIONS: Final = (
    Variation("quotes-apostrophe", "The word reasons and field names stand in apostrophes.", (), _texts(lambda t, _: t.replace("`", "'"))),
    Variation("quotes-double", "The word reasons and field names stand in double quotes.", (), _texts(lambda t, _: t.replace("`", '"'))),
    Variation("quotes-none", "The word reasons stands without quotes.", (), _texts(lambda t, _: t.replace("`", ""), message=False)),
    Variation("summary-older-style", "errorMsg ends in a sentence of its own, without the code.", (), _texts(_older, message=False)),
    Variation("summary-newer-style", "errorMsg ends with the code in parentheses.", (), _texts(_newer, message=False)),
    Variation("message-final-period", "Messages end with a period.", (), _texts(lambda t, _: t.rstrip(".") + ".", summary=False)),
    Variation("message-no-final-period", "Messages end without a period.", (), _texts(lambda t, _: t.rstrip("."), summary=False)),
    Variation("message-colons", "Messages join their sentences with colons.", ("key-deleted-err", "bad-body-err"), _texts(lambda t, _: re.sub(r"\. (?=\w)", ": ", t), summary=False)),
    Variation("message-periods", "Messages join their sentences with periods.", ("req-too-early-err", "key-rotation-not-permitted"), _texts(lambda t, _: re.sub(r": (?=[A-Z])", ". ", t), summary=False)),
    Variation("umbrella-texts", "Refused deletions have the texts of the section on deletion.", (UMBRELLA,), _umbrella),
    Variation("action-named-in-summary", "errorMsg of wrap, unwrap and rewrap names the action.", ("no-body-err",), _subject_of_action),
    Variation("unauthorized-other-wording", "401 has the wording of the other edition.", ("unauthorized-err",)),
    Variation("unauthorized-with-reason", "401 carries its code in a reason.", ("unauthorized-err",), _unauthorized_with_reason),
    Variation("unreadable-bearer-401", "An unreadable bearer token is answered with 401 without reasons.", ("bearer-sub-extraction-err",), _unreadable_bearer),
    Variation("expired-token-told", "The refusal of an expired token says that it has expired.", ("unauthorized-err",), changes=(gives(Issuer.expired, _expired),)),
    Variation("extra-members", "Replies hold members that the page does not know.", (), _extra_members),
    Variation("more-info-other", "moreInfo is another https address.", (), _reason(lambda r: r.update(moreInfo="https://kms.example.test/errors"))),
    Variation("more-info-missing", "Reasons have no moreInfo.", (), _reason(lambda r: r.pop("moreInfo"))),
    Variation("members-sorted", "Members come in alphabetical order.", (), _reply(lambda d: setattr(d, "body", _sorted(d.body, backwards=False)))),
    Variation("members-reversed", "Members come in backward order.", (), _reply(lambda d: setattr(d, "body", _sorted(d.body, backwards=True)))),
    Variation("media-type-charset", "The media type names its charset.", (), _header("content-type", "application/json; charset=utf-8", with_body=True)),
    Variation("media-type-vendor", "The media type is the collection's own.", (), _vendor_type),
    Variation("media-type-upper-case", "The media type is in upper case.", (), _header("content-type", "Application/JSON", with_body=True)),
    Variation("chunked", "Bodies come in chunks without a length.", (), _reply(lambda d: setattr(d, "chunked", True))),
    Variation("connection-close", "The connection is closed after each reply.", (), _header("connection", "close")),
    Variation("correlation-id-missing", "Replies have no correlation-id.", (), _header("correlation-id", "")),
    Variation("www-authenticate", "401 says how to authenticate.", ("unauthorized-err",), _reply(lambda d: d.headers.update({"www-authenticate": "Bearer"}) if d.status == 401 else None)),  # noqa: PLR2004 - the status itself
    Variation("fractional-seconds", "Dates have fractions of seconds.", (), _fractions),
    Variation("resources-in-empty-lists", "Empty lists have an empty member resources.", (), _empty_lists),
    Variation("import-token-names-its-life", "Import tokens also say their life in seconds.", ("import-token-expired-err",)),
    Variation("restore-ignores-material", "Restoring takes no notice of the material in its body.", ("key-impt-req-err",)),
    Variation("purge-200", "Purging is answered with 200.", ()),
    Variation("alias-200", "Creating an alias is answered with 200.", ()),
    Variation("active-kmip-object-needs-force", "An active KMIP object is deleted with force only.", ()),
    Variation("force-named-as-target", "A refused deletion names force as its target.", ("protected-resource-err",), _target_when_undocumented),
    Variation("destroyed-key-is-gone", "Actions on a deleted key are answered with 410.", ("key-action-invalid-state-err",)),
    Variation("http-layer-answers", "A web server answers unknown paths, unknown methods and large bodies with pages of its own.", (), _http_layer),
    Variation("control-characters-stopped", "A gateway stops paths with encoded control characters by a 400 of its own.", (), _path_stopped),
    Variation("gateway-now-and-then", "A gateway answers every twentieth request that reads by a 503 of its own.", (), counting=_outages),
    Variation("list-entries-without-deleted", "Entries of a list of keys do not say whether they are deleted.", (), _undeleted),
    Variation("removed-aliases-linger", "A key shows an alias for four minutes more after it was removed.", (), counting=_lingering),
    Variation("moves-show-late", "A key shows its former ring for nine minutes after it was moved.", (), counting=_moving),
    Variation("key-ring-untold", "Keys do not show their ring, which older replies do not have.", (), _ring_untold),
    Variation("unset-members-null", "Members of a key that are not set are null.", (), _nulls),
    Variation("codes-of-its-own", "Refusals whose code no source fixes have a code and a status of the server's own.", (), _own_codes),
    Variation("allowed-ip-not-enabled", "The account does not have the allowedIP policy.", ("feature-restricted-err",)),
    Variation("expiry-half-an-hour-late", "Expired keys change their state half an hour late.", ("key-expired-err",), times={"expiry-sweep": 1_800}),
)  # fmt: skip
