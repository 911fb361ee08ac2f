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
from kms_conformance.adapters.key_protect.laws.histories import SLACK
from kms_conformance.adapters.key_protect.laws.operations import KeyProtectOperations
from kms_conformance.adapters.key_protect.model import Ciphertext, Instance, Operation, Timing, observe
from kms_conformance.adapters.key_protect.model.facts import decoded
from kms_conformance.adapters.key_protect.walks import Walker, waited
from kms_conformance.adapters.key_protect.walks.choices import ALIASES, NAMES, RINGS, as_packed
from kms_conformance.adapters.key_protect.walks.edges import edge_of
from kms_conformance.adapters.key_protect.walks.kmip import ADAPTERS, CERTIFICATES
from kms_conformance.adapters.key_protect.walks.steps import EDGE, EDGE_OF_SAME, request_for, steps_of
from kms_conformance.evidence.exchange import Exchange
from kms_conformance.judging.histories import TimedExchange
from kms_conformance.laws.request import OperationRequest
from kms_conformance.run.outcomes import Inconclusive

_CERTIFICATES = 2
_WAIT = "wait"
PACKED = "packed"
"""What stands for what an import by token adds to the material until it is sent."""
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
        self._walker = Walker(certificates=certificates, pack=_to_pack)
        words = dict.fromkeys((*ALIASES, *RINGS, *NAMES, *ADAPTERS, *CERTIFICATES))
        self._names = {word: kms.short_name(word.replace(" ", "-")) for word in words}
        self._clear: dict[str, str] = {}
        """What the model sees of a secret -> the secret."""
        self._ciphertexts: dict[str, Ciphertext] = {}
        self._ahead = self._unsure = 0.0
        self._begun = self.case.now().timestamp()

    def send(self, length: int) -> Iterator[TimedExchange]:
        """Send the requests of so many steps, and yield each with its answer; end after one that the model forbids."""
        self._ahead, self._unsure = self.case.clock_ahead()
        for number, name in enumerate(steps_of(self._random, length), start=1):
            looks = LOOKS if number == length else LOOKS[:1] if number % _EVERY == 0 else ()
            for operation in (*self._step(name), *looks):
                exchange, is_allowed = self._ask(operation)
                yield TimedExchange(exchange, self._ahead)
                if not is_allowed:
                    return
        self.kms.wait(
            self.kms.settles, "a key that was just disabled is enabled before two users can delete it"
        )

    # --- what is asked ----------------------------------------------------------------------------------------------

    def _step(self, name: str) -> tuple[Operation, ...]:
        """Return what a step asks, after it has waited if it does; a wait alone asks nothing."""
        if name.startswith(_WAIT):
            given = name.removeprefix(_WAIT)
            self._wait(float(given) if given else waited(self._random))
            return ()
        if name not in {EDGE, EDGE_OF_SAME}:
            return self._chosen(name)
        focus = self._walker.last if name == EDGE_OF_SAME else ""
        edge = edge_of(self._random, self._state, self._now(), focus)
        if edge is None:
            return ()
        seconds, name, key = edge
        self._wait(seconds)
        return self._chosen(name, key)

    def _wait(self, seconds: float) -> None:
        before = self.case.waited
        self.kms.wait(seconds, "time passes between two requests of a sequence")
        # Judged again, a wait is as long as it was, though the moment until which it is may be reckoned otherwise.
        self._ahead += self.case.waited - before

    def _now(self) -> float:
        """Return the time of the instance at the last request."""
        exchanges = self.case.exchanges
        return self.case.evidence(exchanges[-1]).started + self._ahead if exchanges else self._begun

    def _chosen(self, name: str, focus: str = "") -> tuple[Operation, ...]:
        """Return a request of an operation, or of another one where the state has nothing for it, or none."""
        walker = replace(self._walker, focus=focus)
        operation = request_for(name, self._random, self._state, walker, self._now(), fits=self._fits)
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
        for members in _packed_parts(body):
            members.update(self._pack(members["payload"]))
        return body

    def _pack(self, material: str) -> Mapping[str, str]:
        """Pack material for the import token that was retrieved last."""
        token = self._walker.tokens[-1]
        shown = {"payload": self._clear.get(token.payload, ""), "nonce": self._clear.get(token.nonce, "")}
        return self.kms.wrap_for_import(shown, material).members()

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
        asked, shown = (
            as_packed(operation_of(exchange, self._ciphertexts), self._walker),
            answer_of(exchange),
        )
        if shown is None:
            raise Inconclusive(f"{exchange.step}: {exchange.outcome}")
        self._learn([{**request.path}, request.body, answer.body], [{**asked.path}, asked.body, shown.body])
        before = replace(self._state, timing=Timing(slack=SLACK + self._unsure + exchange.duration))
        seen = observe(before, asked, exchange.started + self._ahead, shown)
        self._state = seen.state
        self._walker = self._walker.saw(asked, self._state, shown)
        self._ciphertexts.update(self._walker.ciphertexts)
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


def _to_pack(material: str, *_: Any) -> Mapping[str, str]:
    """Return the members of an import by token, which are packed when they are sent."""
    return {"payload": material, "encryptedNonce": PACKED, "iv": PACKED}


def _packed_parts(body: Any) -> list[dict[str, Any]]:
    """Return the objects of a body whose material is to be packed."""
    if not isinstance(body, dict):
        return []
    resources = body.get("resources")
    parts = [body, *(resources if isinstance(resources, list) else ())]
    return [one for one in parts if isinstance(one, dict) and one.get("iv") == PACKED]


def _is_told_by_a_record(operation: Operation) -> bool:
    """Tell whether a record shows all that the model has to know of a request: not of odd secrets."""
    if operation.name.startswith("createKey") and operation.body is None and "alias" not in operation.path:
        return operation.name == "createKeyRing"
    return _is_plain(operation.body)


def _is_plain(value: Any) -> bool:
    match value:
        case dict():
            return ("iv" not in value or value["iv"] == PACKED) and all(
                _size(name, inner) is not None if name in _SECRET else _is_plain(inner)
                for name, inner in value.items()
            )
        case list():
            return all(map(_is_plain, value))
    return True


def _size(member: str, value: Any) -> int | None:
    """Return the number of octets of a secret in base64; none where it is no secret of a usual size."""
    octets = decoded(value)
    return len(octets) if octets is not None and len(octets) in _SECRET[member] else None
