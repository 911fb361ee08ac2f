"""Walks through a key's life: Hypothesis chooses the steps, the endpoint takes them, the model says what may come back.

The model is the executable specification that the laws use too. A walk that ends in an answer outside of it is made as
short as it can be, and is left behind as a script of curl lines and as a case file.
"""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kms_conformance.adapters.key_protect.adapter import KeyProtect
from kms_conformance.adapters.key_protect.exchanges import answer_of, operation_of, without_stand_ins
from kms_conformance.adapters.key_protect.keys import Key
from kms_conformance.adapters.key_protect.life_export import case_file, curl_script
from kms_conformance.adapters.key_protect.model import (
    APPROVER,
    MANAGER,
    PURGER,
    Ciphertext,
    Instance,
    Operation,
    Prediction,
    Timing,
    apply,
    observe,
)
from kms_conformance.adapters.key_protect.model.state import DESTROYED, HOUR, SUSPENDED
from kms_conformance.adapters.key_protect.walks.choices import collection, made
from kms_conformance.evidence.curl import curl_line
from kms_conformance.evidence.exchange import Exchange
from kms_conformance.fuzz.checks import cause_of
from kms_conformance.fuzz.stateful import DisallowedAnswerError, Walker
from kms_conformance.judging.results import Finding
from kms_conformance.run.answer import Answer
from kms_conformance.run.case import CaseRun
from kms_conformance.run.clock import ControlledClock
from kms_conformance.run.outcomes import Inconclusive, NotTested

ROW = "life-cycle-walk"
WAITS: Mapping[str, float] = {
    "wait 31 s": 31,
    "wait 61 min": 3660,
    "wait 5 h": 5 * HOUR,
    "wait 8 d": 8 * 24 * HOUR,
    "wait 31 d": 31 * 24 * HOUR,
}
ACTS = (
    "metadata",
    "wrap",
    "unwrap",
    "rewrap",
    "unwrap_other_aad",
    "rotate",
    "disable",
    "enable",
    "delete",
    "delete as approver",
    "restore",
    "versions",
    "get_key",
    "require_two",
    "set_for_deletion",
    "set_for_deletion as approver",
    "unset_for_deletion",
    "purge",
)
OPERATIONS: Mapping[str, str] = {
    "metadata": "getKeyMetadata",
    "wrap": "wrapKey",
    "unwrap": "unwrapKey",
    "rewrap": "rewrapKey",
    "unwrap_other_aad": "unwrapKey",
    "rotate": "rotateKey",
    "disable": "disableKey",
    "enable": "enableKey",
    "delete": "deleteKey",
    "restore": "restoreKey",
    "versions": "getKeyVersions",
    "get_key": "getKey",
    "require_two": "putPolicy",
    "set_for_deletion": "setKeyForDeletion",
    "unset_for_deletion": "unsetKeyForDeletion",
    "purge": "purgeKey",
}
"""The operation of each act."""
KINDS = ("root", "imported", "standard", "expiring")
_OPENING = frozenset({"unwrap", "rewrap", "unwrap_other_aad"})
_OCTETS = base64.b64encode(bytes(range(32))).decode()
_SLACK = 3.0
"""Seconds by which dates of whole seconds and a clock of whole seconds may be off, beside what a request takes."""
_LOOKS, _SHORT = frozenset({"metadata", "versions"}), frozenset({"wait 31 s", "wait 61 min"})
_LIFE = 2 * HOUR
_BAD = 400


class _Remover(KeyProtect):
    """Key Protect's requests, and the removal of a key before its case ends."""

    def remove(self, key_id: str) -> None:
        """Delete a key now; what cannot be deleted stays in the journal."""
        self.case.cleaning = True
        try:
            self._remove_key(key_id)
        finally:
            self.case.cleaning = False


