"""Subjects of the law of effects: keys of each kind and in each state, with everything that a key can have, and another key."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from kms_conformance.adapters.key_protect.keys import Key
from kms_conformance.adapters.key_protect.laws.listed import made_object
from kms_conformance.adapters.key_protect.laws.operations import KeyProtectOperations
from kms_conformance.laws.snapshot import ObservedResource, PreparedCase

_DAY = 86_400
_HOUR = 3_600
_EXPIRY = 8 * _HOUR
_STATES = {"active": 1, "suspended": 2, "deactivated": 3, "destroyed": 5}
_DESCRIPTION = "rich in everything"
_TAGS = ["of the law", "effects"]
_IN_USE = "a key is rotated at most once an hour"
_EXPIRED = "a key is deactivated within an hour of its expirationDate"
_TOTALS_AND_LISTS = ("keys_total", "keys_everywhere_total", "key_rings", "instance_policies")


class CasePreparation:
    """Makes the things of a case of the law of effects."""

    def __init__(self, kms: KeyProtectOperations, subject: Mapping[str, Any]) -> None:
        """Take what the case asks for: ``kind``, ``state``, ``versions``, and more things by ``with``."""
        self.kms, self.subject = kms, subject
        self.more: list[str] = subject.get("with", [])
        self.is_wide = "instance" in self.more or kms.case.context.thorough
        """Whether things are looked at that hardly any operation has to do with; in a gate one case of each operation does."""
        self.target = kms.case.context.target
        self.prepared = PreparedCase()
        self.now = kms.case.now()

    def made(self) -> PreparedCase:
        """Make everything; the case is inconclusive when that fails."""
        kms, marks = self.kms, self.prepared.marks
        marks |= {
            "plaintext": kms.key_material(),
            "material": kms.key_material(),
            "material2": kms.key_material(),
            "name": kms.name("made"),
            "new_alias": kms.short_name("new"),
            "new_ring": kms.short_name("added"),
            "new_adapter": kms.short_name("adapter"),
            "new_certificate": kms.short_name("cert"),
            "new_crn": kms.crn() + "-new",
            "soon": self._later(30 * _DAY),
            # Beyond the seconds that 32 bits count.
            "far": self._later(20 * 365 * _DAY),
        }
        # The same moment as `soon`, as a clock two hours east of Greenwich shows it.
        marks["soon_east"] = self._later(30 * _DAY + 2 * _HOUR).replace("Z", "+02:00")
        if self._has("key_rings"):
            marks |= {"ring": kms.new_ring(), "ring2": kms.new_ring()}
        if "kind" in self.subject:
            self._subject(self.subject["kind"], self.subject.get("state", "active"))
        self._bystander()
        if "kmip" in self.more:
            self._adapter()
        if "import-token" in self.more:
            kms.create_import_token(expiration=900, maxAllowedRetrievals=50).needed()
            self.prepared.things.append(ObservedResource("import_token", "", {}))
        if "instance" in self.more:
            self.prepared.things += [
                ObservedResource(name, "", {}, seldom=True) for name in _TOTALS_AND_LISTS
            ]
        if self._has("kmip") and ("instance" in self.more or "kmip" in self.more):
            self.prepared.things.append(
                ObservedResource("kmip_adapters", "", {}, seldom="kmip" not in self.more)
            )
        return self.prepared

    def _later(self, seconds: float) -> str:
        return (self.now + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _has(self, capability: str) -> bool:
        return self.target.capabilities.get(capability) is not False

    # --- the key --------------------------------------------------------------------------------------------------

    def _subject(self, kind: str, state: str) -> None:
        kms, marks = self.kms, self.prepared.marks
        names = ("one", "two", "three") if self._has("aliases") else ()
        aliases = [kms.short_name(name) for name in names]
        life = _EXPIRY if state == "deactivated" else 300 * _DAY
        inside = kms.in_ring(marks["ring"]) if "ring" in marks else kms
        members: dict[str, Any] = {
            "description": _DESCRIPTION,
            "tags": _TAGS,
            "aliases": aliases or None,
            # A key behind a KMIP adapter does not expire.
            "expirationDate": None if "kmip" in self.more else self._later(life),
        }
        key = self._key(inside, kind, **members)
        marks |= {"key": key.id, "key_name": key.name}
        marks |= dict(zip(("alias", "alias2"), aliases, strict=False))
        wrapped = [] if key.extractable else self._versions(key, self.subject.get("versions", 2))
        self._policies(key, kind)
        if "registered" in self.more:
            marks["crn"] = kms.crn()
            use = {"description": "of the law of effects", "preventKeyDeletion": False}
            kms.as_identity("service").create_registration(key, marks["crn"], **use).needed(200, 201)
        self._bring_into(key, state)
        shown: dict[str, Any] = {
            name: value for name, value in members.items() if value is not None and name != "aliases"
        }
        shown |= {"name": key.name, "extractable": key.extractable, "state": _STATES[state]}
        if aliases and state != "destroyed":
            # Whether a destroyed key shows its aliases, no source says.
            shown |= {"aliases": aliases}
        self._watch(key, aliases, wrapped, shown, closed=state in {"suspended", "destroyed"})

    def _key(self, inside: KeyProtectOperations, kind: str, **members: Any) -> Key:
        makers = {
            "root-generated": inside.create_root_key,
            "root-imported": inside.import_root_key,
            "standard-generated": inside.create_standard_key,
            "standard-imported": inside.import_standard_key,
        }
        if kind in makers:
            key = makers[kind](**members)
        else:
            material = self.kms.key_material()
            token = self.kms.import_token()
            wrapped = inside.wrap_for_import(token, str(material))
            self.prepared.marks["parcel"] = inside.wrap_for_import(
                token, str(self.kms.key_material())
            ).members()
            made = inside.create_root_key(**members, **wrapped.members())
            key = Key(made.id, made.name, made.extractable, material)
        if key.material is not None:
            self.prepared.marks["own_material"] = key.material
        return key

    def _versions(self, key: Key, number: int) -> list[tuple[str, str]]:
        """Wrap with each version; without a clock that can be moved there is one rotation only."""
        kms = self.kms
        many = number if self.target.control_url else min(number, 2)
        wrapped: list[tuple[str, str]] = []
        for turn in range(many):
            if turn:
                if turn > 1:
                    kms.wait(_HOUR + 1, _IN_USE)
                kms.rotate(key, payload=kms.key_material() if key.material else None).needed()
            plaintext = kms.key_material()
            wrapped.append((plaintext, kms.wrap(key, plaintext).needed()["ciphertext"]))
        self.prepared.marks |= {"ciphertext": wrapped[0][1], "newest_ciphertext": wrapped[-1][1]}
        return wrapped

    def _policies(self, key: Key, kind: str) -> None:
        if "bare" in self.more:
            return
        if self._has("dual_auth"):
            # Switched on, it could not be switched off again.
            self.kms.put_policy(key, dualAuthDelete={"enabled": False}).needed()
        if kind == "root-generated":
            self.kms.put_policy(key, rotation={"interval_month": 11}).needed()

    def _bring_into(self, key: Key, state: str) -> None:
        if state == "suspended":
            self.kms.disable(key).needed()
        elif state == "deactivated":
            self.kms.wait(_EXPIRY + _HOUR + 60, _EXPIRED)
        elif state == "destroyed":
            self.kms.delete_key(key, force=True).needed()

    def _watch(
        self,
        key: Key,
        aliases: list[str],
        wrapped: list[tuple[str, str]],
        shown: Mapping[str, Any],
        *,
        closed: bool = False,
        bystander: bool = False,
    ) -> None:
        owners = frozenset({key.id, *aliases})
        marks = {"key": key.id}
        names = ["key", "key_versions", "key_policies", "key_registrations"]
        if not self._has("registrations"):
            names.remove("key_registrations")
        if key.extractable:
            names.remove("key_versions")
        rare = {"key_versions", "key_policies"} if bystander else set()
        if "registered" not in self.more:
            rare.add("key_registrations")
            if bystander or not self.is_wide:
                names = [name for name in names if name != "key_registrations"]
        if bystander and not self.is_wide:
            names = [name for name in names if name not in rare]
        self.prepared.things += [
            ObservedResource(
                name, key.id, marks, owners, bystander, name in rare, value=shown if name == "key" else None
            )
            for name in names
        ]
        self.prepared.things += [
            ObservedResource(
                "alias", alias, {"alias": alias}, owners, bystander=bystander, seldom=bystander or turn > 0
            )
            for turn, alias in enumerate(aliases if self.is_wide else aliases[-1:])
        ]
        for turn, (plaintext, ciphertext) in enumerate(wrapped, 1):
            body = {"ciphertext": ciphertext}
            name = f"{key.id}/{turn}"
            one = ObservedResource(
                "ciphertexts", name, marks, owners, bystander, bystander, body, plaintext, closed
            )
            self.prepared.things.append(one)

    # --- beside it ------------------------------------------------------------------------------------------------

    def _bystander(self) -> None:
        kms, plaintext = self.kms, self.kms.key_material()
        aliases = [kms.short_name("beside")] if self._has("aliases") else []
        members: dict[str, Any] = {"description": _DESCRIPTION, "tags": _TAGS}
        alike = {**members, "aliases": aliases or None}
        # It is as like the key as another one may be: neither a description nor the material says which key is meant.
        own = self.prepared.marks.get("own_material") if self._is_root() else None
        other = kms.import_root_key(own, **alike) if own else kms.create_root_key(**alike)
        wrapped: list[tuple[str, str]] = []
        if self.is_wide or own:
            wrapped = [(plaintext, kms.wrap(other, plaintext).needed()["ciphertext"])]
        if self.is_wide and self._has("dual_auth"):
            kms.put_policy(other, dualAuthDelete={"enabled": False}).needed()
        self.prepared.marks |= {"other": other.id}
        self.prepared.marks |= dict(zip(("other_alias",), aliases, strict=False))
        shown = aliases if self.is_wide else []
        self._watch(other, shown, wrapped, {**members, "name": other.name, "state": 1}, bystander=True)

    def _is_root(self) -> bool:
        return str(self.subject.get("kind", "")).startswith("root")

    def _adapter(self) -> None:
        kms, marks = self.kms, self.prepared.marks
        for turn, name in enumerate(("adapter", "adapter2")):
            marks[name] = kms.new_adapter(marks["key"] if turn == 0 else marks["other"])
            certificate = kms.short_name("held")
            kms.add_certificate(marks[name], certificate, kms.client_certificate()).needed()
            marks[f"{name}_certificate"] = certificate
            shown = str(kms.get_adapter(marks[name]).needed()["resources.0.id"])
            marks[f"{name}_id"] = shown
            owners = frozenset({marks[name], shown})
            self.prepared.things.append(
                ObservedResource(
                    "kmip_certificates", shown, {"adapter": marks[name]}, owners, bystander=turn == 1
                )
            )
            if self.target.control_url:
                if turn == 0:
                    marks["object"] = made_object(kms, marks[name])
                self.prepared.things.append(
                    ObservedResource(
                        "kmip_objects", shown, {"adapter": marks[name]}, owners, bystander=turn == 1
                    )
                )
        marks["pem"] = kms.client_certificate()
