"""Other ways of making Key Protect's requests, by the ids of ``views.yaml``.

Each class is a ``kms`` that changes a request where the view applies and leaves all others alone. What a case does at
its clean-up, and what it sends byte by byte, is never changed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kms_conformance.adapters.key_protect.actions import ACTION
from kms_conformance.adapters.key_protect.adapter import KeyProtect
from kms_conformance.adapters.key_protect.base import ROOT
from kms_conformance.adapters.key_protect.keys import KEY
from kms_conformance.adapters.key_protect.laws.under_view import KEY_PATH, CaseRequest, UnderView
from kms_conformance.adapters.key_protect.laws.views_after import AfterRefusals, AfterUse
from kms_conformance.adapters.key_protect.material import WrappedMaterial
from kms_conformance.evidence.exchange import JSON
from kms_conformance.redaction.redactor import Secret
from kms_conformance.run.answer import Answer

_ACTION = re.compile(
    r"/keys/(?P<key>[^/]+)/actions/(?P<action>disable|enable|rewrap|rotate|setKeyForDeletion|unsetKeyForDeletion|unwrap|wrap)"
)
_RESTORE = re.compile(r"/keys/(?P<key>[^/]+)/restore")
_WRAP = re.compile(r"/keys/[^/]+/actions/wrap")
_BY_READERS = {"wrap", "unwrap", "rewrap"}
_READ_BY_READERS = re.compile(
    r"/keys|/key_rings|/keys/registrations|/keys/[^/]+/(metadata|versions|registrations)"
)
_AES_LENGTHS = {24, 32, 44}
"""Of base64 texts of 16, 24 and 32 octets."""
_RING = "x-kms-key-ring"


class ByAlias(UnderView):
    """Names a key by an alias that is made for it."""

    view = "alias"

    def otherwise(self, request: CaseRequest) -> CaseRequest | None:
        """Name the key by its alias, as long as the key is there."""
        match = KEY_PATH.fullmatch(request.path)
        if match is None or "/aliases/" in request.path:
            return None
        alias = self.case.view_notes.get(match["key"])
        if not alias or match["key"] not in self.case.own_things:
            return None
        return replace(request, path=f"/keys/{alias}{match['rest'] or ''}")

    def _made_key(self, row: int, key_id: str) -> None:
        super()._made_key(row, key_id)
        if self.case.cleaning or key_id in self.case.view_notes:
            # A restored key is named by its id: what becomes of its aliases is a promise of its own.
            self.case.view_notes[key_id] = ""
            return
        alias = self.short_name("view")
        self.case.view_notes[key_id] = alias
        KeyProtect(self.case).create_alias(key_id, alias).needed(200, 201)


class OldForm(UnderView):
    """Performs an action by the older form of its path."""

    view = "old-form"
    equivalent = (200, 201, 204)

    def otherwise(self, request: CaseRequest) -> CaseRequest | None:
        """Name the action in the query."""
        if request.method != "POST" or request.params:
            return None
        match = _ACTION.fullmatch(request.path)
        key, action = (match["key"], match["action"]) if match else ("", "restore")
        if match is None:
            match = _RESTORE.fullmatch(request.path)
            if match is None:
                return None
            key = match["key"]
        step = f"{action} key (old form)"
        return replace(
            request, path=f"/keys/{key}", params={"action": action}, content_type=ACTION, step=step
        )


class InDefaultRing(UnderView):
    """Names the ring in which the keys of a case are."""

    view = "ring-header"

    def otherwise(self, request: CaseRequest) -> CaseRequest | None:
        """Name the default ring, as long as the case has nothing to do with others."""
        notes, named = self.case.view_notes, {name for name, _ in self._view.headers}
        if _RING in named or "key_ring" in request.path or request.method == "PATCH":
            notes["rings"] = "used"
        if notes.get("rings") or not request.path.startswith(("/keys", "/import_token")):
            return None
        return replace(request, headers={_RING: "default"})


class PreferringMinimal(UnderView):
    """Asks for as little as possible in return."""

    view = "prefer-minimal"
    equivalent = (200, 204)

    def otherwise(self, request: CaseRequest) -> CaseRequest | None:
        """Prefer a minimal answer to a deletion, a purge and a rotation."""
        is_rotation = request.path.endswith("/actions/rotate")
        is_deletion = request.method == "DELETE" and KEY_PATH.fullmatch(request.path) is not None
        is_deletion = is_deletion and "/aliases/" not in request.path and "/registrations" not in request.path
        return replace(request, headers={"prefer": "return=minimal"}) if is_rotation or is_deletion else None


class PreferringRepresentation(UnderView):
    """Asks for the changed thing in return."""

    view = "prefer-representation"
    equivalent = (200, 204)

    def otherwise(self, request: CaseRequest) -> CaseRequest | None:
        """Prefer a representation where an operation knows the header."""
        is_creation = request.method == "POST" and request.path in {"/keys", "/keys_with_policy_overrides"}
        is_change = request.path.endswith(("/actions/rotate", "/restore", "/purge"))
        is_deletion = request.method == "DELETE" and re.fullmatch(r"/keys/[^/]+", request.path) is not None
        if is_creation or is_change or is_deletion:
            return replace(request, headers={"prefer": "return=representation"})
        return None


class WithPolicyOverrides(UnderView):
    """Creates keys by the operation that may set policies as well, and sets none."""

    view = "policy-overrides"

    def otherwise(self, request: CaseRequest) -> CaseRequest | None:
        """Use the other path for a body that has one key in its frame."""
        if request.method != "POST" or request.path != "/keys" or not self.is_usual_caller:
            return None
        match request.body:
            case {"metadata": {"collectionTotal": 1}, "resources": [dict()]}:
                return replace(request, path="/keys_with_policy_overrides")
        return None


class OtherMediaTypes(UnderView):
    """Names the media type of a body as other clients do, or not at all, and writes members in the opposite order."""

    view = "media-types"

    def otherwise(self, request: CaseRequest) -> CaseRequest | None:
        """Take the next of the types that the known clients send; the documented calls name one without a body as well."""
        if any(name == "content-type" for name, _ in self._view.headers):
            return None
        if request.body is None:
            usual = ACTION if request.method == "POST" else KEY
            return replace(request, headers={"content-type": usual, "accept": self._accepted(usual)})
        turn = self._turn("turn")
        match = _ACTION.fullmatch(request.path) or _RESTORE.fullmatch(request.path)
        action = "" if match is None else match.groupdict().get("action") or "restore"
        own = f"application/vnd.ibm.kms.key_action_{action}+json" if action else "application/json"
        types = (None, "application/json", own, "application/json; charset=utf-8")
        chosen = types[turn % len(types)]
        request = replace(request, body=_backwards(request.body))
        headers = {"accept": self._accepted(ACTION if action else KEY)}
        if chosen is None:
            return replace(request, headers={**headers, "content-type": None})
        return replace(request, content_type=chosen, headers=headers)

    def _accepted(self, usual: str) -> str:
        """Return the next of what clients accept: one type, several of different weight, or any (RFC 9110, section 12.5.1)."""
        accepted = ("*/*", usual, "application/json, text/plain;q=0.5, */*;q=0.1")
        return accepted[self._turn("accepted") % len(accepted)]

    def _turn(self, what: str) -> int:
        """Return how often this was asked before in the case."""
        turn = int(self.case.view_notes.get(what, "0"))
        self.case.view_notes[what] = str(turn + 1)
        return turn


def _backwards(body: JSON) -> JSON:
    """Return JSON with the members of each object in the opposite order."""
    if isinstance(body, dict):
        return {name: _backwards(body[name]) for name in reversed(body)}
    return [_backwards(entry) for entry in body] if isinstance(body, list) else body


class AsSecondManager(UnderView):
    """Asks as a second identity of equal role, or as a reader where the target has one and a reader may do the same."""

    view = "second-identity"

    def otherwise(self, request: CaseRequest) -> CaseRequest | None:
        """Every other request comes from another identity."""
        if not self.is_usual_caller:
            return None
        turn = int(self.case.view_notes.get("turn", "0"))
        self.case.view_notes["turn"] = str(turn + 1)
        if not turn % 2:
            return None
        is_for_readers = "reader" in self.case.context.target.identities and _is_for_readers(request)
        return replace(request, identity="reader" if is_for_readers else "approver")


def _is_for_readers(request: CaseRequest) -> bool:
    """Tell whether the role of a reader is enough: for lists, metadata and versions, and what wraps and unwraps."""
    if request.method == "POST":
        action = request.path.rpartition("/actions/")[2]
        return (action if "/actions/" in request.path else request.params.get("action")) in _BY_READERS
    return request.method in {"GET", "HEAD"} and _READ_BY_READERS.fullmatch(request.path) is not None


class WithServicePlaintext(UnderView):
    """Lets the service make the plaintext that is wrapped."""

    view = "service-plaintext"

    def otherwise(self, request: CaseRequest) -> CaseRequest | None:
        """Leave the plaintext out; one that the service has made stands for it from then on."""
        if (
            request.method != "POST"
            or not _WRAP.fullmatch(request.path)
            or not isinstance(request.body, dict)
        ):
            return None
        plaintext = request.body.get("plaintext")
        if not isinstance(plaintext, Secret) or len(plaintext) != max(_AES_LENGTHS):
            return None
        substitute = self.case.substitutes.get(plaintext)
        body = {name: value for name, value in request.body.items() if name != "plaintext"}
        if substitute is not None:
            body["plaintext"] = Secret(substitute)
        return replace(request, body=body or None)

    def learn(self, request: CaseRequest, answer: Answer) -> None:
        """Note which plaintext the service has made."""
        made = answer.body.get("plaintext") if answer.ok and isinstance(answer.body, dict) else None
        if isinstance(made, str) and isinstance(request.body, dict):
            self.case.substitutes.setdefault(request.body["plaintext"], made)


class ByImportToken(UnderView):
    """Imports root keys, and rotates them, with material packed for an import token."""

    view = "import-token"

    def otherwise(self, request: CaseRequest) -> CaseRequest | None:
        """Pack the material that a creation or a rotation brings along."""
        if request.method != "POST" or not isinstance(request.body, dict):
            return None
        if request.path.endswith("/actions/rotate"):
            wrapped = self._packed(request.body)
            return None if wrapped is None else replace(request, body={**request.body, **wrapped.members()})
        match request.body:
            case {"resources": [{"extractable": False} as resource]} if request.path == "/keys":
                wrapped = self._packed(resource)
                if wrapped is None:
                    return None
                return replace(
                    request, body={**request.body, "resources": [{**resource, **wrapped.members()}]}
                )
        return None

    def _packed(self, members: Mapping[str, Any]) -> WrappedMaterial | None:
        material = members.get("payload")
        is_plain = isinstance(material, Secret) and "iv" not in members and "encryptedNonce" not in members
        if not is_plain or len(str(material)) not in _AES_LENGTHS or not self.is_usual_caller:
            return None
        usual = KeyProtect(self.case)
        return usual.wrap_for_import(usual.import_token(), str(material))


class WithDefaults(UnderView):
    """Gives parameters of the query that the case leaves out their defaults."""

    view = "defaults"

    def otherwise(self, request: CaseRequest) -> CaseRequest | None:
        """Write the defaults of the operation into the query."""
        contract = self.case.context.contract
        operation = contract.operation_of(request.method, ROOT + request.path)
        defaults = contract.operations[operation].defaults if operation else {}
        left_out = {name: value for name, value in defaults.items() if request.params.get(name) is None}
        return replace(request, params={**request.params, **left_out}) if left_out else None


VIEWS: Mapping[str, type[UnderView]] = {
    view.view: view
    for view in (
        ByAlias,
        OldForm,
        InDefaultRing,
        PreferringMinimal,
        PreferringRepresentation,
        WithPolicyOverrides,
        OtherMediaTypes,
        AsSecondManager,
        WithServicePlaintext,
        ByImportToken,
        WithDefaults,
        AfterRefusals,
        AfterUse,
    )
}
