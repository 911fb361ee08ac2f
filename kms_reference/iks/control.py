"""The control protocol: what cannot be done through the API is done to the world behind it.

``POST {control}/instances/{account}/faults`` with ``fault`` and, for faults of a scope, ``region`` and
``resource_group``; ``"clear": true`` takes it back.
"""

from collections.abc import Callable, Mapping
from typing import Any

from kms_reference.iks.messages import Message
from kms_reference.iks.permissions import GROUP_OF
from kms_reference.iks.state import DEFAULT_EXCHANGE, Scope, State
from kms_reference.rules import rule

LOOKUPS = {
    "not-found": Message.INSTANCE_NOT_FOUND,
    "missing": Message.INSTANCE_MISSING,
    "unidentified": Message.INSTANCE_UNIDENTIFIED,
}


class UnknownFaultError(ValueError):
    """The fault, or something it names, is not there; the sentence says what."""


def apply(state: State, scope: Scope, wanted: Mapping[str, Any]) -> None:
    """Apply one fault.

    Raises:
        UnknownFaultError: unknown fault, or nothing for it to damage.
    """
    faults: dict[str, Callable[[bool], None]] = {
        "manual-key-deleted": lambda clear: _delete_manual_key(state, scope, clear=clear),
        "api-key-deleted": lambda clear: _delete_api_key(state, scope, wanted, clear=clear),
        "permission-removed": lambda clear: _remove_permission(state, scope, wanted, clear=clear),
        "registry-role-removed": lambda clear: _remove_registry_role(state, scope, clear=clear),
        "account-unlinked": lambda clear: _unlink(state, scope, clear=clear),
        "worker-lookup": lambda clear: _choose_lookup(state, scope, wanted, clear=clear),
    }
    name = wanted.get("fault")
    if not isinstance(name, str) or name not in faults:
        raise UnknownFaultError(f"the faults are {', '.join(faults)}")
    faults[name](wanted.get("clear") is True)


def _delete_manual_key(state: State, scope: Scope, *, clear: bool) -> None:
    if clear:
        state.revive_upstream(scope)
    elif not state.delete_upstream(scope):
        raise UnknownFaultError("no manual credentials are set there")


def _delete_api_key(state: State, scope: Scope, wanted: Mapping[str, Any], *, clear: bool) -> None:
    key = state.api_key(scope)
    if key is None:
        raise UnknownFaultError("no API key is there")
    key.dead = not clear
    key.long_spelling = wanted.get("spelling") == "long"
    key.exchange_message = str(wanted.get("message", DEFAULT_EXCHANGE))


def _remove_permission(state: State, scope: Scope, wanted: Mapping[str, Any], *, clear: bool) -> None:
    effective, permission = state.effective(scope), wanted.get("permission")
    if not isinstance(permission, str) or permission not in GROUP_OF:
        raise UnknownFaultError(f"the permissions are {', '.join(GROUP_OF)}")
    missing = state.account(scope.account).missing
    if clear:
        grant(state, scope, permission)
    elif effective is None:
        raise UnknownFaultError("no credentials are there")
    else:
        missing.setdefault(effective.owner, set()).add(permission)


@rule
def grant(state: State, scope: Scope, permission: str) -> None:
    """Give a permission back to everybody who lacks it in an account."""
    for lacking in state.account(scope.account).missing.values():
        lacking.discard(permission)


def _remove_registry_role(state: State, scope: Scope, *, clear: bool) -> None:
    key = state.api_key(scope)
    if key is None:
        raise UnknownFaultError("no API key is there")
    owners = state.account(scope.account).without_registry
    if clear:
        owners.discard(key.owner)
    else:
        owners.add(key.owner)


def _unlink(state: State, scope: Scope, *, clear: bool) -> None:
    state.account(scope.account).unlinked = not clear


def _choose_lookup(state: State, scope: Scope, wanted: Mapping[str, Any], *, clear: bool) -> None:
    answer = "not-found" if clear else wanted.get("answer")
    if not isinstance(answer, str) or answer not in LOOKUPS:
        raise UnknownFaultError(f"the answers are {', '.join(LOOKUPS)}")
    state.account(scope.account).lookup = LOOKUPS[answer]
