"""What fills the placeholders of Key Protect's corpus: keys in every state and the things around them.

Everything is made through the adapter, so it bears the suite's prefix, is in the journal and is removed with the case.
"""

from __future__ import annotations

import base64
import re
import uuid
from collections import deque
from collections.abc import Iterable
from datetime import timedelta
from itertools import count

from kms_conformance.adapters.key_protect.adapter import KeyProtect
from kms_conformance.adapters.key_protect.base import FAULT, LONGEST_NAME
from kms_conformance.adapters.key_protect.fuzz_bounds import stays_with_ours
from kms_conformance.adapters.key_protect.fuzz_features import feature_of, features_of, without
from kms_conformance.adapters.key_protect.fuzz_made import (
    CREATES_KEYS,
    MADE,
    ids_in,
    names_in,
    path_parts,
    removal_path,
)
from kms_conformance.adapters.key_protect.fuzz_recipe import AAD
from kms_conformance.adapters.key_protect.keys import Key
from kms_conformance.contract.corpus import Entry
from kms_conformance.evidence.exchange import JSON
from kms_conformance.fuzz.requests import FilledRequest
from kms_conformance.run.case import CaseRun
from kms_conformance.run.clock import ControlledClock
from kms_conformance.run.eligibility import switched_off

COPIES = 3
_LIFE, _ROOM = 60, 64
_AGE = 5 * 3600
_LOCKS_OUT = re.compile(r"allowedIP|allowedNetwork|ipWhitelist")


class _Bookkeeper(KeyProtect):
    """Key Protect's requests, and the adapter's bookkeeping for requests that others send."""

    def note_policies(self, kinds: list[str]) -> None:
        """Note what instance policies are, so that they are put back when the case ends."""
        self._note_policies(kinds)

    def made_key(self, row: int, key_id: str) -> None:
        """Take a key that was created into the case's clean-up."""
        self._made_key(row, key_id)

    def made_thing(self, row: int, path: str, remover: str) -> None:
        """Take another thing that was created into the case's clean-up."""
        self.confirm(row, path, lambda ref: self._remove(ref, remover))


