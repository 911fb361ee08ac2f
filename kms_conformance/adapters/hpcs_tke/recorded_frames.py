"""The frames of a recorded sequence as expressions that a reproduction encodes anew: see :mod:`.resending`.

A frame of the record is worth nothing on another unit: it names that unit's domain, module and counter, and its signatures are
of keys that the record does not hold. So each part that the record explains becomes an expression, everything else stays
the octets that were sent.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.serialization import load_der_public_key

from kms_conformance.adapters.hpcs_tke import forms, wire
from kms_conformance.evidence.exchange import Exchange
from kms_conformance.outputs.repro_frames import FramesOfSystem

_SEND, _LIST = "sendHtpRequest", "listCryptoUnits"
_KINDS = ("hsms", "source_hsms", "failover_hsms")
_STRING = re.compile(r"\d+;PCI request;XPNUM   ;(\d+);        ;((?:[0-9A-F]{2})+)")
_LOCATION = re.compile(r"\[[^\]]*\]\.\[[^\]]*\]\.\[(\d{1,9})\]\.\[(\d{1,9})\]")
_HEADER, _COUNTER, _INTEGER, _PERMISSIONS = 32, 16, 0x02, 3
_NEAR = 1000
"""How far a counter may be from the last one that the unit told, to be reckoned from it."""
_LIKE = 16
"""Hexadecimal digits that are enough to tell of which value they are the beginning."""
_NO_KEY = ["", "", []]
_BOUND = ("domain", "module", "output")
Expression = str | list[Any]


class Frames:
    """Reads the requests of one case in their order, with what the units have answered before each."""

    def __init__(self) -> None:
        self.units: dict[str, list[int]] = {}
        self.counters: dict[str, str] = {}
        self.last: dict[str, tuple[str, str]] = {}
        self.permissions: dict[str, int] = {}
        self.bound: set[str] = set()
        self.keys: dict[str, bytes] = {}
        self.importers: set[str] = set()
        self.blocks: dict[tuple[str, bytes], int] = {}
        self.infos: dict[bytes, int] = {}

    # --- what was answered ------------------------------------------------------------------------------------------

    def hear(self, exchange: Exchange) -> None:
        """Take in what an answer tells: units, counters, domains, keys."""
        body = exchange.answer.body if exchange.answer is not None else None
        if not isinstance(body, dict):
            return
        if exchange.operation == _LIST:
            entries = [entry for kind in _KINDS for entry in _listed(body.get(kind))]
            for entry in entries:
                place = _LOCATION.fullmatch(str(entry.get("location")))
                if place is not None:
                    self.units.setdefault(str(entry.get("hsm_id")), [int(place[1]), int(place[2])])
            return
        counter = _octets(body.get("counter"))
        if len(counter) == 2 * _COUNTER:
            self.counters[hsm_of(exchange)] = counter
            self.last[hsm_of(exchange)] = (str(body.get("domain")), str(body.get("module")))
        attributes = body.get("attributes")
        if isinstance(attributes, dict) and isinstance(attributes.get("permissions"), int):
            self.permissions[hsm_of(exchange)] = attributes["permissions"]
        self.bound |= {value for name in _BOUND if (value := _octets(body.get(name)))}
        registers = body.get("registers")
        if isinstance(registers, dict):
            self.bound |= {value for value in registers.values() if isinstance(value, str)}
        output = _octets(body.get("output"))
        self.importers.add(hashlib.sha256(bytes.fromhex(output)).hexdigest())
        if forms.P_521 in bytes.fromhex(output):
            self.bound.add(output[-2 * forms.POINT_OCTETS :])

    # --- what was sent ----------------------------------------------------------------------------------------------

    def recipe(self, exchange: Exchange, place: int) -> dict[str, Any] | None:
        """Return how the body of a request is made anew, ``None`` where it is sent as it was.

        Raises :class:`ValueError`, with a sentence, where the record does not tell.
        """
        body = exchange.sent.body
        if exchange.operation == _LIST:
            said = exchange.answer.body if exchange.answer is not None else None
            listed = said if isinstance(said, dict) else {}
            entries = {kind: _listed(listed.get(kind)) for kind in _KINDS}
            named = ("hsm_id", "serial_number")
            return {
                "lists": {
                    kind: [[str(entry.get(name)) for name in named] for entry in own]
                    for kind, own in entries.items()
                }
            }
        if (
            exchange.operation != _SEND
            or not isinstance(body, dict)
            or not isinstance(body.get("request"), str)
        ):
            return None
        hsm, text = hsm_of(exchange), str(body["request"])
        if " wrapped key parts" in text and "administrators" not in body:
            raise ValueError("the record holds only the size of key parts that it sends")
        own = self.units.get(hsm)
        recipe: dict[str, Any] = {
            "hsm": hsm,
            "at": own,
            "text": text,
            "reads": _reads(exchange),
            "place": place,
        }
        if own is None:
            recipe["like"] = self._like(hsm)
        answer = exchange.answer.body if exchange.answer is not None else None
        said = answer if isinstance(answer, dict) else {}
        recipe["done"] = said.get("level") == "ok"
        recipe["said"] = {
            name: said[name] for name in (*_BOUND, "counter", "registers", "attributes") if name in said
        }
        if "administrators" in body:
            return {
                **recipe,
                "domain": "",
                "message": self._exported(hsm, body["administrators"]),
                "key": _NO_KEY,
            }
        message = _message(text, own)
        if own is None or message is None:
            return recipe
        domain, payload = message
        listed = body.get("parts", [])
        tokens = [part.get("part", "") for part in listed]
        return {
            **recipe,
            "domain": domain,
            "message": self._payload(payload, hsm, place, iter(listed)),
            "key": [body.get("key", ""), body.get("registers", {}).get("new", ""), tokens],
        }

    def _exported(self, hsm: str, signers: list[str]) -> Expression:
        """Return the import of the part of an export, which the record does not show, signed by these administrators."""
        domain, module = self.last.get(hsm, ("", ""))

        def message(data: Expression, infos: Expression) -> Expression:
            fields = [
                wire.word(wire.IMPORT_KEY).hex(),
                ["of", domain],
                ["of", module],
                ["counter", 1, _COUNTER],
            ]
            block = ["seq", *(["oct", one] for one in (*fields, data))]
            return ["admin", ["oct", wire.word(wire.FUNCTION_ADMIN).hex()], ["oct", ["index"]], block, infos]

        infos = ["cat", *(["sign", ski, len(ski) // 2, "ec", ""] for ski in signers)]
        return message(message(["exported"], infos), "")

    def _like(self, hsm: str) -> list[Any]:
        """Return which known id another one begins like, with how many signs, and its rest; the id alone where none."""
        shared = {known: len(_beginning(known, hsm)) for known in self.units}
        known = max(shared, key=lambda one: shared[one], default="")
        return [known, shared[known], hsm[shared[known] :]] if known and shared[known] > len(hsm) // 2 else []

    def _payload(self, payload: bytes, hsm: str, place: int, parts: Any) -> Expression:
        own = wire.word(self.units[hsm][1])
        try:
            members = wire.members_of(payload, (4,))
        except wire.WireError:
            return payload.hex()
        if wire.octets(*members) != payload:
            return payload.hex()
        function, domain, block, signers = members
        index: Expression = ["index"] if domain == own else domain.hex()
        head = [["oct", function.hex()], ["oct", index]]
        if function != wire.word(wire.FUNCTION_ADMIN):
            return ["seq", *head, ["oct", block.hex()], ["oct", signers.hex()]]
        told: Any = next(parts, {}) if _is_part(block) and not self._carries_parts(block) else None
        made = self._block(block, hsm, place, parts, told)
        return ["admin", *head, made, self._signers(signers, block, told)]

    @staticmethod
    def _carries_parts(block: bytes) -> bool:
        """Tell whether a block carries signed requests of key parts, rather than being that of one."""
        try:
            wire.without_parts(block)
        except wire.WireError:
            return False
        return True

    def _block(self, block: bytes, hsm: str, place: int, parts: Any, told: Any) -> Expression:
        try:
            members = wire.members_of(block, (5,))
        except wire.WireError:
            return block.hex()
        if wire.octets(*members) != block:
            short = forms.in_short_lengths(block)
            is_long = forms.in_long_lengths(block) == block
            return ["long", self._block(short, hsm, place, parts, told)] if is_long else block.hex()
        if (before := self.blocks.setdefault((hsm, block), place)) != place and members[3]:
            return ["again", before]
        command, domain, module, counter, data = members
        own = wire.word(self.units[hsm][1]) + bytes(4)
        return [
            "seq",
            ["oct", command.hex()],
            ["oct", ["cat", ["index"], bytes(4).hex()] if domain == own else self._of(domain)],
            ["oct", self._of(module)],
            ["oct", self._counter(counter, hsm)],
            ["oct", self._data(command, data, hsm, (parts, told))],
        ]

    def _of(self, value: bytes) -> Expression:
        return ["of", value.hex()] if value.hex() in self.bound else value.hex()

    def _counter(self, counter: bytes, hsm: str) -> Expression:
        last = self.counters.get(hsm)
        if not counter or last is None:
            return counter.hex()
        step = int.from_bytes(counter, "big") - int(last, 16)
        return ["counter", step, len(counter)] if abs(step) < _NEAR else counter.hex()

    def _data(self, command: bytes, data: bytes, hsm: str, of_parts: tuple[Any, Any]) -> Expression:
        parts, told = of_parts
        if command == wire.word(wire.ADD_ADMINISTRATOR) and (certificate := self._certificate(data)):
            return certificate
        if command == wire.word(wire.IMPORT_KEY):
            sealed = _identifier(data)
            if sealed:
                known = sealed if sealed in self.importers else ""
                more = told or {}
                return ["part", more.get("part", ""), more.get("zeros", [0, 0]), known]
            try:
                requests = [wire.tlv(node.tag, node.value) for node in wire.nodes(data)]
                return ["cat", *(self._payload(request, hsm, -1, parts) for request in requests)]
            except wire.WireError:
                return data.hex()
        if command == wire.word(wire.SET_ATTRIBUTES) and len(data) % wire.ATTRIBUTE_OCTETS == 0:
            return ["cat", *self._attributes(data, hsm)]
        pieces: list[Expression] = []
        rest = data.hex()
        long = sorted({*self.keys, *(value for value in self.bound if len(value) > 2 * _COUNTER)}, key=len)
        while rest:
            found = next((value for value in reversed(long) if _is_like(rest, value)), "")
            if found:
                like: Expression = ["ski", found, len(found) // 2] if found in self.keys else ["of", found]
                mask = _difference(rest[: len(found)], found)
                pieces.append(like if rest.startswith(found) else ["near", like, mask])
            else:
                pieces.append(rest[:2])
            rest = rest[len(found) or 2 :]
        return ["cat", *pieces]

    def _attributes(self, data: bytes, hsm: str) -> Iterator[Expression]:
        """Give each attribute that is set; permissions are changed from what the unit has told."""
        for start in range(0, len(data), wire.ATTRIBUTE_OCTETS):
            name, value = data[start : start + 4], data[start + 4 : start + 8]
            yield name.hex()
            is_changed = name == wire.word(_PERMISSIONS) and hsm in self.permissions
            yield (
                ["permissions", self.permissions[hsm], int.from_bytes(value, "big")]
                if is_changed
                else value.hex()
            )

    def _certificate(self, data: bytes) -> Expression:
        """Return a certificate as whose it is, ``""`` where it is none of ours."""
        try:
            (outer,) = wire.nodes(data)
            body, algorithm, _ = wire.nodes(outer.value)
            _, _, _, _, _, names, spki, extensions = wire.nodes(body.value)
            name = names.value[-forms.NAME_WIDTH :].decode("ascii").rstrip()
        except ValueError:
            return ""
        key, ski = wire.tlv(spki.tag, spki.value), extensions.value[-32:]
        encoded = wire.tlv(algorithm.tag, algorithm.value)
        if wire.tlv(body.tag, body.value) != forms.certificate_body(name, encoded, key, ski):
            return ""
        self.keys.setdefault(ski.hex(), key)
        return ["certificate", ski.hex(), name, "rsa" if forms.RSA in key else "ec"]

    def _signers(self, signers: bytes, block: bytes, told: Any) -> Expression:
        try:
            infos = list(wire.nodes(signers))
        except wire.WireError:
            return signers.hex()
        pieces: list[Expression] = []
        for node in infos:
            encoded = wire.tlv(node.tag, node.value)
            try:
                version, ski, digest, algorithm, signature = wire.nodes(node.value)
            except ValueError:
                return signers.hex()
            right = wire.sequence(
                *(wire.tlv(one.tag, one.value) for one in (version, ski, digest, algorithm, signature))
            )
            if encoded != right:
                return signers.hex()
            kind = "rsa" if forms.RSA in algorithm.value else "ec"
            name = next((key for key in self.keys if key.startswith(ski.value.hex())), ski.value.hex())
            other = self._other(name, kind, signature.value, block, told)
            if other == "78" and told is None and (maker := self._maker(signature.value, block)):
                other = f"!{maker}"
            pieces.append(["sign", name, len(ski.value), kind, other])
        return ["cat", *pieces]

    def _maker(self, signature: bytes, block: bytes) -> str:
        """Return the administrator who has made a signature in the name of another one, ``""`` where none has."""
        return next(
            (
                ski
                for ski, key in self.keys.items()
                if forms.RSA not in key and _verifies(key, signature, block)
            ),
            "",
        )

    def _other(self, ski: str, kind: str, signature: bytes, block: bytes, told: Any) -> str | None:
        """Return what was signed beside the block, in hexadecimal, ``None`` where no signature stands in its place."""
        if (
            told is not None
        ):  # the record has no encrypted part, so that no signature over one can be verified
            return "78" if told.get("forged") else ""
        key = self.keys.get(ski)
        if kind == "rsa":
            modulus, exponent = forms.rsa_numbers(key) if key else (0, 0)
            if modulus and pow(int.from_bytes(signature, "big"), exponent, modulus) == forms.x931_number(
                block
            ):
                return ""
            return "78"
        if not _is_signature(signature):
            return f"={signature.hex()}"
        if key is None or _verifies(key, signature, block):
            return ""
        if (short := _shortened(block)) != block and _verifies(key, signature, short):
            return "~"
        for (_, earlier), place in self.blocks.items():
            if place >= 0 and _verifies(key, signature, earlier):
                return f"@{place}"
        return "78"


def recipes(exchanges: Sequence[Exchange], groups: Sequence[int]) -> list[dict[str, Any] | None]:
    """Return for each request how its body is made anew; raise :class:`ValueError`, with a sentence, where that is not known.

    Requests of one group were sent before any of them was answered.
    """
    frames, made, unheard = Frames(), list[dict[str, Any] | None](), list[Exchange]()
    for place, exchange in enumerate(exchanges):
        if place and groups[place] != groups[place - 1]:
            for answered in unheard:
                frames.hear(answered)
            unheard.clear()
        made.append(frames.recipe(exchange, place))
        unheard.append(exchange)
    return made


REPRODUCTION = FramesOfSystem(recipes, "kms_conformance.adapters.hpcs_tke.resending:Resending")


def hsm_of(exchange: Exchange) -> str:
    """Return the unit that a request is sent to."""
    return exchange.sent.path.rpartition("/")[2]


def _is_like(text: str, value: str) -> bool:
    """Tell whether a text begins with a value, with one that differs in one octet, or is a long part of its beginning."""
    if len(text) < len(value):
        return len(text) >= _LIKE and value.startswith(text)
    pairs = zip(bytes.fromhex(text[: len(value)]), bytes.fromhex(value), strict=True)
    return sum(one != other for one, other in pairs) <= 1


def _difference(text: str, value: str) -> str:
    """Return the octets to add without carry to the beginning of a value so that it becomes a text."""
    octets = zip(bytes.fromhex(text), bytes.fromhex(value), strict=False)
    return bytes(one ^ other for one, other in octets).hex()


def _beginning(one: str, other: str) -> str:
    """Return what two texts have in common from their beginning on."""
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return "".join(pair[0] for pair in pairs)


def _listed(entries: Any) -> list[dict[str, Any]]:
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _octets(text: Any) -> str:
    """Return a text of hexadecimal digits, ``""`` for anything else."""
    return text if isinstance(text, str) and re.fullmatch(r"(?:[0-9a-f]{2})+", text) else ""


def _message(text: str, own: list[int] | None) -> tuple[str, bytes] | None:
    """Return the domain that a right frame names, ``""`` for the unit's own, and its message; ``None`` for any other string."""
    match = _STRING.fullmatch(text)
    if match is None or own is None or int(match[1]) != own[0]:
        return None
    raw = bytes.fromhex(match[2])
    domain = int.from_bytes(raw[12:16], "big")
    payload = raw[_HEADER:]
    if wire.htp_request(own[0], wire.Header(domain).encode(payload)) != text:
        return None
    return ("" if domain == own[1] else str(domain)), payload


