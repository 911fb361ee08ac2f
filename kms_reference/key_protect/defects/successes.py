"""Defects that change a finished success: statuses, members, secrets, lists."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect.defects.refusals import bearer
from kms_reference.switches import Defect

if TYPE_CHECKING:
    from collections.abc import Callable

    from kms_reference.rules import Draft, Mutator


def _success(operation: str, change: Callable[[Draft], object]) -> Mutator:
    def mutate(draft: Draft) -> None:
        if not draft.refused and operation in (draft.operation, "*") and draft.operation is not None:
            change(draft)

    return mutate


def _collection(change: Callable[[dict[str, Any]], object]) -> Mutator:
    def apply(draft: Draft) -> None:
        if isinstance(draft.body, dict) and "metadata" in draft.body:
            change(draft.body)

    return _success("*", apply)


def _second_page(change: Callable[[Draft], object]) -> Mutator:
    def apply(draft: Draft) -> None:
        if draft.call is not None and draft.call.query.get("offset", "0") not in ("0", ""):
            change(draft)

    return _success("getKeys", apply)


def _with_payload(draft: Draft) -> None:
    resource = json.loads(draft.call.raw)["resources"][0]
    if resource.get("payload"):
        draft.resource["payload"] = resource["payload"]


def _total(draft: Draft, change: Callable[[int], int]) -> None:
    metadata = draft.body["metadata"]
    metadata["collectionTotal"] = change(metadata["collectionTotal"])


def _rotated_with_body(draft: Draft) -> None:
    draft.status, draft.body = 200, {}


def _no_resources(draft: Draft) -> None:
    draft.body.pop("resources", None)
    _total(draft, lambda _: 0)


def _whole_total(draft: Draft) -> None:
    draft.body["metadata"]["collectionTotal"] = len(draft.call.instance.keys)


SUCCESS_DEFECTS: Final = (
    Defect("created-as-200", "Creating a key is answered with 200.", (), _success("createKey", lambda d: setattr(d, "status", 200))),
    Defect("created-without-id", "The creation reply has no key id.", (), _success("createKey", lambda d: d.resource.pop("id"))),
    Defect("created-with-other-name", "The creation reply has another name than was asked for.", (), _success("createKey", lambda d: d.resource.update(name="key"))),
    Defect("created-as-other-kind", "The creation reply swaps root and standard keys.", (), _success("createKey", lambda d: d.resource.update(extractable=not d.resource["extractable"]))),
    Defect("imported-flag-wrong", "The creation reply says of imported keys that they were generated.", (), _success("createKey", lambda d: d.resource.update(imported=False))),
    Defect("created-state-text", "The state of a new key is a word.", (), _success("createKey", lambda d: d.resource.update(state="active"))),
    Defect("created-state-preactive", "A new key is in state 0.", (), _success("createKey", lambda d: d.resource.update(state=0))),
    Defect("created-crn-broken", "The CRN of a new key lacks the account.", (), _success("createKey", lambda d: d.resource.update(crn="crn:v1:bluemix:public:kms:us-south::key"))),
    Defect("import-echoes-payload", "The creation reply holds the imported key material.", (), _success("createKey", _with_payload)),
    Defect("expiration-date-lost", "Replies leave out the expiration date.", (), _success("createKey", lambda d: d.resource.pop("expirationDate", None))),
    Defect("dates-as-numbers", "Key dates are numbers.", (), _success("getKeyMetadata", lambda d: d.resource.update(creationDate=1_600_000_000))),
    Defect("deleted-flag-missing", "Metadata do not say whether the key is deleted.", (), _success("getKeyMetadata", lambda d: d.resource.pop("deleted"))),
    Defect("deletion-date-missing", "Metadata of deleted keys have no deletion date.", (), _success("getKeyMetadata", lambda d: d.resource.pop("deletionDate", None))),
    Defect("key-version-missing", "Metadata have no key version.", (), _success("getKeyMetadata", lambda d: d.resource.pop("keyVersion"))),
    Defect("state-always-active", "Metadata always say that the key is active.", (), _success("getKeyMetadata", lambda d: d.resource.update(state=1, deleted=False))),
    Defect("wrap-without-version", "The reply of wrap names no key version.", (), _success("wrapKey", lambda d: d.body.pop("keyVersion"))),
    Defect("wrap-echoes-plaintext", "The reply of wrap returns a plaintext that the client gave.", (), _success("wrapKey", lambda d: d.body.update(json.loads(d.call.raw or b"{}")))),
    Defect("wrap-as-201", "Wrap is answered with 201.", (), _success("wrapKey", lambda d: setattr(d, "status", 201))),
    Defect("unwrap-without-plaintext", "The reply of unwrap holds no plaintext.", ("no-body-err",), _success("unwrapKey", lambda d: d.body.pop("plaintext"))),
    Defect("rotate-as-200", "Rotation is answered with 200 and a body.", ("key-rotation-not-permitted",), _success("rotateKey", _rotated_with_body)),
    Defect("delete-as-202", "Deletion is answered with 202.", ("key-deleted-err",), _success("deleteKey", lambda d: setattr(d, "status", 202))),
    Defect("restore-as-200", "Restoring is answered with 200.", ("key-expired-err",), _success("restoreKey", lambda d: setattr(d, "status", 200))),
    Defect("enable-as-201", "Enabling is answered with 201.", ("req-too-early-err",), _success("enableKey", lambda d: setattr(d, "status", 201))),
    Defect("import-token-as-201", "Creating an import token is answered with 201.", ("import-token-expired-err",), _success("postImportToken", lambda d: setattr(d, "status", 201))),
    Defect("import-token-nonce-missing", "The fetched import token has no nonce.", ("incorrect-nonce-err",), _success("getImportToken", lambda d: d.body.pop("nonce"))),
    Defect("import-token-life-wrong", "The import token's expiration date is its creation date.", ("import-token-expired-err",), _success("postImportToken", lambda d: d.body.update(expirationDate=d.body["creationDate"]))),
    Defect("list-total-wrong", "Collections count one resource too many.", (), _collection(lambda b: b["metadata"].update(collectionTotal=b["metadata"]["collectionTotal"] + 1))),
    Defect("list-total-of-all", "A page of keys counts all keys of the instance.", (), _success("getKeys", _whole_total)),
    Defect("list-type-missing", "Collections do not say their type.", (), _collection(lambda b: b["metadata"].pop("collectionType"))),
    Defect("second-page-total-wrong", "From the second page on, key lists count wrong.", (), _second_page(lambda d: _total(d, lambda n: n + 1))),
    Defect("second-page-empty", "From the second page on, key lists are empty.", (), _second_page(_no_resources)),
    Defect("list-reversed", "Key lists come in the opposite order.", (), _success("getKeys", lambda d: d.body.get("resources", []).reverse())),
    Defect("bearer-in-success", "Key metadata hold the caller's bearer token.", (), _success("getKeyMetadata", lambda d: d.resource.update(requestedBy=bearer(d)))),
    Defect("key-total-missing", "HEAD on the keys has no Key-Total header.", (), _success("getKeyCollectionMetadata", lambda d: d.headers.clear())),
    Defect("success-as-html", "Successful replies claim to be text/html.", (), _success("*", lambda d: d.headers.update({"content-type": "text/html"}))),
    Defect("success-json-cut", "The JSON of key metadata is cut off.", (), _success("getKeyMetadata", lambda d: setattr(d, "raw", json.dumps(d.body).encode()[:-5]))),
)  # fmt: skip