@dataclass
class Walk:
    """One walk through the life of one key: ``state`` is what the model knows of the instance after each step."""

    kms: _Remover
    kind: str
    steps: tuple[str, ...]
    state: Instance = field(init=False)
    key: Key = field(init=False)
    taken: list[str] = field(default_factory=list)
    ahead: float = 0.0
    unsure: float = 0.0
    sealed: str = ""
    known: Ciphertext | None = None
    ciphertexts: dict[str, Ciphertext] = field(default_factory=dict)
    own: set[str] = field(default_factory=set)
    begun: int = 0
    instance: str = ""

    def __post_init__(self) -> None:
        case = self.kms.case
        if case.context.target.fresh:
            # Walks move the clock by months, so each has an instance of its own.
            case.instance = str(uuid.UUID(bytes=case.random_bytes(16), version=4))
        self.begun, self.instance = len(case.exchanges), case.instance
        self.ahead, self.unsure = case.clock_ahead()
        self.state = Instance(edition=case.context.edition)
        expires = self.kms.later(_LIFE) if self.kind == "expiring" else None
        make = {"imported": self.kms.import_root_key, "standard": self.kms.create_standard_key}.get(
            self.kind, self.kms.create_root_key
        )
        self.key = make(expirationDate=expires)
        for exchange in case.exchanges[self.begun :]:
            complaint, _ = self._observed(exchange)
            if complaint:
                raise Inconclusive(f"{exchange.step}: {complaint}")

    def step(self, name: str) -> None:
        """Take a step; raise :class:`DisallowedAnswerError` when the answer is not one that the model allows."""
        self.taken.append(name)
        if name in WAITS:
            self.kms.case.context.clock.wait(self.kms.case.instance, WAITS[name])
            if isinstance(self.kms.case.context.clock, ControlledClock):
                self.ahead += WAITS[name]
            return
        act, _, who = name.partition(" as ")
        if act in _OPENING and not self.sealed:
            return
        answer = self._send(act, who)
        answer.not_judged()
        complaint, prediction = self._observed(answer.exchange)
        if complaint:
            fits = answer.status < _BAD and prediction.success is not None
            expected = f"success: {complaint}" if fits else _expected_text(prediction)
            raise DisallowedAnswerError(
                f"what {act} shows" if fits else f"{act} in this state",
                expected,
                answer.exchange.outcome,
                answer.exchange,
            )

    def promising(self) -> list[str]:
        """Return the steps that change something, and those that look at it, the promising ones several times."""
        waiting = any(key.state in {SUSPENDED, DESTROYED} for key in self.state.keys)
        rotated = any(len(key.versions) > 1 for key in self.state.keys)
        may: list[str] = []
        for name in self.steps:
            if name in _LOOKS:
                may.append(name)
            elif name == "rotate" and rotated:
                may += [name] * 3  # the limit on rotation is the one that other steps may loosen
            elif self._succeeds(name):
                weight = (
                    1
                    if name.startswith(("delete", "require_two", "get_key"))
                    or (name in WAITS and not waiting)
                    else 4
                )
                may += [name] * weight
        return may

    def _succeeds(self, name: str) -> bool:
        """Tell whether the model allows a step nothing but a success."""
        if name in WAITS:
            return name in _SHORT
        act, _, who = name.partition(" as ")
        if act == "purge" or (act in _OPENING and not self.sealed):
            return False
        prediction, _ = apply(self.state, self._planned(act, who), time.time() + self.ahead)
        return prediction.success is not None and not prediction.refused

    def _observed(self, exchange: Exchange) -> tuple[str, Prediction]:
        """Show an exchange to the model; return what is wrong with its answer, if anything, and what was allowed."""
        exchange = self.kms.case.evidence(exchange)
        operation, answer = operation_of(exchange, self.ciphertexts), answer_of(exchange)
        if answer is None:
            raise Inconclusive(f"{exchange.step}: {exchange.outcome}")
        timing = Timing(slack=_SLACK + self.unsure + exchange.duration)
        before, now = replace(self.state, timing=timing), exchange.started + self.ahead
        prediction, _ = apply(before, operation, now)
        seen = observe(before, operation, now, answer)
        if seen.mismatches:
            return without_stand_ins("; ".join(seen.mismatches)), prediction
        self.state = seen.state
        ciphertext = made(operation, self.state, answer.body) if isinstance(answer.body, dict) else None
        if ciphertext is not None and not answer.refused:
            self.ciphertexts[ciphertext[0]] = ciphertext[1]
            self.known = self.known if operation.name == "unwrapKey" else ciphertext[1]
        return "", prediction

    def _planned(self, act: str, who: str) -> Operation:
        """Return a step's request as the model sees it."""
        key = self.state.keys[0] if self.state.keys else None
        caller = PURGER if act == "purge" else APPROVER if who else MANAGER
        material = key.material if key is not None else ""
        body: Any = {
            "wrap": {"plaintext": _OCTETS, "aad": ["walk"]},
            "unwrap": {"ciphertext": _OCTETS, "aad": ["walk"]},
            "rewrap": {"ciphertext": _OCTETS, "aad": ["walk"]},
            "unwrap_other_aad": {"ciphertext": _OCTETS, "aad": ["talk"]},
            "rotate": {"payload": _OCTETS} if material else None,
            "restore": collection("key+json", {"payload": material}) if material else None,
            "require_two": collection("policy+json", {"dualAuthDelete": {"enabled": True}}),
        }.get(act)
        ciphertext = self.known if act in _OPENING else None
        return Operation(OPERATIONS[act], caller, {"id": self.key.id}, body=body, ciphertext=ciphertext)

    def _send(self, act: str, who: str) -> Answer:
        kms = self.kms.as_identity(who) if who else self.kms
        calls: dict[str, Callable[[], Answer]] = {
            "metadata": lambda: kms.get_metadata(self.key),
            "get_key": lambda: kms.get_key(self.key),
            "versions": lambda: kms.list_versions(self.key),
            "wrap": lambda: kms.wrap(self.key, kms.key_material(), aad=["walk"]),
            "unwrap": lambda: kms.unwrap(self.key, self.sealed, aad=["walk"]),
            "rewrap": lambda: kms.rewrap(self.key, self.sealed, aad=["walk"]),
            "unwrap_other_aad": lambda: kms.unwrap(self.key, self.sealed, aad=["talk"]),
            "rotate": lambda: kms.rotate(self.key, payload=kms.key_material() if self.key.material else None),
            "disable": lambda: kms.disable(self.key),
            "enable": lambda: kms.enable(self.key),
            "delete": lambda: kms.delete_key(self.key),
            "restore": self._restore,
            "purge": lambda: kms.as_identity("purger").purge_key(self.key),
            "require_two": lambda: kms.put_policy(self.key, dualAuthDelete={"enabled": True}),
            "set_for_deletion": lambda: kms.set_for_deletion(self.key),
            "unset_for_deletion": lambda: kms.unset_for_deletion(self.key),
        }
        answer = calls[act]()
        if act in {"wrap", "rewrap"} and answer.status < _BAD:
            self.sealed = str(answer["ciphertext"])
        return answer

    def _restore(self) -> Answer:
        if self.key.material:
            return self.kms.restore_key(self.key, payload=self.key.material)
        return self.kms.restore_key(self.key)

    def end(self) -> None:
        """Note which exchanges are this walk's."""
        self.own = {exchange.id for exchange in self.kms.case.exchanges[self.begun :]}

    def close(self) -> None:
        """Remove the key and forget the evidence, but for what the wire rules found for the first time."""
        case = self.kms.case
        now, case.instance = case.instance, self.instance
        if not case.context.target.embedded:
            place = len(case.exchanges)
            self.kms.remove(self.key.id)
            self.own |= {exchange.id for exchange in case.exchanges[place:]}
        case.instance = now
        case.checks_not_kept += len(self.own)
        seen: set[tuple[str, str]] = set()
        kept = []
        for finding in case.findings:
            cause = (finding.requirement, cause_of(finding))
            if finding.exchange not in self.own or cause not in seen:
                kept.append(finding)
            seen.add(cause)
        case.findings[:] = kept
        shown = {finding.exchange for finding in kept}
        case.exchanges[:] = [
            exchange for exchange in case.exchanges if exchange.id not in self.own or exchange.id in shown
        ]


