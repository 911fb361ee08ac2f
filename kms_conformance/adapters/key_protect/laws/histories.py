"""Histories of Key Protect: redacted exchanges as operations of the executable model, which says what fits an order."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kms_conformance.adapters.key_protect.exchanges import answer_of, operation_of, without_stand_ins
from kms_conformance.adapters.key_protect.model import (
    Answer,
    Ciphertext,
    Instance,
    Operation,
    Timing,
    apply,
    observe,
)
from kms_conformance.adapters.key_protect.model.facts import lead
from kms_conformance.adapters.key_protect.walks.choices import Walker, as_packed, made
from kms_conformance.evidence.exchange import Exchange
from kms_conformance.judging.histories import TimedExchange
from kms_conformance.laws.histories import History

SLACK = 5.0
"""Seconds by which dates of whole seconds and a clock that was read before may be off, beside what a request takes.

``unsure`` in an expectation adds what the reading of the instance's clock took."""
_READS = frozenset({"GET", "HEAD"})
_USES = frozenset({"wrapKey", "unwrapKey", "rewrapKey"})
_LISTS = frozenset({"listKeyRings"})
_INSTANCE_POLICIES = frozenset({"putInstancePolicy", "getInstancePolicy"})
_TOKENS = frozenset({"postImportToken", "getImportToken"})


@dataclass(frozen=True, slots=True)
class SentRequest:
    """A request of the model, and when it was sent on the instance's clock, in seconds since 1970."""

    operation: Operation
    now: float
    reads: bool


class InstanceModel:
    """One instance by the executable specification."""

    def read(self, history: Sequence[TimedExchange]) -> list[tuple[SentRequest, Answer | None]]:
        """Return the operations and answers that exchanges show."""
        ciphertexts: dict[str, Ciphertext] = {}
        rings = {one.exchange.sent.path.rpartition("/")[2] for one in history if _is_ring(one.exchange)}
        operations = []
        for one in history:
            operation, answer = operation_of(one.exchange, ciphertexts), answer_of(one.exchange)
            if operation.name == "wrapKey" and answer is not None and not answer.refused:
                _remember(ciphertexts, operation, answer)
            if operation.name in _LISTS and answer is not None:
                answer = _ours(answer, rings)
            operations.append((_sent(one, operation), answer))
        return operations

    def begin(self, history: Sequence[TimedExchange], value: Mapping[str, Any]) -> Instance:
        """Return an instance of which nothing is known but what the history makes."""
        slowest = max((one.exchange.duration for one in history), default=0.0)
        slack = SLACK + slowest + float(value.get("unsure", 0))
        return Instance(edition=str(value.get("edition", "page")), timing=Timing(slack=slack))

    def step(self, state: Instance, operation: SentRequest, answer: Answer | None) -> Instance | None:
        """Return the state after an operation, ``None`` where that answer is not allowed."""
        if answer is None:
            prediction, after = apply(state, operation.operation, operation.now)
            return after if prediction.success is not None else state
        seen = observe(state, operation.operation, operation.now, answer)
        return None if seen.mismatches else seen.state

    def mismatch(self, state: Instance, operation: SentRequest, answer: Answer | None) -> str:
        """Return why that answer is not allowed."""
        if answer is None:
            return "which may be"
        mismatches = observe(state, operation.operation, operation.now, answer).mismatches
        return without_stand_ins("; ".join(mismatches))

    def things(self, operation: SentRequest, answer: Answer | None) -> Iterable[Hashable]:
        """Return the ids and names that a request and its answer hold; all rings are one thing, and so is the token."""
        asked = operation.operation
        yield from asked.path.values()
        yield from filter(None, [asked.ring])
        if asked.name in _TOKENS:
            yield "the import token"
        if asked.name in _INSTANCE_POLICIES:
            yield "the policies of the instance"
        if asked.name.endswith(("KeyRing", "KeyRings")) or asked.ring:
            yield "the rings"
        body = asked.body if isinstance(asked.body, dict) else {}
        yield from (value for value in [body.get("keyRingID")] if value)
        for resource in body.get("resources", ()):
            data = resource.get("profile_data", {})
            named = [
                resource.get("certificate"),
                resource.get("name"),
                data.get("crk_id"),
                *resource.get("aliases", ()),
            ]
            yield from filter(None, named)
        made = lead(answer.body, "resources.0.id") if answer is not None else None
        if isinstance(made, str) and not operation.reads:
            yield made

    def harmless(self, operation: SentRequest, answer: Answer | None) -> bool:
        """Tell whether an operation that was answered so has changed nothing: it read, used a key, or was refused."""
        if answer is None:
            return operation.reads
        return operation.reads or operation.operation.name in _USES or answer.refused


