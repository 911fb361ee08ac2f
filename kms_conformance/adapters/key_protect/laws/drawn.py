"""Requests of any kind to one instance, drawn by what the model knows of it.

The model draws from what the record shows, where a secret is a token; what goes out has the secrets themselves, and names
of the suite's own. The same seed and the same answers give the same requests, so that anybody can judge the record again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from random import Random
from typing import Any

from kms_conformance.adapters.key_protect.exchanges import answer_of, operation_of
from kms_conformance.adapters.key_protect.laws.histories import SLACK, token_numbers
from kms_conformance.adapters.key_protect.laws.operations import KeyProtectOperations
from kms_conformance.adapters.key_protect.model import Ciphertext, Instance, Operation, Timing, observe
from kms_conformance.adapters.key_protect.model.facts import decoded
from kms_conformance.adapters.key_protect.walks import Token, Walker, waited
from kms_conformance.adapters.key_protect.walks.choices import ALIASES, NAMES, RINGS
from kms_conformance.adapters.key_protect.walks.kmip import ADAPTERS, CERTIFICATES
from kms_conformance.adapters.key_protect.walks.steps import request_for, steps_of
from kms_conformance.evidence.exchange import Exchange
from kms_conformance.judging.histories import TimedExchange
from kms_conformance.laws.request import OperationRequest
from kms_conformance.run.outcomes import Inconclusive

_CERTIFICATES = 2
_WAIT = "wait"
LOOKS = (
    Operation("getKeys", query={"state": "0,1,2,3,5"}),
    Operation("getRegistrationsAllKeys"),
    Operation("getKmipAdapters"),
    Operation("listKeyRings"),
    Operation("getInstancePolicy"),
)
"""What shows nearly everything that an instance holds: asked at the end, and the first of them now and then."""
_EVERY = 12
"""Steps between two looks at all keys."""
_SECRET = {"payload": (16, 24, 32), "plaintext": range(16, 64)}
"""Members that a record does not show, and the numbers of octets that any of them may have."""
_MADE_BY_NAME = {"createKmipAdapter": ADAPTERS, "addKmipClientCertificate": CERTIFICATES}
"""Operations that make what can be removed by its name: they always give one."""


class DrawnRequests:
    """One sequence on an instance that nobody else uses."""

    def __init__(self, kms: KeyProtectOperations, seed: str) -> None:
        """Begin with an empty instance; ``seed`` fixes what is drawn."""
        self.kms, self.case = kms, kms.case
        self._random = Random(seed)  # noqa: S311 - which requests, no secret
        self._state = Instance(edition=self.case.context.edition)
        certificates = tuple(kms.client_certificate() for _ in range(_CERTIFICATES))
        self._walker = Walker(certificates=certificates, pack=_planned)
        words = dict.fromkeys((*ALIASES, *RINGS, *NAMES, *ADAPTERS, *CERTIFICATES))
        self._names = {word: kms.short_name(word.replace(" ", "-")) for word in words}
        self._clear: dict[str, str] = {}
        """What the model sees of a secret -> the secret."""
        self._ciphertexts: dict[str, Ciphertext] = {}
        self._tokens: dict[str, int] = {}
        """The import tokens that were retrieved, as the model numbers them, by public key and by nonce."""
        self._packed = ""
        """The key material that the request under way has packed for an import token."""
        self._ahead = self._unsure = 0.0
        self._begun, self._moved, self._first = self.case.now().timestamp(), 0.0, 0.0

    def send(self, length: int) -> Iterator[TimedExchange]:
        """Send the requests of so many steps, and yield each with its answer; end after one that the model forbids."""
        self._ahead, self._unsure = self.case.clock_ahead()
        for number, name in enumerate(steps_of(self._random, length), start=1):
            if name.startswith(_WAIT):
                self._wait(name.removeprefix(_WAIT))
            looks = LOOKS if number == length else LOOKS[:1] if number % _EVERY == 0 else ()
            for operation in (*(() if name.startswith(_WAIT) else self._chosen(name)), *looks):
                exchange, is_allowed = self._ask(operation)
                yield TimedExchange(exchange, self._ahead)
                if not is_allowed:
                    return
        self.kms.wait(
            self.kms.settles, "a key that was just disabled is enabled before two users can delete it"
        )

    # --- what is asked ----------------------------------------------------------------------------------------------

    def _wait(self, given: str) -> None:
        seconds = float(given) if given else waited(self._random)
        self.kms.wait(seconds, "time passes between two requests of a sequence")
        self._moved += seconds
        self._ahead += seconds

    def _chosen(self, name: str) -> tuple[Operation, ...]:
        """Return a request of an operation, or of another one where the state has nothing for it, or none."""
        last = self.case.evidence(self.case.exchanges[-1]).started if self.case.exchanges else 0.0
        self._first = self._first or last
        now = self._begun + self._moved + last - self._first
        operation = request_for(name, self._random, self._state, self._walker, now, fits=self._fits)
        return () if operation is None else (operation,)

    def _fits(self, operation: Operation) -> bool:
        return _is_told_by_a_record(operation) and self._can_be_removed(operation)

    def _can_be_removed(self, operation: Operation) -> bool:
        """Tell whether what a request leaves can be removed at the end: not a key that has expired and needs two users."""
        resources = (operation.body or {}).get("resources", ()) if isinstance(operation.body, dict) else ()
        needs_two = any(
            "dualAuthDelete" in one or one.get("policy_type") == "dualAuthDelete" for one in resources
        )
        expires = any("expirationDate" in one for one in resources)
        by_policy = self._state.policy("dualAuthDelete") is not None and operation.name == "createKey"
        named = self._key_id(operation.path.get("id", ""))
        known = any(key.expires is not None for key in self._state.keys if key.id == named)
        return not (expires and (needs_two or by_policy)) and not (known and needs_two)

    def _request(self, operation: Operation) -> OperationRequest:
        headers = {"x-kms-key-ring": self._word(operation.ring), "prefer": operation.prefer}
        path = {name: self._word(value) for name, value in operation.path.items()}
        key = self._key_id(path.get("id", ""))
        return OperationRequest(
            operation.name,
            path=path,
            query={name: self._search(value) for name, value in operation.query.items()},
            headers={name: value for name, value in headers.items() if value is not None},
            body=self._body(operation),
            identity=operation.caller.name,
            usual_path={**path, **({"id": key} if key else {})},
        )

    def _key_id(self, named: str) -> str:
        return next((key.id for key in self._state.keys if named in key.aliases), named)

    def _word(self, value: str | None) -> Any:
        return value if value is None else self._clear.get(value, self._names.get(value, value))

    def _search(self, value: str) -> str:
        """Return a value of the query with our name in it; a search has words before that."""
        before, colon, word = value.rpartition(":")
        return self._clear.get(value, f"{before}{colon}{self._names.get(word, word)}")

    def _body(self, operation: Operation) -> Any:
        body = self._sendable(operation.body)
        if operation.name in _MADE_BY_NAME:
            resource = body["resources"][0]
            resource.setdefault("name", self._names[self._random.choice(_MADE_BY_NAME[operation.name])])
        if operation.packing is not None:
            self._pack(body.get("resources", [body]))
        return body

    def _pack(self, resources: list[dict[str, Any]]) -> None:
        """Pack material as it was planned; what it was, only its sender knows."""
        plan = resources[0]
        self._packed = plan["payload"]
        parcel = self.kms.pack_for_import(plan["iv"], plan["encryptedNonce"], self._packed)
        for resource in resources:
            resource.update(parcel.members())

    def _sendable(self, value: Any, member: str = "") -> Any:
        """Return a document with our names, and with secrets in the place of what the model sees of them."""
        match value:
            case dict():
                return {name: self._sendable(inner, name) for name, inner in value.items()}
            case list():
                return [self._sendable(inner, member) for inner in value]
            case str() if value in self._clear:
                return self._clear[value]
            case str() if member in _SECRET and (size := _size(member, value)):
                return self.kms.key_material(size)
            case str():
                return self._names.get(value, value)
        return value

    # --- what is answered -------------------------------------------------------------------------------------------

    def _ask(self, operation: Operation) -> tuple[Exchange, bool]:
        """Send a request and show it to the model; tell whether the model allows the answer."""
        request = self._request(operation)
        answer = self.kms.send_request(request)
        answer.not_judged()
        exchange = self.case.evidence(answer.exchange)
        asked, shown = operation_of(exchange, self._ciphertexts, self._tokens), answer_of(exchange)
        if shown is None:
            raise Inconclusive(f"{exchange.step}: {exchange.outcome}")
        self._learn([{**request.path}, request.body, answer.body], [{**asked.path}, asked.body, shown.body])
        if asked.packing is not None:
            self._clear[asked.packing.material] = self._packed
        before = replace(self._state, timing=Timing(slack=SLACK + self._unsure + exchange.duration))
        seen = observe(before, asked, exchange.started + self._ahead, shown)
        self._state = seen.state
        self._walker = self._walker.saw(asked, self._state, shown)
        self._ciphertexts.update(self._walker.ciphertexts)
        self._tokens.update(token_numbers(self._state))
        return exchange, not seen.mismatches

    def _learn(self, clear: Any, shown: Any) -> None:
        """Note what stands in a document where the record has something else: a token, or another account."""
        if isinstance(clear, dict) and isinstance(shown, dict):
            for name in clear.keys() & shown.keys():
                self._learn(clear[name], shown[name])
        elif isinstance(clear, list) and isinstance(shown, list):
            for one, other in zip(clear, shown, strict=False):
                self._learn(one, other)
        elif isinstance(clear, str) and isinstance(shown, str) and clear != shown:
            self._clear[shown] = clear


def _is_told_by_a_record(operation: Operation) -> bool:
    """Tell whether a record shows all that the model has to know of a request: not of odd secrets."""
    if operation.name.startswith("createKey") and operation.body is None and "alias" not in operation.path:
        return operation.name == "createKeyRing"
    if operation.packing is not None and not operation.packing.opens:
        return False
    return _is_plain(operation.body, packed=operation.packing is not None)


def _planned(material: str, key_of: Token, nonce_of: Token, _: bool) -> Mapping[str, str]:
    """Return what material is packed with, where what is packed will stand: it is packed when it is sent."""
    return {"payload": material, "encryptedNonce": nonce_of.nonce, "iv": key_of.payload}


def _is_plain(value: Any, *, packed: bool = False) -> bool:
    match value:
        case dict():
            return ("iv" not in value or packed) and all(
                _size(name, inner) is not None if name in _SECRET else _is_plain(inner, packed=packed)
                for name, inner in value.items()
            )
        case list():
            return all(_is_plain(inner, packed=packed) for inner in value)
    return True


def _size(member: str, value: Any) -> int | None:
    """Return the number of octets of a secret in base64; none where it is no secret of a usual size."""
    octets = decoded(value)
    return len(octets) if octets is not None and len(octets) in _SECRET[member] else None