def _reads(exchange: Exchange) -> str:
    """Return how the output of a command is read: by what the answer shows, else by what was asked."""
    body = exchange.answer.body if exchange.answer is not None else None
    shown = [name for name in ("attributes", "administrators", "registers", "output", "withheld")
             if isinstance(body, dict) and name in body]  # fmt: skip
    if shown:
        return {"output": "octets"}.get(shown[0], shown[0])
    by_step: dict[str, str] = {
        "query the attributes": "attributes",
        "query the administrators": "administrators",
        "query the registers": "registers",
        "add an administrator": "octets",
        "generate an importer key": "octets",
    }
    plain = exchange.step.partition(",")[0]
    return by_step.get(
        plain, "octets" if plain.startswith(("query", "call", "string", "header")) else "withheld"
    )


def _identifier(sealed: bytes) -> str:
    """Return the identifier of the importer key in a recipient info, ``""`` where it is none for an RSA key."""
    try:
        (outer,) = wire.nodes(sealed)
        version, ski, algorithm, _ = wire.nodes(outer.value)
    except ValueError:
        return ""
    is_info = version.value == b"\2" and ski.tag == forms.IDENTIFIER and forms.RSA in algorithm.value
    return ski.value.hex() if is_info else ""


def _is_part(block: bytes) -> bool:
    try:
        members = wire.members_of(block, (5,))
    except wire.WireError:
        return False
    return members[0] == wire.word(wire.IMPORT_KEY)


def _shortened(block: bytes) -> bytes:
    """Return a block in lengths of as few octets as can be, or the block itself where it is none."""
    try:
        return forms.in_short_lengths(block)
    except wire.WireError:
        return block


def _is_signature(octets: bytes) -> bool:
    try:
        (outer,) = wire.nodes(octets)
        first, second = wire.nodes(outer.value)
    except ValueError:
        return False
    return outer.tag == wire.SEQUENCE and first.tag == second.tag == _INTEGER and len(octets) > _HEADER


def _verifies(spki: bytes, signature: bytes, block: bytes) -> bool:
    try:
        key = load_der_public_key(spki)
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, block, ec.ECDSA(SHA512()))
            return True
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return False