class KeyProtectFixtures:
    """The things that one case's requests name. Made for one instance, used by one thread."""

    def __init__(self, case: CaseRun) -> None:
        self.kms = _Bookkeeper(case)
        self.case = case
        self.target = case.context.target
        self._lacking = {name for name, there in self.target.capabilities.items() if not there}
        self.prefix = f"kmsct-{re.sub(r'[^A-Za-z0-9]', '', case.context.run)[:8]}-"
        self.hidden: set[str] = set()
        self._values: dict[str, deque[str]] = {}
        self._numbers = count(1)
        self._spares = deque(str(uuid.UUID(bytes=self.case.random_bytes(16), version=4)) for _ in range(8))
        self._names: dict[str, deque[tuple[str, ...]]] = {}
        self._rows: dict[int, list[int]] = {}
        self._moments: dict[str, str] = {}

    # --- what may be sent ------------------------------------------------------------------------------------------

    def missing_permission(self, entry: Entry) -> str:
        """Return why a request may not go to this target: it lacks the feature, or ``[allow]`` does not permit it."""
        if lacking := self._lacking & features_of(entry):
            return f"[capabilities] {min(lacking)} = true"
        if self.target.fresh:
            return ""
        template = self.case.context.contract.operations[entry.operation].path
        if not stays_with_ours(entry, template, self.prefix):
            return 'instance = "fresh"'
        return self._not_permitted(entry)

    def _not_permitted(self, entry: Entry) -> str:
        """Return what a request asks for that is not permitted on an instance of others."""
        text = entry.body or (entry.raw or b"").decode("latin-1")
        if entry.operation in {"postImportToken", "getImportToken"} or "parcel-" in text:
            return switched_off("import-token", self.target)
        if entry.operation == "putInstancePolicy":
            # Even where policies are allowed, a lock-out is never left to chance.
            if _LOCKS_OUT.search(text + entry.query):
                return 'instance = "fresh"'
            return switched_off("instance", self.target)
        if "dualAuthDelete" in text and "true" in text:
            # Two can remove such a key only while it is active, and other requests may disable it.
            return switched_off("litter", self.target)
        if entry.operation in CREATES_KEYS and self.case.context.premises.has("dualAuthDelete"):
            # The instance gives every new key the policy, and other requests may disable the key or let it expire.
            return switched_off("litter", self.target)
        if "preventKeyDeletion" in text:
            return "" if "service" in self.target.identities else "[identities.service]"
        return ""

    def missing_capability(self, operation: str) -> str:
        """Return the capability that an operation is part of and that the target declares it lacks, or ``""``."""
        feature = feature_of(operation)
        return feature if feature in self._lacking else ""

    def identity(self, entry: Entry) -> str | None:
        """Return who sends a request; ``None`` for nobody. Identities that the target lacks are the manager."""
        if entry.who == "-":
            return None
        wanted = entry.who or self._rightful(entry.operation)
        return wanted if wanted in self.target.identities else "manager"

    def _rightful(self, operation: str) -> str:
        if operation == "purgeKey":
            return "purger"
        if operation in {
            "createRegistration",
            "replaceRegistration",
            "updateRegistration",
            "deleteRegistration",
            "eventAcknowledge",
        }:
            return "service"
        return "manager"

    # --- what is there ---------------------------------------------------------------------------------------------

    def prepare(self, names: Iterable[str]) -> None:
        """Make what the placeholders name. Raises :class:`Inconclusive` when even a plain key cannot be made."""
        wanted = without(names, self._lacking)
        if any(name.startswith("name") for name in wanted) or "instance:spare" in wanted:
            self._prepare_policies(wanted)
        kinds = {
            name.partition(":")[2]
            for name in wanted
            if name.startswith(("key:", "free:", "ciphertext", "broken"))
        }
        if "ring" in wanted or "ringed" in kinds:
            self._values["ring"] = deque([self.kms.new_ring()])
        for kind in sorted(kinds - {"nobody"}):
            free = f"free:{kind}" in wanted
            made = [self._key(kind, wraps=not copy) for copy in range(1 + COPIES * free)]
            self._values[f"key:{kind}"] = deque([made[0]])
            self._values[f"free:{kind}"] = deque(made[1:] or made)
        self._age(kinds)
        if wanted & {"adapter", "certificate"}:
            self._adapter()
        if any(name.startswith("parcel") for name in wanted):
            self._wrap_for_import()
        if "crn" in wanted:
            self._values["crn"] = deque(self.kms.crn() for _ in range(4))
        if "alias" in wanted and "alias" not in self._values:
            self._values["alias"] = deque([self._key("alias")])

    def value(self, name: str) -> str:
        """Return what stands for a placeholder; equal names may get different values, where several were made."""
        head, _, tail = name.partition(":")
        values = self._values.get(name)
        if values:
            values.rotate(-1)
            return values[0]
        match head:
            case "instance":
                return self._instance(spare=bool(tail))
            case "name":
                size, longest = map(int, tail.split(":"))
                number = f"{next(self._numbers)}-"
                room = longest - size
                return (self.prefix + number)[: max(room, 0)] if room >= len(self.prefix) else ""
            case "made":
                return self._made(tail)
            case "material":
                return str(self.kms.key_material(int(tail)))
            case "later" | "much-later" | "earlier":
                return self._moment(head)
            case "pem":
                return self.kms.client_certificate()
            case _:
                return str(uuid.UUID(bytes=self.case.random_bytes(16), version=4))

    def _made(self, name: str) -> str:
        """Return a part of the name of something that a request has made; part 0 starts the name of the next thing."""
        kind, _, part = name.partition(":")
        names = self._names.get(kind)
        if not names:
            return str(uuid.UUID(bytes=self.case.random_bytes(16), version=4))
        if part == "0":
            names.rotate(-1)
        return names[0][int(part)]

    def _instance(self, *, spare: bool) -> str:
        if spare and self.target.fresh:
            self._spares.rotate(-1)
            return self._spares[0]
        return self.case.instance

    def _moment(self, name: str) -> str:
        if name not in self._moments:
            ahead = {
                "later": timedelta(days=2),
                "much-later": timedelta(days=3650),
                "earlier": timedelta(days=-2),
            }[name]
            self._moments[name] = self.kms.later(ahead.total_seconds())
        return self._moments[name]

    def _key(self, kind: str, *, wraps: bool = True) -> str:
        """Make a key of a kind and return what names it in a path; the kind's ciphertexts are those of one key."""
        kms = self.kms
        match kind:
            case "standard":
                key = kms.create_standard_key()
            case "imported-standard":
                key = kms.import_standard_key()
            case "imported":
                key = kms.import_root_key()
                self.hidden.add(str(key.material))
            case "alias":
                alias = kms.short_name("alias")
                key = kms.create_root_key(aliases=[alias])
                self._wrapped(kind, key, wraps=wraps)
                return alias
            case "ringed":
                key = kms.in_ring(self._values["ring"][0]).create_root_key()
            case "dual" if self.target.fresh or self.target.allow.get("dual_auth_litter"):
                answer = kms.create_key_with_policies(
                    extractable=False, dualAuthDelete={"enabled": True}
                ).needed()
                key = Key(str(answer["resources.0.id"]), "", extractable=False)
            case "expired" if self._moves_clock:
                key = kms.create_root_key(expirationDate=kms.later(_LIFE))
            case _:
                key = kms.create_root_key()
        self._wrapped(kind, key, wraps=wraps)
        self._bring(kind, key)
        return key.id

    def _bring(self, kind: str, key: Key) -> None:
        """Bring a key into the state that its kind names."""
        kms = self.kms
        match kind:
            case "rotated":
                kms.rotate(key).needed()
            case "disabled":
                kms.disable(key).needed()
            case "deleted":
                kms.delete_key(key).needed()
            case "registered" if "service" in self.target.identities:
                kms.as_identity("service").create_registration(key, kms.crn()).needed()

    def _wrapped(self, kind: str, key: Key, *, wraps: bool) -> None:
        """Wrap something under a root key while it is active."""
        if key.extractable or not wraps:
            return
        for name, aad in (("ciphertext", None), ("ciphertext-aad", AAD)):
            text = str(self.kms.wrap(key, self.kms.key_material(), aad=aad).needed()["ciphertext"])
            self._values[f"{name}:{kind}"] = deque([text])
        raw = bytearray(base64.b64decode(text + "=" * (-len(text) % 4)))
        raw[len(raw) // 2] ^= 1
        self._values[f"broken-ciphertext:{kind}"] = deque([base64.b64encode(bytes(raw)).decode()])

    def _age(self, kinds: set[str]) -> None:
        """Let the expiring keys expire, and every other documented wait pass, where the clock is ours to move."""
        if kinds & {"expired", "deleted", "disabled", "rotated"} and self._moves_clock:
            self.case.context.clock.wait(self.case.instance, _AGE)

    @property
    def _moves_clock(self) -> bool:
        """Whether time can be moved without moving it for others."""
        return self.target.fresh and isinstance(self.case.context.clock, ControlledClock)

    def _adapter(self) -> None:
        kms = self.kms
        key = kms.create_root_key()
        name, label = kms.new_adapter(key), kms.short_name("cert")
        kms.add_certificate(name, label, kms.client_certificate()).needed()
        self._values["adapter"], self._values["certificate"] = deque([name]), deque([label])

    def _wrap_for_import(self) -> None:
        """Pack key material for an import token, for those requests that come with one."""
        if not (self.target.fresh or self.target.allow.get("import_token")):
            return
        token = self.kms.import_token(expiration=86400, retrievals=1)
        for number in range(4):
            wrapped = self.kms.wrap_for_import(token, self.kms.key_material())
            for name, text in (
                ("payload", wrapped.payload),
                ("nonce", wrapped.encrypted_nonce),
                ("iv", wrapped.iv),
            ):
                self._values[f"parcel-{name}:{number}"] = deque([str(text)])

    def _prepare_policies(self, wanted: set[str]) -> None:
        """On a shared instance where policies may be changed, note what they are, so that they are put back."""
        if (
            "instance:spare" in wanted
            and not self.target.fresh
            and self.target.allow.get("instance_policies")
        ):
            self.kms.note_policies(["dualAuthDelete", "keyCreateImportAccess", "metrics", "rotation"])

    # --- what comes of it ------------------------------------------------------------------------------------------

    def before_sending(self, request: FilledRequest) -> None:
        """Write down what a request may create, before it leaves."""
        kind = MADE.get(request.operation or "")
        if self.target.embedded or kind is None:
            return
        names = names_in(request.body) if kind == "key" and request.operation != "restoreKey" else [""]
        ref = "" if kind == "key" else removal_path(kind, request.path, request.body)
        last = ref.rpartition("/")[2][:LONGEST_NAME]
        self._rows[request.number] = [self.kms.intend(kind, name or last, ref=ref) for name in names or [""]]

    def after_answer(self, request: FilledRequest, status: int, body: JSON, *, again: bool = False) -> None:
        """Take in an answer: what was made is removed with the case, and serves later requests.

        Where the request left twice (``again``), two things may have been made: rows that stay name the other.
        """
        kind = MADE.get(request.operation or "") if 200 <= status < 300 else None  # noqa: PLR2004 - the class of successes
        ids = ids_in(body) if kind == "key" else []
        if request.operation in CREATES_KEYS:
            self._offer(ids)
        if kind is not None and kind != "key":
            self._names.setdefault(kind, deque(maxlen=_ROOM)).append(
                path_parts(kind, request.path, request.body)
            )
        rows = self._rows.pop(request.number, [])
        if rows and again:
            self.before_sending(request)
            self._rows.pop(request.number)
        if not rows or not status or status >= FAULT:
            return  # without an answer, whether a thing was made is not known: the journal keeps its name
        if kind is None or (request.operation == "actionOnKey" and not ids):
            for row in rows:
                self.kms.strike(row)
        elif kind == "key":
            for row, key_id in zip(rows, ids, strict=False):
                self.kms.made_key(row, key_id)
        else:
            # A thing that got its name from the endpoint is removed by the id that the answer shows.
            ref = removal_path(kind, request.path, request.body, next(iter(ids_in(body)), ""))
            self.kms.made_thing(rows[0], ref, remover="service" if kind == "registration" else "manager")

    def _offer(self, ids: list[str]) -> None:
        """Let requests that change keys have those that were just made."""
        for kind in ("root", "standard", "deleted"):
            values = self._values.get(f"free:{kind}")
            if values is not None and len(values) < _ROOM:
                values.extend(ids)
