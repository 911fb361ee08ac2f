"""Trusted Key Entry as a case of its contract sees it: the ``tke`` of a case.

What makes the system special is in the units: their answers are judged by return and reason code inside HTTP 200.
"""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any, Self, Unpack
from urllib.parse import quote, urlencode

from kms_conformance.adapters.control import ask
from kms_conformance.adapters.hpcs_tke import malformed, wire
from kms_conformance.adapters.hpcs_tke.answers import UnitAnswer
from kms_conformance.adapters.hpcs_tke.sequences import Sequence
from kms_conformance.adapters.hpcs_tke.signing import EcAdministrator, Importer, RsaAdministrator
from kms_conformance.adapters.hpcs_tke.unit import Unit
from kms_conformance.adapters.hpcs_tke.unit_requests import RequestMembers
from kms_conformance.evidence.dates import moment_of
from kms_conformance.evidence.exchange import JSON
from kms_conformance.redaction.redactor import Secret
from kms_conformance.run.adapter import GONE, SystemAdapter
from kms_conformance.run.answer import Answer
from kms_conformance.run.case import CaseRun
from kms_conformance.run.journal import JournalEntry
from kms_conformance.run.outcomes import Inconclusive, NotTested
from kms_conformance.transport.client import Request

__all__ = ["TrustedKeyEntry", "Unit", "UnitAnswer"]

ADMINISTRATORS = 9
"""How many administrators a case can have: one more than fit into a unit."""
UNIT, KMS_KEY = "unit", "key"
_KMS = "/api/v2/keys"
_KEY_TYPE = "application/vnd.ibm.kms.key+json"
_PAGE, _MOST = 200, 100_000
"""Keys on a page, and how many are looked at: a list that never ends is none."""
OURS = re.compile(r"kmsct-([0-9a-f]{8})-[0-9a-f]{8}-[0-9]+")
"""Names of the keys that a case lets the KMS make: run, digest of the case and number."""
KINDS = ("hsms", "source_hsms", "failover_hsms")
"""The lists of units: operational, recovery and failover; only the first is always there."""
_UNITS = {"operational": 2, "recovery": 1, "failover": 1}
"""What an instance of a case's own gets."""


@dataclass(frozen=True, slots=True)
class View:
    """Who asks, and of which instance."""

    instance: str
    identity: str = "manager"
    token: str | None = ""


@dataclass(slots=True)
class _Shared:
    """What all views of a case share."""

    ready: bool = False