class LifeWalks:
    """All walks of one kind of key."""

    def __init__(self, case: CaseRun) -> None:
        self.case = case
        self.kms = _Remover(case)

    def run(self, kind: str) -> None:
        """Walk as often as the run's options say, and hand the case what was found."""
        # On a shared instance time passes for everybody.
        virtual = isinstance(self.case.context.clock, ControlledClock) and self.case.context.target.fresh
        identities = self.case.context.target.identities
        acts = [
            act
            for act in ACTS
            if ("approver" in identities or "approver" not in act)
            and ("purger" in identities or act != "purge")
            and (act != "require_two" or self.case.context.target.capabilities.get("dual_auth", True))
            and (
                self.case.context.target.fresh
                or self.case.context.target.allow.get("dual_auth_litter")
                or act != "require_two"
            )
        ]
        self.kms.demand_no_inherited_policies()
        steps = acts + (list(WAITS) if virtual else [])
        if kind == "expiring" and not virtual:
            raise NotTested(
                'add [control] url to the target, with instance = "fresh": a walk sees keys expire only where the clock'
                " can be moved"
            )
        walker = Walker(self.case, kind, steps, lambda: Walk(self.kms, kind, tuple(steps)))
        failure = walker.run()
        if failure is not None:
            self._report(*failure)

    def _report(self, walk: Walk, failure: DisallowedAnswerError) -> None:
        row = self.case.context.contract.requirement(ROW)
        steps = " -> ".join([f"create {walk.kind} key", *walk.taken])
        self.case.instance = walk.instance
        exchange: Exchange = failure.exchange
        finding = Finding(
            row.id,
            row.severity,
            f"{failure.what}: {failure.expected}",
            failure.got,
            exchange.id,
            curl_line(exchange),
            steps,
        )
        self.case.findings.append(finding)
        place = self.case.context.fuzz.findings
        if place:
            folder = Path(place)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"walk-{walk.kind}.sh").write_text(
                curl_script(walk.kind, walk.taken, failure.expected, failure.got), encoding="utf-8"
            )
            (folder / f"test_walk_{walk.kind}.py").write_text(
                case_file(walk.kind, walk.taken, ROW, failure.expected), encoding="utf-8"
            )


def _expected_text(prediction: Prediction) -> str:
    words = ["success"] if prediction.success is not None else []
    return " or ".join([*words, *sorted(str(refusal) for refusal in prediction.refused)]) or "nothing"
