"""Key Protect for the laws: requests by name, and every kind of subject."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kms_conformance.adapters.key_protect.laws import concurrency, histories
from kms_conformance.adapters.key_protect.laws.drawn import DrawnRequests
from kms_conformance.adapters.key_protect.laws.limited import MAKERS as LIMITED
from kms_conformance.adapters.key_protect.laws.listed import MAKERS as LISTED
from kms_conformance.adapters.key_protect.laws.operations import KeyProtectOperations
from kms_conformance.adapters.key_protect.laws.owned import MAKERS as OWNED
from kms_conformance.adapters.key_protect.laws.rich import CasePreparation
from kms_conformance.judging.histories import TimedExchange
from kms_conformance.laws.concurrency import ConcurrentSubject
from kms_conformance.laws.histories import History
from kms_conformance.laws.request import Subjects
from kms_conformance.laws.snapshot import PreparedCase


class KeyProtectLaws(KeyProtectOperations):
    """Key Protect as :class:`kms_conformance.laws.request.System` and :class:`kms_conformance.laws.concurrency.ConcurrencySystem`."""

    def subjects(self, what: str) -> Subjects:
        """Make the subjects of this name."""
        return {**LISTED, **OWNED, **LIMITED}[what](self)

    def things(self, what: str, number: int) -> Iterator[ConcurrentSubject]:
        """Make so many things of a kind."""
        return concurrency.things(self, what, number)

    def history(self, seen: Sequence[TimedExchange], value: Mapping[str, Any]) -> History[Any, Any, Any]:
        """Return exchanges as a history of the model."""
        return histories.history(seen, value)

    def draw(self, seed: str, length: int) -> Iterator[TimedExchange]:
        """Send drawn requests until there are so many, or until the model does not allow an answer."""
        return DrawnRequests(self, seed).send(length)

    def prepare(self, subject: Mapping[str, Any]) -> PreparedCase:
        """Make the things that effects are looked at on."""
        return CasePreparation(self, subject).made()
