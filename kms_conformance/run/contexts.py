"""What the cases of each contract share, made on first use: client, clock, journal, redactor, the owner's settings."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kms_conformance.contract.contract import Contract, load_contract
from kms_conformance.contract.schemas import SchemaFiles
from kms_conformance.judging.verdict import Profile
from kms_conformance.redaction.redactor import Redactor
from kms_conformance.run.clock import choose_clock
from kms_conformance.run.context import Context
from kms_conformance.run.journal import Journal
from kms_conformance.run.locks import InstanceLocks, private_folder
from kms_conformance.run.options import Options
from kms_conformance.run.premises import premises_of, read_premises
from kms_conformance.target.target import Target
from kms_conformance.transport.client import Client
from kms_conformance.transport.rate_limit import RateLimit
from kms_conformance.transport.traffic import Traffic


class Contexts:
    """The contexts of one run by contract; safe between threads.

    ``target`` returns the target of the run; ``stopping`` is set when the run is to stop. All contexts have one journal,
    one rate limit and one set of known secrets.
    """

    def __init__(
        self, options: Options, target: Callable[[], Target], traffic: Traffic, stopping: threading.Event
    ) -> None:
        self._options = options
        self._target = target
        self._traffic = traffic
        self._stopping = stopping
        self._made: dict[str, Context] = {}
        self._lock = threading.Lock()
        self._journal: Journal | None = None
        self._rate_limit: RateLimit | None = None
        self._has_read_premises = False

    def of(self, contract_id: str) -> Context:
        """Return what the cases of a contract share."""
        target = self._target()
        with self._lock:
            if contract_id not in self._made:
                self._made[contract_id] = self._make(load_contract(contract_id), target.seen_by(contract_id))
            return self._made[contract_id]

    def all(self) -> list[Context]:
        """Return the contexts of all contracts that the run judges."""
        return [self.of(contract_id) for contract_id in self._options.contracts]

    @property
    def made(self) -> list[Context]:
        """The contexts that were made so far."""
        return list(self._made.values())

    def put(self, context: Context) -> None:
        """Let the cases of a contract share this context from now on."""
        with self._lock:
            self._made[context.contract.id] = context

    @property
    def redactor(self) -> Redactor | None:
        """What knows every secret of the run; ``None`` before there is any."""
        return next((context.redactor for context in self._made.values()), None)

    @property
    def queued(self) -> int:
        """How many requests wait for the rate limit at this moment."""
        return self._rate_limit.queued if self._rate_limit is not None else 0

    def instance(self, target: Target) -> str:
        """Return the instance for a case: a new one where the target makes them."""
        return str(uuid.uuid4()) if target.fresh else target.instance

    def read_premises(self) -> None:
        """Read what the owner of a shared instance has set there, once; called when nothing of a dead run is left on it."""
        if self._has_read_premises:
            return
        self._has_read_premises = True
        for context in self.all():
            if context.contract.system.premises and not (context.target.fresh or context.target.embedded):
                instance = self.instance(context.target)
                with InstanceLocks(context.target.base_url, instance, shared=True).hold():
                    read = read_premises(context.client, context.contract, instance)
                self.put(replace(context, premises=read))

    def also_read(self, premises: Mapping[str, dict[str, Any]]) -> None:
        """Take over what another process of this run has read of the owners' settings."""
        for contract_id, data in premises.items():
            context = self.of(contract_id)
            self.put(replace(context, premises=premises_of(data, context.contract, context.target)))

    def close(self) -> None:
        """Close every connection and file."""
        for context in self._made.values():
            context.client.close()
            context.clock.close()
        if self._rate_limit is not None:
            self._rate_limit.close()
            if not self._options.worker:
                self._rate_limit_file.unlink(missing_ok=True)
        if self._journal is not None:
            self._journal.close()

    @property
    def _rate_limit_file(self) -> Path:
        """Where the processes of this run share its rate limit."""
        return private_folder() / f"{self._options.run}.pace"

    def _make(self, contract: Contract, target: Target) -> Context:
        about = contract.about
        redactor = Redactor(
            secret=about.get("secrets", ()),
            public=about.get("public", ()),
            public_headers=about.get("public_headers", ()),
            sealed=about.get("sealed", ()),
            personal=about.get("personal", ()),
            key=bytes.fromhex(self._options.key),
            shares_with=self.redactor,
        )
        if self._journal is None:
            path = None if target.embedded else self._options.journal
            self._journal = Journal(path, self._options.run, lambda text: bool(redactor.tokens_in(text)))
        if self._rate_limit is None:
            self._rate_limit = RateLimit(target.requests_per_second, self._rate_limit_file)
        prefix = f"{self._options.worker}x" + "x" * len(self._made)
        client = Client(
            target, redactor, prefix, self._rate_limit, self._traffic, challenge=self._options.challenge
        )
        client.wait_for_absent()
        return Context(
            contract=contract,
            target=target,
            client=client,
            clock=choose_clock(target, client.take_turn),
            journal=self._journal,
            redactor=redactor,
            schemas=SchemaFiles(contract.system.schemas),
            run=self._options.run,
            edition=self._options.edition,
            thorough=self._options.profile is not Profile.GATE,
            fuzz=self._options.fuzz.placed(self._options.journal, self._options.report_dir),
            stopping=self._stopping,
        )
