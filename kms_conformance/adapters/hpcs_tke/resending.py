"""The script's side of a reproduction: encodes the frames of :mod:`.recorded_frames` for other units, and reads what they answer.

A reproduction brings this module along, and whatever it imports; all of it needs Python alone. The administrators are its own,
made from a seed: for an instance that lives as long as the sequence from the name of this run, for any other one
from KMS_JOURNAL_KEY or KMS_API_KEY as the suite makes them, so that `kms-conformance sweep` can zeroize what is left.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from kms_conformance.adapters.hpcs_tke import forms, plain_keys, reading, wire

_KINDS = ("hsms", "source_hsms", "failover_hsms")
_LOCATION = re.compile(r"\[[^\]]*\]\.\[[^\]]*\]\.\[(\d{1,9})\]\.\[(\d{1,9})\]")
_READS: Mapping[str, reading.Contents] = {
    "attributes": reading.attributes,
    "administrators": reading.administrators,
    "registers": reading.registers,
    "octets": reading.octets,
    "withheld": reading.withheld,
}
_CHANGED = re.compile(r"[0-9a-f]{32}")
"""What control points look like, of which a promise may be reckoned."""
_POINTS = re.compile(r"(?:[0-9a-f]{2}){1,16}")
"""What control points look like where a unit tells them shortened."""
_OCTETS = re.compile(r"(?:[0-9a-f]{2})+")
_PART = 0x19
"""The tag of a key part in the output of an export."""
_SHORTEST_CERTIFICATE = 400
"""Hexadecimal digits that any certificate of an administrator has."""
_ZERO, _DRAWS = "00", 20_000
"""An octet that one of 256 patterns begins with, and how often a key is drawn for it."""
_SAME = ("domain", "module", "output")


class Resending:
    """Frames of one sequence; values of the record stand for those of this run, in hexadecimal digits."""

    def __init__(self, run: str, *, is_fresh: bool) -> None:
        self._seed = _seed(run, is_fresh=is_fresh)
        self._named: dict[str, str] = {}
        self._units: dict[str, tuple[int, int]] = {}
        self._last: dict[str, Mapping[str, Any]] = {}
        self._counters: dict[str, list[tuple[int, int]]] = {}
        self._permissions: dict[str, tuple[int, int]] = {}
        self._outputs: dict[str, tuple[str, str]] = {}
        self._points: dict[str, tuple[int, int]] = {}
        self._keys: dict[str, plain_keys.EcKey | plain_keys.RsaKey] = {}
        self._exported = ""
        self._blocks: dict[int, bytes] = {}
        self._signatures: dict[tuple[str, bytes], bytes] = {}
        """Signatures by whose they are and what they stand on."""
        self._installed: dict[str, dict[str, None]] = {}
        self._certificates: dict[str, str] = {}
        """Certificates by the recorded identifier of whose they are."""
        self._importers: dict[str, bytes] = {}
        self._nobody = plain_keys.importer_of_nobody(self._seed, "nobody")
        self.values: dict[str, str] = {}
        """What stands for recorded octets, and for tokens of key parts."""

    def unit(self, recipe: Mapping[str, Any], own: str) -> str:
        """Return the unit that stands for the one of the record: by its place in the list, or by what its id is like."""
        known, shared, rest = recipe.get("like") or (recipe["hsm"], None, "")
        return f"{self._named[known][:shared]}{rest}" if known in self._named else own

    # --- sending ----------------------------------------------------------------------------------------------------

    def body(self, recipe: Mapping[str, Any], hsm: str, place: int) -> dict[str, str]:
        """Return the body of a request to a unit of this run; raise :class:`ValueError` where it cannot be made."""
        if recipe["at"] is None:
            return {"request": recipe["text"]}
        if hsm not in self._units:
            raise ValueError("the list of units does not have the unit that it asks")
        module, index = self._units[hsm]
        if "message" not in recipe:
            return {"request": self._literal(recipe, module, index)}
        self._draw_parts(recipe["message"], recipe["key"])
        payload = self._encoded(recipe["message"], _Asked(hsm, recipe["hsm"], index, place))
        self._learn_key(recipe["key"])
        header = wire.Header(int(recipe["domain"] or index))
        return {"request": wire.htp_request(module, header.encode(payload))}

    @staticmethod
    def _literal(recipe: Mapping[str, Any], module: int, index: int) -> str:
        """Return a string that is malformed on purpose; what it says of the unit's place is of this run."""
        text, (was_module, was_index) = str(recipe["text"]), recipe["at"]
        if index != was_index:
            text = text.replace(f"{was_index:08X}", f"{index:08X}")
        return text.replace(f";{was_module};", f";{module};") if module != was_module else text

    def _encoded(self, expression: Any, asked: _Asked) -> bytes:
        if isinstance(expression, str):
            return bytes.fromhex(expression)
        kind, *parts = expression
        makers: dict[str, Callable[..., bytes]] = {
            "seq": lambda *inner: wire.sequence(*(self._encoded(one, asked) for one in inner)),
            "cat": lambda *inner: b"".join(self._encoded(one, asked) for one in inner),
            "oct": lambda inner: wire.tlv(wire.OCTET_STRING, self._encoded(inner, asked)),
            "admin": lambda *inner: self._admin(asked, *inner),
            "index": lambda: wire.word(asked.index),
            "long": lambda inner: forms.in_long_lengths(self._encoded(inner, asked)),
            "of": self._of,
            "near": lambda known, mask: bytes(
                one ^ other
                for one, other in zip(self._encoded(known, asked), bytes.fromhex(mask), strict=False)
            ),
            "counter": lambda step, width: self._counter(asked, step).to_bytes(width, "big"),
            "permissions": lambda was, wanted: self._permitted(asked, was, wanted),
            "again": lambda place: self._blocks[place],
            "certificate": lambda ski, name, of: self._certificate(asked, ski, name, of),
            "ski": lambda ski, size: self._key(ski, "", "ec").ski[:size],
            "sign": lambda *about: self._signed(asked, *about),
            "part": self._part,
            "exported": self._exported_parts,
        }
        return makers[kind](*parts)

    def _of(self, recorded: str) -> bytes:
        return bytes.fromhex(self.values.get(recorded, recorded))

    def _admin(self, asked: _Asked, function: Any, index: Any, block: Any, signers: Any) -> bytes:
        """Encode a message with its signatures, which are over its block."""
        inner = self._encoded(block, asked)
        if asked.place >= 0:
            self._blocks.setdefault(asked.place, inner)
        own = _Asked(asked.hsm, asked.recorded, asked.index, -1, inner)
        head = (self._encoded(function, asked), self._encoded(index, asked))
        ends = (wire.tlv(wire.OCTET_STRING, one) for one in (inner, self._encoded(signers, own)))
        return wire.sequence(*head, *ends)

    def _counter(self, asked: _Asked, step: int) -> int:
        heard = self._counters.get(asked.recorded)
        if not heard:
            raise ValueError("the unit has not told its counter")
        return (heard[-1][1] + step) % (1 << 128)

    def _permitted(self, asked: _Asked, was: int, wanted: int) -> bytes:
        """Encode permissions in which the same bits are changed as in the record."""
        _, now = self._permissions.get(asked.recorded, (was, was))
        return wire.word(_changed(was, wanted, now))

    def _key(self, ski: str, name: str, kind: str) -> plain_keys.EcKey | plain_keys.RsaKey:
        if ski not in self._keys:
            made = plain_keys.RsaKey if kind == "rsa" else plain_keys.EcKey
            self._keys[ski] = made(self._seed, name or f"somebody {ski[:8]}")
            self.values[ski] = self._keys[ski].ski.hex()
        return self._keys[ski]

    def _certificate(self, asked: _Asked, ski: str, name: str, kind: str) -> bytes:
        encoded = self._key(ski, name, kind).certificate(name)
        self._installed.setdefault(asked.hsm, {})[ski] = None
        self._certificates[ski] = encoded.hex()
        return encoded

    def _signed(self, asked: _Asked, ski: str, size: int, kind: str, other: str) -> bytes:
        key = self._key(ski, "", kind)
        if other.startswith("="):
            return key.signer_info(size, bytes.fromhex(other[1:]))
        if other.startswith("@"):
            signed = self._blocks[int(other[1:])]
            return key.signer_info(size, self._signatures.get((ski, signed)) or key.signature(signed))
        if other == "~":  # over shorter lengths than the block has
            return key.signer_info(size, key.signature(forms.in_short_lengths(asked.block)))
        if other.startswith("!"):  # in the name of this administrator, by another one
            return key.signer_info(size, self._key(other[1:], "", kind).signature(asked.block))
        signature = key.signature(asked.block + bytes.fromhex(other))
        if not other:
            self._signatures[ski, asked.block] = signature
        return key.signer_info(size, signature)

    def _part(self, token: str, zeros: list[int], importer: str) -> bytes:
        """Encode a key part for an importer key; one that has a token is the same wherever the token stands."""
        made = bytes.fromhex(self.values.setdefault(token, _drawn_part(zeros))) if token else b""
        made = made or secrets.token_bytes(forms.KEY_OCTETS)
        padding = bytes(octet or 1 for octet in secrets.token_bytes(512))
        return plain_keys.seal(made, self._importers.get(importer, self._nobody), padding)

    def _draw_parts(self, message: Any, key: list[Any]) -> None:
        """Draw the parts of a key whose verification pattern begins with zeros until this one's does, too."""
        _, pattern, tokens = key
        zeros = dict(_zeros_of(message))
        new = [token for token in tokens if token in zeros and token not in self.values]
        if (
            not pattern.startswith(_ZERO)
            or not new
            or not all(one in {*zeros, *self.values} for one in tokens)
        ):
            return
        for _ in range(_DRAWS):
            drawn = {token: _drawn_part(zeros[token]) for token in new}
            parts = (bytes.fromhex(drawn.get(one) or self.values[one]) for one in tokens)
            if forms.pattern_of(forms.join_parts(*parts)).hex().startswith(_ZERO):
                self.values |= drawn
                return

    def _exported_parts(self) -> bytes:
        """Return the key parts of the last export, as they came."""
        entries = wire.read_parameter_file(bytes.fromhex(self._exported))
        return b"".join(data for tag, _, data in entries if tag == _PART)

    # --- what is answered -------------------------------------------------------------------------------------------

    def read(self, recipe: Mapping[str, Any], document: Any) -> Any:
        """Return what a unit said, as a document that can be judged."""
        return (
            document if "lists" in recipe else reading.reading(_READS[recipe["reads"]], public=True)(document)
        )

    def hear(self, recipe: Mapping[str, Any], hsm: str, said: Any) -> None:
        """Take in an answer: what stood in the record stands for what stands here."""
        if not isinstance(said, dict):
            return
        if "lists" in recipe:
            self._list(recipe["lists"], said)
            return
        recorded, own = recipe["said"], recipe["hsm"]
        if "counter" in said and "counter" in recorded:
            both = int(recorded["counter"], 16), int(said["counter"], 16)
            self._counters.setdefault(own, []).append(both)
            self._last[hsm] = said
        if "attributes" in said and "attributes" in recorded:
            both = recorded["attributes"].get("permissions", 0), said["attributes"].get("permissions", 0)
            self._permissions[own] = both
        if "output" in said and "output" in recorded:
            self._outputs[own] = (recorded["output"], said["output"])
            if all(_POINTS.fullmatch(str(one)) for one in self._outputs[own]):
                self._points[own] = int(recorded["output"], 16), int(said["output"], 16)
        if own in self._points and recipe["done"]:
            was, now = self._points[own]
            block = self._blocks.get(recipe["place"], b"")
            self._points[own] = _with_points(was, block), _with_points(now, block)
        self._exported = said.get("withheld") or self._exported
        ours, theirs = said.get("registers") or {}, recorded.get("registers") or {}
        self._bind((recorded.get(name), said.get(name)) for name in _SAME)
        self._bind((theirs.get(name), ours.get(name)) for name in ("current", "new"))

    def _list(self, recorded: Mapping[str, list[list[str]]], said: Mapping[str, Any]) -> None:
        """Take in the list of units; a unit of the record is the one at its place here."""
        for kind in _KINDS:
            for entry in said.get(kind) or ():
                place = _LOCATION.fullmatch(str(entry.get("location")))
                if place is not None:
                    self._units[str(entry.get("hsm_id"))] = (int(place[1]), int(place[2]))
            for (hsm, serial), entry in zip(recorded[kind], said.get(kind) or (), strict=False):
                self._named.setdefault(hsm, str(entry.get("hsm_id")))
                serial_here = str(entry.get("serial_number"))
                self.values.setdefault(serial.encode().hex(), serial_here.encode().hex())

    def _bind(self, pairs: Iterable[tuple[Any, Any]]) -> None:
        for was, now in pairs:
            if isinstance(was, str) and isinstance(now, str) and _OCTETS.fullmatch(was):
                self.values.setdefault(was, now)
                if forms.P_521 in bytes.fromhex(was):
                    last = -2 * forms.POINT_OCTETS
                    self.values.setdefault(was[last:], now[last:])
                identifier = hashlib.sha256(bytes.fromhex(was)).hexdigest()
                self._importers.setdefault(identifier, bytes.fromhex(now))

    def expected(self, path: str, value: Any, recipe: Mapping[str, Any]) -> Any:
        """Return what a promise says of this run.

        Raises :class:`ValueError` where it was reckoned from an answer of the record that is another one here.
        """
        last, hsm = path.rpartition(".")[2], recipe.get("hsm", "")
        if isinstance(value, dict):
            return {name: self.expected(f"{path}.{name}", one, recipe) for name, one in value.items()}
        if isinstance(value, list):
            listed = [self.expected(path, one, recipe) for one in value]
            return sorted(listed) if last == "administrators" else listed
        if last == "permissions" and type(value) is int:
            was, now = self._permissions.get(hsm, (value, value))
            return _changed(was, value, now)
        if not isinstance(value, str):
            return value
        if last == "counter" and (heard := self._counters.get(hsm)):
            return f"{_reckoned(heard, int(value, 16)):032x}"
        plain = value.removeprefix("^")
        if last == "output" and plain not in self.values and (own := self._certificate_of(plain)):
            return own
        output = self._outputs.get(hsm, ("", ""))
        if (
            last == "output"
            and plain not in self.values
            and output[0] != output[1]
            and _CHANGED.fullmatch(plain)
        ):
            was, now = self._points.get(hsm, (-1, -1))
            if was != int(plain, 16):
                raise ValueError("what is expected was reckoned from another answer than the one here")
            plain = f"{now:032x}"
        return f"{value[: len(value) - len(plain)]}{self.values.get(plain, plain)}"

    def _certificate_of(self, recorded: str) -> str:
        """Return the certificate here of the administrator whose recorded one this is, ``""`` where it is nobody's."""
        is_certificate = recorded.startswith("30") and len(recorded) > _SHORTEST_CERTIFICATE
        return next(
            (own for ski, own in self._certificates.items() if is_certificate and ski in recorded), ""
        )

    def _learn_key(self, key: list[Any]) -> None:
        """Take in which key an import makes: its token, its recorded pattern, and the tokens of its parts."""
        token, pattern, tokens = key
        parts = [bytes.fromhex(self.values[one]) for one in tokens if one in self.values]
        if pattern and len(parts) == len(tokens):
            whole = forms.join_parts(*parts)
            if pattern.startswith(_ZERO) and not forms.pattern_of(whole).hex().startswith(_ZERO):
                raise ValueError("the verification pattern of the recorded key begins with zeros")
            self.values |= {pattern: forms.pattern_of(whole).hex(), token: whole.hex()}

    def zeroized(self) -> Iterator[tuple[str, dict[str, str]]]:
        """Yield unit and body of a command that zeroizes each unit in which administrators were installed."""
        for hsm, installed in self._installed.items():
            last, (module, index) = self._last.get(hsm), self._units[hsm]
            if last is None:
                continue
            told = (bytes.fromhex(last[name]) for name in ("domain", "module", "counter"))
            domain, serial, counter = told
            block = wire.admin_block(wire.ZEROIZE, domain, serial, wire.next_counter(counter))
            keys = [self._keys[ski] for ski in installed]
            infos = b"".join(key.signer_info(32, key.signature(block)) for key in keys)
            payload = wire.admin_request(index, block, infos)
            yield hsm, {"request": wire.htp_request(module, wire.Header(index).encode(payload))}


