"""The instance's import token, and what a request that uses one must fit (section 3)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kms_conformance.adapters.key_protect.model.attempt import Attempt, Outcome
from kms_conformance.adapters.key_protect.model.facts import Between, Equal, Near, NoneOf, Optional, Rule
from kms_conformance.adapters.key_protect.model.prediction import (
    BAD_REQUEST,
    BODY_OR_FIELD,
    Learn,
    Rules,
    Success,
    refusals,
)
from kms_conformance.adapters.key_protect.model.state import ImportToken, Instance

_EXPIRED = refusals((409,), "IMPORT_TOKEN_EXPIRED_ERR")
_SOME = refusals((400, 404, 409, 410, 422))
_NONCE = refusals((400,), "INCORRECT_NONCE_ERR") | refusals((400,), "INCORRECT_NONCE_IV_ERR")
_SHORTEST, _LONGEST, _LIFE = 300, 86400, 600
_MOST = 500


def post(attempt: Attempt) -> Outcome:
    """POST /import_token: replaces the one before (3.3)."""
    rules, body = Rules(), attempt.operation.body
    if body is not None and not isinstance(body, dict):
        rules.broken(BAD_REQUEST)
    asked = body if isinstance(body, dict) else {}
    life = _number(rules, asked.get("expiration"), (_SHORTEST, _LONGEST), _LIFE)
    most = _number(rules, asked.get("maxAllowedRetrievals"), (1, _MOST), 1)
    token = ImportToken(attempt.state.serial, attempt.now, life, most, most)
    return attempt.answer(
        rules,
        Success(frozenset({200}), _dates(attempt, token)),
        replace(attempt.state, token=token, serial=attempt.state.serial + 1),
    )


def get(attempt: Attempt) -> Outcome:
    """GET /import_token: uses up one retrieval; the same key and nonce each time."""
    rules, token = Rules(), attempt.state.token
    if token is None:
        rules.broken(_SOME)  # 3.4: not documented
        return attempt.answer(rules, Success(frozenset({200})))
    end = token.at + token.life
    if attempt.now > end + attempt.timing.slack:
        rules.broken(_EXPIRED)
    elif attempt.now > end - attempt.timing.slack:
        rules.perhaps("the moment of the token's expiry", _EXPIRED)
    if token.left == 0:
        rules.broken(_EXPIRED | _SOME)
    after = replace(token, left=max(0, token.left - 1))
    facts = _dates(attempt, after)
    learn: list[Learn] = []
    for member in ("payload", "nonce"):
        shown: str = getattr(token, member)
        facts[member] = Equal(shown) if shown else NoneOf(frozenset())
        learn.append((member, _keeper(member, token.serial)))
    return attempt.answer(
        rules, Success(frozenset({200}), facts, learn=tuple(learn)), replace(attempt.state, token=after)
    )


def check_packing(attempt: Attempt, rules: Rules, resource: dict[str, Any]) -> str:
    """Return the key material of a request that was packed for a token; note what does not fit (3.2)."""
    if (
        resource.get("encryptedNonce") is None
        or resource.get("iv") is None
        or resource.get("payload") is None
    ):
        rules.broken(BAD_REQUEST)
        return ""
    packing, token = attempt.operation.packing, attempt.state.token
    if packing is None:
        rules.perhaps("how the material was packed is not known", _SOME)
        return ""
    if token is None:
        rules.broken(_SOME)
        return packing.material
    end = token.at + token.life
    if attempt.now > end + attempt.timing.slack:
        rules.broken(_EXPIRED | _SOME)
    elif attempt.now > end - attempt.timing.slack:
        rules.perhaps("the moment of the token's expiry", _EXPIRED | _SOME)
    if packing.key_of != token.serial:
        rules.broken(_NONCE | _SOME)
    elif not packing.opens or packing.nonce_of != token.serial:
        rules.broken(_NONCE)
    return packing.material


def _number(rules: Rules, value: Any, bounds: tuple[int, int], default: int) -> int:
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not bounds[0] <= value <= bounds[1]:
        rules.broken(BODY_OR_FIELD | BAD_REQUEST)
        return default
    return value


def _dates(attempt: Attempt, token: ImportToken) -> dict[str, Rule]:
    slack = attempt.timing.slack
    end = token.at + token.life
    return {
        "creationDate": Near(token.at - slack, token.at + slack),
        "expirationDate": Near(end - slack, end + slack),
        "expiration": Optional(Equal(token.life)),
        "maxAllowedRetrievals": Equal(token.most),
        "remainingRetrievals": Between(token.left, token.left),
    }


def _keeper(member: str, serial: int) -> Any:
    def take(state: Instance, value: Any) -> Instance:
        token = state.token
        if token is None or token.serial != serial or not isinstance(value, str):
            return state
        changed = replace(token, payload=value) if member == "payload" else replace(token, nonce=value)
        return replace(state, token=changed)

    return take