class TrustedKeyEntry(SystemAdapter):
    """One instance and its crypto units, seen by one identity."""

    KINDS = KINDS
    EVERY_REGISTER = 0xF
    """Permissions to import, export, import a single part, and make random keys."""
    ZERO_1SIGN = 0x40
    """Permission to zeroize with one signature."""
    next_counter = staticmethod(wire.next_counter)
    damaged = staticmethod(malformed.inputs)

    def __init__(self, case: CaseRun, view: View | None = None, shared: _Shared | None = None) -> None:
        super().__init__(case)
        self._view = view or View(case.instance)
        self._shared = shared or _Shared()

    # --- who asks -------------------------------------------------------------------------------------------------

    def as_identity(self, name: str) -> Self:
        """Return the same instance as seen by another identity of the target."""
        return self._seen(identity=name, token="")

    def with_authorization(self, value: str | None) -> Self:
        """Return the same instance with a literal ``authorization`` header, or without one."""
        return self._seen(token=value)

    def unknown_instance(self) -> Self:
        """Return an instance that does not exist, seen by the same identity."""
        self._provision()
        return self._seen(instance=str(uuid.uuid4()))

    def another_instance(self) -> Self:
        """Return a second instance with units of its own, made by the control protocol."""
        made = str(uuid.uuid4())
        self._make(made)
        self.case.clean_up.append(lambda: ask(self.case.context, "DELETE", f"/hpcs_tke/instances/{made}"))
        return self._seen(instance=made)

    def key_material(self, size: int = 32) -> Secret:
        """Return ``size`` random bytes in base64."""
        return self.case.random_secret(size)

    def current_token(self) -> Secret:
        """Return the token of the present identity."""
        return self.case.context.client.tokens.of(self._view.identity)

    def _seen(self, **changes: Any) -> Self:
        return type(self)(self.case, replace(self._view, **changes), self._shared)

    # --- the two operations ---------------------------------------------------------------------------------------

    def list_units(self) -> Answer:
        """List the crypto units."""
        self._provision()
        return self._send_as(
            Request("GET", f"{self._root}/hsms", operation="listCryptoUnits", step="list the units")
        )

    def send_to(self, hsm_id: str, body: JSON = None, **members: Unpack[RequestMembers]) -> Answer:
        """Send anything to a unit, known or not."""
        self._provision()
        members["step"] = members.get("step") or "send a request"
        request = Request(
            "POST",
            f"{self._root}/hsms/{quote(hsm_id, safe='')}",
            headers={"content-type": "application/json"},
            body=body,
            operation="sendHtpRequest",
            **members,
        )
        return self._send_as(request)

    @property
    def _root(self) -> str:
        return f"/v1/tke/{quote(self._view.instance, safe='')}"

    def _send_as(self, request: Request) -> Answer:
        return self.case.send(replace(request, identity=self._view.identity, token=self._view.token))

    # --- units ----------------------------------------------------------------------------------------------------

    def sequence(
        self,
        name: str,
        apart: Iterable[Unit] = (),
        *,
        part: tuple[int, int] = (1, 1),
        kind: str = "source_hsms",
    ) -> Sequence:
        """Return a drawn sequence of commands to two units, one of another ``kind`` if there is any, the same for the same name.

        ``part`` is number and count of the part of the units that get the commands. Units that are ``apart`` are set up
        too, and then left alone.
        """
        units, listed = self.fresh_units()[:2], self.list_units().needed().body
        if isinstance(listed, dict) and listed.get(kind):
            units = [*units[:1], *self.fresh_units(kind)[:1]]
        people = self.administrators(8)
        return Sequence(
            self.case, units, people, name, apart=tuple(apart), part=part, listing=self.list_units
        )

    def units(self, kind: str = "hsms") -> list[Unit]:
        """Return the units of a kind, whatever state they are in: ``hsms`` are operational, ``source_hsms`` recovery."""
        listed = self.list_units().needed().body
        entries = listed.get(kind) if isinstance(listed, dict) else None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise Inconclusive(f"the list of units has no {kind}")
        return [Unit(self, entry) for entry in entries]

    def every_unit(self) -> list[Unit]:
        """Return the units of every kind; an instance may have none for recovery or failover."""
        listed = self.list_units().needed().body
        kinds = [kind for kind in KINDS if isinstance(listed, dict) and listed.get(kind)]
        return [unit for kind in kinds for unit in self.units(kind)]

    def any_unit(self) -> Unit:
        """Return an operational unit to ask, not to change; raise :class:`Inconclusive` when there is none."""
        units = self.units()
        if not units:
            raise Inconclusive("the instance has no operational unit")
        return units[0]

    def unit(self) -> Unit:
        """Return an operational unit in imprint mode that the case may change; see :meth:`fresh_units`."""
        return self.fresh_units()[0]

    def fresh_units(self, kind: str = "hsms") -> list[Unit]:
        """Return the units of a kind, all in imprint mode and without administrators.

        On a shared instance each is written to the journal first and zeroized after the case. Raises
        :class:`NotTested` when a unit belongs to somebody else, and :class:`Inconclusive` when there is none.
        """
        units = self.units(kind)
        if not units:
            raise Inconclusive(f"the instance has no unit among its {kind}")
        for unit in units if not self.case.context.target.fresh else ():
            if not self._vacated(unit):
                raise NotTested(
                    f"unit {unit.hsm_id} has administrators of its own: give an instance whose units are zeroized"
                )
            self.keep(self.intend(UNIT, unit.serial, unit.hsm_id), unit.hsm_id, partial(self._leave, unit))
        return units

    def operational(self, unit: Unit, signature: int = 1, **changes: int) -> Unit:
        """Bring a unit out of imprint mode, with two administrators and every register permission unless changed.

        ``changes`` are ``revocation`` (1) and ``permissions``.
        """
        by = self.administrators(2)
        # The first command needs the unit's attributes in any case.
        permissions = unit.permissions()
        for who in by:
            unit.add(who).needed()
        wanted = {
            "revocation": 1,
            "permissions": permissions | self.EVERY_REGISTER | self.ZERO_1SIGN,
            **changes,
        }
        unit.set(by[:signature], signature=signature, **wanted).needed()
        return unit

    def at_once(self, *commands: Callable[[], UnitAnswer]) -> list[UnitAnswer]:
        """Send commands at the same moment."""
        return self.case.at_once(commands)

    def administrators(self, number: int) -> list[EcAdministrator]:
        """Return administrators; the same ones in every case of a run, and in later runs of the same operator."""
        return list(_made(self._seed())[:number])

    def rsa_administrator(self) -> RsaAdministrator:
        """Return an administrator with a new RSA-2048 key."""
        return RsaAdministrator("kms-conformance RSA")

    def holder(self) -> Importer:
        """Return a P-521 key of ours as the holder of an exported key part."""
        return Importer.made("secp521r1")

    def importer_of_nobody(self) -> Importer:
        """Return an RSA-2048 importer key that no unit has made."""
        return Importer.made("rsa")

    def _seed(self) -> bytes:
        if self.case.context.target.fresh:
            # Units that live as long as a case need no secret, and a later judgement of the run can derive the same keys.
            return hashlib.sha256(f"administrators of {self.case.context.run}".encode()).digest()
        manager = self.case.context.target.identities.get("manager")
        secret = os.environ.get("KMS_JOURNAL_KEY") or (manager.api_key if manager else None)
        if not secret:
            raise NotTested(
                "give KMS_JOURNAL_KEY, or an API key instead of a token: signature keys that no later run could make"
                " again would lock a unit that a killed run leaves behind"
            )
        return _stretched(str(secret))

    # --- the world behind the API, and what is left in it -------------------------------------------------------

    def fault(self, unit: Unit, name: str, *, clear: bool = False) -> None:
        """Break something by the control protocol, or mend it."""
        body = {"fault": name, "hsm_id": unit.hsm_id, "clear": clear}
        ask(self.case.context, "POST", f"/hpcs_tke/instances/{self.case.instance}/faults", body)

    def _provision(self) -> None:
        """Give an instance of the case's own its units; the first request needs them."""
        if self._shared.ready or not self.case.context.target.fresh:
            return
        self._make(self.case.instance)
        self._shared.ready = True

    def _make(self, instance: str) -> None:
        ask(self.case.context, "PUT", f"/hpcs_tke/instances/{instance}", _UNITS)

    def undo(self, entry: JournalEntry) -> bool:
        """Remove what a killed run has left behind; return whether nothing is left of it."""
        if entry.kind == KMS_KEY:
            paths = [entry.ref] if entry.ref else self._paths_of(entry.name)
            return all(self._delete_key(path) for path in paths)
        return any(unit.hsm_id == entry.ref and self._vacated(unit) for unit in self.every_unit())

    def _leave(self, unit: Unit, hsm_id: str) -> None:
        if self._vacated(unit):
            self.forget(hsm_id)

    def _vacated(self, unit: Unit) -> bool:
        """Zeroize a unit that has our administrators only; tell whether it is in imprint mode and has none."""
        installed = unit.administrators().needed().output
        if installed:
            skis = {installed[start : start + 32] for start in range(0, len(installed), 32)}
            ours = [who for who in self.administrators(ADMINISTRATORS) if who.ski in skis]
            if not ours:
                return False
            unit.zeroize(ours).needed()
        return not unit.administrators().needed().output

    # --- the KMS of the same instance -----------------------------------------------------------------------------

    def kms_create_root_key(self) -> Answer:
        """Let the KMS of the instance make a root key."""
        case = hashlib.sha256(self.case.info.id.encode()).hexdigest()[:8]
        name = f"kmsct-{self.case.context.run}-{case}-{len(self.case.exchanges)}"
        resource = {"type": _KEY_TYPE, "name": name, "extractable": False}
        metadata = {"collectionType": _KEY_TYPE, "collectionTotal": 1}
        body = {"metadata": metadata, "resources": [resource]}
        return self.creates(
            KMS_KEY,
            name,
            lambda: self._kms("POST", _KMS, body, "create a root key in the KMS"),
            ref=lambda answer: f"{_KMS}/{answer['resources.0.id']}",
            remove=self._forget_key,
        )

    def kms_wrap(self, key: str, plaintext: str) -> Answer:
        """Let the KMS of the instance wrap with a root key."""
        return self._kms("POST", f"{_KMS}/{key}/actions/wrap", {"plaintext": plaintext}, "wrap in the KMS")

    def named_like_ours(self) -> list[JournalEntry]:
        """Return the root keys in the KMS whose names have the full shape that only :meth:`kms_create_root_key` gives."""
        target, found = self.case.context.target, []
        for start in range(0, _MOST, _PAGE):
            query = urlencode({"search": "kmsct-", "limit": _PAGE, "offset": start})
            answer = self._kms("GET", f"{_KMS}?{query}", None, "list the keys in the KMS").needed(200)
            listed = answer.body.get("resources") if isinstance(answer.body, dict) else None
            keys = listed if isinstance(listed, list) else []
            for key in (entry for entry in keys if isinstance(entry, dict)):
                name, path = str(key.get("name")), f"{_KMS}/{key.get('id')}"
                if shape := OURS.fullmatch(name):
                    moment = moment_of(key.get("creationDate"))
                    made = 0.0 if moment is None else moment.timestamp()
                    at = (target.base_url, self.case.instance, f"{self.case.context.contract.id}:{KMS_KEY}")
                    found.append(JournalEntry(0, shape[1], *at, name, path, "created", made, ""))
            if len(keys) < _PAGE:
                break
        return found

    def _paths_of(self, name: str) -> list[str]:
        """Return where the KMS has the root keys of a name: the answer with the id may have been lost."""
        answer = self._kms(
            "GET", f"{_KMS}?{urlencode({'search': name})}", None, "look for a key in the KMS"
        ).needed(200)
        keys = answer.body.get("resources", ()) if isinstance(answer.body, dict) else ()
        return [f"{_KMS}/{key['id']}" for key in keys if isinstance(key, dict) and key.get("name") == name]

    def _forget_key(self, path: str) -> None:
        if self._delete_key(path):
            self.forget(path)

    def _delete_key(self, path: str) -> bool:
        answer = self._kms("DELETE", path, None, "delete the root key in the KMS")
        return answer.ok or answer.status in GONE

    def _kms(self, method: str, path: str, body: JSON, step: str) -> Answer:
        target = self.case.context.target
        headers = {"bluemix-instance": self._view.instance, "content-type": "application/json"}
        url = str(target.table.get("kms_url", target.main_url)).rstrip("/")
        return self._send_as(
            Request(
                method,
                path,
                headers=headers,
                body=body,
                operation=step,
                step=step,
                base_url=url,
                system="the KMS",
            )
        )


@cache
def _stretched(secret: str) -> bytes:
    return hashlib.scrypt(secret.encode(), salt=b"kms-conformance tke", n=2**14, r=8, p=1, dklen=32)


@cache
def _made(seed: bytes) -> tuple[EcAdministrator, ...]:
    return tuple(
        EcAdministrator(f"kms-conformance {number}", seed) for number in range(1, ADMINISTRATORS + 1)
    )