def _changed(was: int, wanted: int, now: int) -> int:
    """Return ``now`` with those bits changed that make ``wanted`` of ``was``."""
    return (now | wanted & ~was) & ~(was & ~wanted)


def _with_points(points: int, block: bytes) -> int:
    """Return control points after the command of a block."""
    try:
        command, _, _, _, data = wire.members_of(block, (5,))
    except wire.WireError:
        return points
    if command == wire.word(wire.ADD_CONTROL_POINTS):
        return points | int.from_bytes(data)
    return points & ~int.from_bytes(data) if command == wire.word(wire.REMOVE_CONTROL_POINTS) else points


def _reckoned(heard: list[tuple[int, int]], wanted: int) -> int:
    """Return what stands for a counter of the record: by the first one that it is, or that it is next to, else by the last."""
    for step in (0, 1):
        for was, now in heard:
            if was == wanted - step:
                return now + step
    return heard[-1][1] + wanted - heard[-1][0]


class _Asked:
    """The unit that is asked: its id here and in the record, its domain; the place of the request, and the block around."""

    def __init__(self, hsm: str, recorded: str, index: int, place: int, block: bytes = b"") -> None:
        self.hsm, self.recorded, self.index, self.place, self.block = hsm, recorded, index, place, block


def _seed(run: str, *, is_fresh: bool) -> bytes:
    secret = os.environ.get("KMS_JOURNAL_KEY") or os.environ.get("KMS_API_KEY")
    if is_fresh or not secret:
        return hashlib.sha256(f"administrators of {run}".encode()).digest()
    return hashlib.scrypt(secret.encode(), salt=b"kms-conformance tke", n=2**14, r=8, p=1, dklen=32)


def _drawn_part(zeros: list[int]) -> str:
    """Draw a key part, in hexadecimal, with so many zeros at its beginning and at its end, and none between."""
    middle = secrets.token_bytes(forms.KEY_OCTETS - sum(zeros))
    return (bytes(zeros[0]) + bytes(octet | 1 for octet in middle) + bytes(zeros[1])).hex()


def _zeros_of(expression: Any) -> Iterator[tuple[str, list[int]]]:
    """Yield the token of each key part of a message, and how many zeros it begins and ends with."""
    if isinstance(expression, list):
        if expression[:1] == ["part"]:
            yield expression[1], expression[2]
        for inner in expression[1:]:
            yield from _zeros_of(inner)
