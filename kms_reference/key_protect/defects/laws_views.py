"""Defects that show only when a request is made in another way than the usual one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect import actions, key_input, keys
from kms_reference.switches import Defect, gives, skipped, unchecked

if TYPE_CHECKING:
    from kms_reference.key_protect.model import Key
    from kms_reference.key_protect.wire import Call

_UUID_LENGTH: Final = 36
_ACCESS = "key-create-import-access-err"
_MATERIAL = "key-payload-req-err"
_ROOT = "key-root-req-err"
_ROTATION = "key-rotation-not-permitted"
_STATE = "key-action-invalid-state-err"


def _by_alias(call: Call, *_: Any, **__: Any) -> bool:
    return len(call.args.get("id", "")) != _UUID_LENGTH


def _in_old_form(call: Call, *_: Any, **__: Any) -> bool:
    return call.old_form


def _with_overrides(call: Call, *_: Any, **__: Any) -> bool:
    return call.operation.id == "createKeyWithPoliciesOverrides"


def _with_ring(call: Call, *_: Any, **__: Any) -> bool:
    return call.ring is not None


def _minimal(call: Call, *_: Any, **__: Any) -> bool:
    return "return=minimal" in call.headers.get("prefer", "")


def _representation(call: Call, *_: Any, **__: Any) -> bool:
    return call.representation


def _of_another(call: Call, key: Key, *_: Any, **__: Any) -> bool:
    return call.identity.iam_id != key.created_by


def _untyped(call: Call, *_: Any, **__: Any) -> bool:
    return "content-type" not in call.headers


def _without(*members: str) -> Any:
    """Return what takes members out of the one resource of a creation."""

    def left_out(body: dict[str, Any], _: Call) -> dict[str, Any]:
        resources = body.get("resources")
        if isinstance(resources, list) and resources and isinstance(resources[0], dict):
            for member in members:
                resources[0].pop(member, None)
        return body

    return left_out


def _by_token(_: Call, key: Key, *__: Any, **___: Any) -> bool:
    return key.versions[-1].by_token


_ROWS: Final = (
    ("state-ignored-by-alias", (_STATE,), "A key that is named by an alias works in any state.", unchecked(actions.check_state, _by_alias)),
    ("root-key-not-required-by-alias", (_ROOT,), "A standard key does all that a root key does when it is named by an alias.", unchecked(actions.require_root_key, _by_alias)),
    ("rotation-unlimited-by-alias", (_ROTATION,), "A key that is named by an alias is rotated as often as is asked.", unchecked(actions.check_hour, _by_alias)),
    ("rotation-without-material-by-alias", (_MATERIAL,), "An imported key that is named by an alias is rotated without material.", unchecked(actions.check_material_given, _by_alias)),
    ("disable-by-alias-does-nothing", (), "A key that is named by an alias stays active when it is disabled.", skipped(actions.suspend, _by_alias)),
    ("deletion-by-alias-does-nothing", (), "A key that is named by an alias stays when it is deleted.", skipped(keys.destroy, _by_alias)),
    ("aad-ignored-by-alias", (), "Additional data is ignored when the key is named by an alias.", gives(actions.bound, lambda *_: [], _by_alias)),
    ("state-ignored-in-old-form", (_STATE,), "The older form of an action works in any state.", unchecked(actions.check_state, _in_old_form)),
    ("root-key-not-required-in-old-form", (_ROOT,), "The older form of an action works with a standard key.", unchecked(actions.require_root_key, _in_old_form)),
    ("restored-too-early-in-old-form", ("req-too-early-err",), "The older form of restoring and enabling does not wait.", unchecked(keys.check_settled, _in_old_form)),
    ("expiry-ignored-in-old-form", ("key-expired-err",), "The older form restores an expired key.", unchecked(keys.check_unexpired, _in_old_form)),
    ("expiry-lost-with-overrides", (), "A key that is created with policies never expires.", gives(keys.creation_body, _without("expirationDate"), _with_overrides)),
    ("access-ignored-with-overrides", (_ACCESS,), "The access policy does not hold for keys that are created with policies.", unchecked(key_input.check_access, _with_overrides)),
    ("past-expiry-with-overrides", (), "A key that is created with policies may have expired before.", unchecked(key_input.check_future, _with_overrides)),
    ("state-ignored-with-ring-header", (_STATE,), "With a key ring in the header a key works in any state.", unchecked(actions.check_state, _with_ring)),
    ("minimal-rotation-keeps-version", (), "A rotation with a minimal answer makes no version.", skipped(actions.add_version, _minimal)),
    ("minimal-deletion-does-nothing", (), "A deletion with a minimal answer leaves the key.", skipped(keys.destroy, _minimal)),
    ("representation-skips-registrations", ("protected-resource-err",), "A deletion that is to show the key does not ask for registrations.", unchecked(keys.check_registrations, _representation)),
    ("state-ignored-for-others", (_STATE,), "For whoever has not made a key it works in any state.", unchecked(actions.check_state, _of_another)),
    ("untyped-material-ignored", (_MATERIAL,), "Without a content type an imported key is rotated without material.", unchecked(actions.check_material_given, _untyped)),
    ("token-imported-rotated-without-material", (_MATERIAL,), "A key that was imported by token is rotated without material.", unchecked(actions.check_material_given, _by_token)),
    ("token-imported-works-in-any-state", (_STATE,), "A key that was imported by token works in any state.", unchecked(actions.check_state, _by_token)),
    ("token-imported-rotation-unlimited", (_ROTATION,), "A key that was imported by token is rotated as often as is asked.", unchecked(actions.check_hour, _by_token)),
)  # fmt: skip

VIEW_DEFECTS: Final = tuple(
    Defect(name, doc, sections, changes=tuple(changes)) for name, sections, doc, *changes in _ROWS
)
