"""Defects that show only once a key has refused something, or had a namesake that is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect import actions, keys
from kms_reference.key_protect.defects.conditions import Memory, defects_of
from kms_reference.switches import instead, on_refusal, unchecked

if TYPE_CHECKING:
    from kms_reference.key_protect.model import Key
    from kms_reference.key_protect.wire import Call
    from kms_reference.rules import RefusedError, RuleLike

_known: Final = Memory()


def _refusing(refusal: RefusedError, call: Call, *_: Any) -> None:
    _known(call.instance, "refused")[call.args["id"]] = True
    raise refusal


def _first_of_its_name(lawful: RuleLike, call: Call, key: Key) -> None:
    names = _known(call.instance, "names")
    if names.setdefault(key.name, key.id) == key.id:
        lawful(call, key)


VIEW_DEFECTS_AFTER: Final = defects_of(
    ("any-state-once-refused", "A key that has refused to be enabled works in any state.", on_refusal(actions.enable, _refusing), unchecked(actions.check_state, _known.holding("refused"))),
    ("namesake-not-deleted", "Of the keys of one name only the first one is deleted; others stay.", instead(keys.destroy, _first_of_its_name)),
)  # fmt: skip