class SequenceModel(InstanceModel):
    """One instance that nobody else uses, and which is asked one thing after the other: everything is known of it."""

    def __init__(self, value: Mapping[str, Any]) -> None:
        """Take what the expectation says besides the requests."""
        self._value = value

    def read(self, history: Sequence[TimedExchange]) -> list[tuple[SentRequest, Answer | None]]:
        """Return the operations and answers that exchanges show; what a ciphertext holds, the answers before it tell."""
        state, ciphertexts, operations = self.begin(history, self._value), dict[str, Ciphertext](), []
        walker = Walker()
        for one in history:
            operation, answer = operation_of(one.exchange, ciphertexts), answer_of(one.exchange)
            operation = as_packed(operation, walker)
            sent = _sent(one, operation)
            state = self.step(state, sent, answer if one.answered else None) or state
            if answer is not None and not answer.refused and isinstance(answer.body, dict):
                walker = walker.saw(operation, state, answer)
                ciphertexts.update(filter(None, [made(operation, state, answer.body)]))
            operations.append((sent, answer))
        return operations

    def things(self, operation: SentRequest, answer: Answer | None) -> Iterable[Hashable]:  # noqa: ARG002 - one signature
        """Return one thing: lists and policies of the instance concern everything."""
        return ("the instance",)


def history(
    seen: Sequence[TimedExchange], value: Mapping[str, Any]
) -> History[SentRequest, Answer, Instance]:
    """Return exchanges as a history of one instance; ``one_by_one`` in ``value``: of all that was asked of it."""
    return History(SequenceModel(value) if value.get("one_by_one") else InstanceModel(), seen, value)


def complaint(seen: Sequence[TimedExchange], value: Mapping[str, Any]) -> str | None:
    """Return why exchanges fit no order, ``None`` where they do: the function that the contract names."""
    return history(seen, value).complaint()


def _sent(one: TimedExchange, operation: Operation) -> SentRequest:
    """Return the request of an exchange, by the instance's clock."""
    reads = one.exchange.sent.method in _READS and operation.name not in _TOKENS
    return SentRequest(operation, one.exchange.started + one.ahead, reads)


def _remember(ciphertexts: dict[str, Ciphertext], operation: Operation, answer: Answer) -> None:
    """Note what a ciphertext holds."""
    text, body = lead(answer.body, "ciphertext"), operation.body if isinstance(operation.body, dict) else {}
    version = lead(answer.body, "keyVersion.id")
    if isinstance(text, str) and isinstance(version, str):
        plaintext = body.get("plaintext") or lead(answer.body, "plaintext")
        ciphertexts[text] = Ciphertext(
            operation.path["id"], version, str(plaintext), tuple(body.get("aad", ()))
        )


def _is_ring(exchange: Exchange) -> bool:
    return exchange.operation in {"createKeyRing", "deleteKeyRing"}


def _ours(answer: Answer, rings: set[str]) -> Answer:
    """Return a list of rings without those of others, who share the instance."""
    body = answer.body
    if answer.refused or not isinstance(body, dict) or not isinstance(body.get("resources"), list):
        return answer
    ours = [
        one for one in body["resources"] if isinstance(one, dict) and one.get("id") in {"default", *rings}
    ]
    metadata = {**body.get("metadata", {}), "collectionTotal": len(ours)}
    return replace(answer, body={**body, "metadata": metadata, "resources": ours})
