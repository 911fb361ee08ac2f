"""Walks through a key's life: Hypothesis chooses the steps, the endpoint takes them, the model says what may come back.

A walk that ends in an answer outside the model is made as short as it can be, and is left behind as a script of curl
lines and as a case file.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kms_conformance.adapters.key_protect.adapter import KeyProtect
from kms_conformance.adapters.key_protect.keys import Key
from kms_conformance.adapters.key_protect.life_export import case_file, curl_script
from kms_conformance.adapters.key_protect.life_model import (
    DESTROYED,
    HOUR,
    SUSPENDED,
    Life,
    Outcome,
    after,
    allowed,
)
from kms_conformance.evidence.curl import curl_line
from kms_conformance.evidence.exchange import Exchange
from kms_conformance.fuzz.checks import cause_of
from kms_conformance.fuzz.stateful import DisallowedAnswerError, Walker
from kms_conformance.judging.results import Finding
from kms_conformance.run.answer import Answer
from kms_conformance.run.case import CaseRun
from kms_conformance.run.clock import ControlledClock
from kms_conformance.run.outcomes import NotTested

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
KINDS = ("root", "imported", "standard", "expiring")
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
    """One walk through the life of one key."""

    kms: _Remover
    kind: str
    steps: tuple[str, ...]
    life: Life = field(init=False)
    key: Key = field(init=False)
    taken: list[str] = field(default_factory=list)
    sealed: tuple[str, str] | None = None
    own: set[str] = field(default_factory=set)
    begun: int = 0
    instance: str = ""
    _offered: str = ""

    def __post_init__(self) -> None:
        case = self.kms.case
        if case.context.target.fresh:
            # Walks move the clock by months, so each has an instance of its own.
            case.instance = str(uuid.UUID(bytes=case.random_bytes(16), version=4))
        self.begun, self.instance = len(case.exchanges), case.instance
        expires = self.kms.later(_LIFE) if self.kind == "expiring" else None
        make = {"imported": self.kms.import_root_key, "standard": self.kms.create_standard_key}.get(
            self.kind, self.kms.create_root_key
        )
        self.key = make(expirationDate=expires)
        self.life = Life("root" if self.kind == "expiring" else self.kind, expires=_LIFE if expires else None)

    def step(self, name: str) -> None:
        """Take a step; raise :class:`DisallowedAnswerError` when the answer is not one that the model allows."""
        self.taken.append(name)
        if name in WAITS:
            self.kms.case.context.clock.wait(self.kms.case.instance, WAITS[name])
            self.life = self.life.later(WAITS[name])
            return
        act, _, who = name.partition(" as ")
        if act in {"unwrap", "rewrap", "unwrap_other_aad"} and self.sealed is None:
            return
        may = allowed(self.life, act, who or "manager")
        answer = self._send(act, who)
        answer.not_judged()
        got = (answer.status, (answer.exchange.code or "") if answer.status >= _BAD else "")
        if not _fits(got, may):
            raise DisallowedAnswerError(
                f"{act} in this state", _expected_text(may), answer.exchange.outcome, answer.exchange
            )
        self.life = after(self.life, act, answer.status, who or "manager")
        self._look(act, answer)

    def promising(self) -> list[str]:
        """Return the steps that change something, and those that look at it, the promising ones several times."""
        waiting = self.life.present in {SUSPENDED, DESTROYED}
        may: list[str] = []
        for name in self.steps:
            if name in _LOOKS:
                may.append(name)
            elif name == "rotate" and self.life.rotated is not None:
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
        if name in WAITS:
            return name in _SHORT
        act, _, who = name.partition(" as ")
        if act in {"unwrap", "rewrap", "unwrap_other_aad"} and self.sealed is None:
            return False
        return (
            all(status < _BAD for status, _ in allowed(self.life, act, who or "manager")) and act != "purge"
        )

    def _send(self, act: str, who: str) -> Answer:
        kms = self.kms.as_identity(who) if who else self.kms
        text = self.sealed[0] if self.sealed else ""
        calls: dict[str, Callable[[], Answer]] = {
            "metadata": lambda: kms.get_metadata(self.key),
            "get_key": lambda: kms.get_key(self.key),
            "versions": lambda: kms.list_versions(self.key),
            "wrap": lambda: kms.wrap(self.key, self._fresh(), aad=["walk"]),
            "unwrap": lambda: kms.unwrap(self.key, text, aad=["walk"]),
            "rewrap": lambda: kms.rewrap(self.key, text, aad=["walk"]),
            "unwrap_other_aad": lambda: kms.unwrap(self.key, text, aad=["talk"]),
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
        return calls[act]()

    def _fresh(self) -> str:
        self._offered = self.kms.key_material()
        return self._offered

    def _restore(self) -> Answer:
        if self.key.material:
            return self.kms.restore_key(self.key, payload=self.key.material)
        return self.kms.restore_key(self.key)

    def _look(self, act: str, answer: Answer) -> None:
        """Look into a success: what it shows must be what was done."""
        if answer.status >= _BAD:
            return
        if act == "wrap":
            self.sealed = (str(answer["ciphertext"]), str(self._offered))
        elif act == "unwrap" and self.sealed and answer["plaintext"] != self.sealed[1]:
            raise DisallowedAnswerError(
                "unwrap gives back what was wrapped", "the plaintext", "another one", answer.exchange
            )
        elif act == "rewrap" and self.sealed:
            self.sealed = (str(answer["ciphertext"]), self.sealed[1])
        elif act == "versions" and len(_resources(answer)) != min(self.life.versions, 200):
            got = f"{len(_resources(answer))} versions"
            raise DisallowedAnswerError(
                "each rotation makes a version", f"{self.life.versions} versions", got, answer.exchange
            )
        elif act == "metadata":
            self._look_at_metadata(answer)

    def _look_at_metadata(self, answer: Answer) -> None:
        shown = _resources(answer)[0] if _resources(answer) else {}
        state = shown.get("state")
        if state != self.life.present and not self.life.settling:
            raise DisallowedAnswerError(
                "metadata show the state", f"state {self.life.present}", f"state {state!r}", answer.exchange
            )
        dual = shown.get("dualAuthDelete")
        if self.life.dual and isinstance(dual, dict) and dual.get("enabled") is not True:
            raise DisallowedAnswerError(
                "dual authorisation stays",
                "dualAuthDelete.enabled true",
                repr(dual.get("enabled")),
                answer.exchange,
            )

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


def _fits(got: Outcome, may: frozenset[Outcome]) -> bool:
    status, code = got
    if status < _BAD:
        return any(allowed < _BAD for allowed, _ in may) and status in {200, 201, 204}
    # A missing code is no deviation: some refusals have none.
    return any(allowed == status and wanted in {code, "*"} for allowed, wanted in may)


def _expected_text(may: frozenset[Outcome]) -> str:
    words = [
        "success" if status < _BAD else f"{status} {code}".removesuffix(" *") for status, code in sorted(may)
    ]
    return " or ".join(dict.fromkeys(words))


def _resources(answer: Answer) -> list[dict[str, Any]]:
    resources = answer.body.get("resources") if isinstance(answer.body, dict) else None
    return [entry for entry in resources if isinstance(entry, dict)] if isinstance(resources, list) else []
