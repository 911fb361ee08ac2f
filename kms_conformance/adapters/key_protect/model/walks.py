"""Random requests for a walk: what to ask next, given a state of the model and what the walker has seen.

Pure but for the random source that is passed in; the same source and the same state give the same request, so that a
walk can be repeated and shortened. Most requests are good ones; some break a rule on purpose.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from kms_conformance.adapters.key_protect.model.bodies import KIND
from kms_conformance.adapters.key_protect.model.facts import date_of
from kms_conformance.adapters.key_protect.model.operation import (
    APPROVER,
    MANAGER,
    OUTSIDER,
    PURGER,
    READER,
    SERVICE,
    Answer,
    Ciphertext,
    Operation,
    Packing,
)
from kms_conformance.adapters.key_protect.model.state import DESTROYED, Instance, Key

WAITS: tuple[tuple[float, int], ...] = (
    (31, 60),
    (3700, 30),
    (4 * 3600 + 60, 10),
    (700, 10),
    (6 * 86400, 2),
    (8 * 86400, 2),
    (31 * 86400, 1),
    (92 * 86400, 1),
)
"""Seconds to wait, and how often."""
_ALIASES = ("alpha", "beta", "Beta", "gamma_1", "delta-2", "epsilon", "zeta", "eta")
_RINGS = ("ring-a", "ring-B", "ring-b")
_NAMES = ("first key", "second key", "Key three", "alpha", "notes")
_CRNS = tuple(
    f"crn:v1:bluemix:public:cloud-object-storage:global:a/{'0123456789abcdef' * 2}:7f1d1c4e-0000-4000-8000-00000000000{n}:bucket:b{n}"
    for n in range(3)
)
_NOBODY = "00000000-0000-4000-8000-000000000000"
_SORTS = ("id", "-id", "creationDate", "-creationDate", "state,name", "state", "-extractable", "colour")
_MOST_KEYS = 7


@dataclass(frozen=True, slots=True)
class Token:
    """What a walker keeps of an import token that it retrieved."""

    serial: int
    payload: str
    nonce: str


@dataclass(frozen=True, slots=True)
class Walker:
    """What a walker remembers beside the state: ciphertexts, tokens, and things to use."""

    ciphertexts: tuple[tuple[str, Ciphertext], ...] = ()
    tokens: tuple[Token, ...] = ()
    certificates: tuple[str, ...] = ()
    pack: Callable[[str, Token, Token, bool], Mapping[str, str]] | None = field(default=None, compare=False)

    def saw(self, operation: Operation, state: Instance, answer: Answer) -> Walker:
        """Return what the walker knows after an answer: a new ciphertext, a retrieved token."""
        body = answer.body
        if answer.refused or not isinstance(body, dict):
            return self
        if operation.name == "getImportToken" and state.token is not None:
            token = Token(state.token.serial, str(body.get("payload")), str(body.get("nonce")))
            return replace(
                self, tokens=(*(one for one in self.tokens if one.serial != token.serial), token)[-3:]
            )
        found = _made(operation, state, body)
        return self if found is None else replace(self, ciphertexts=(*self.ciphertexts, found)[-12:])


def _made(operation: Operation, state: Instance, body: dict[str, Any]) -> tuple[str, Ciphertext] | None:
    text = body.get("ciphertext")
    if not isinstance(text, str):
        return None
    asked = operation.body if isinstance(operation.body, dict) else {}
    known = operation.ciphertext
    named = operation.path["id"]
    key = next((one for one in state.keys if named == one.id or named in one.aliases), None)
    if key is None:
        return None
    version = body.get("rewrappedKeyVersion") or body.get("keyVersion") or {}
    plaintext = known.plaintext if known else asked.get("plaintext") or body.get("plaintext")
    aad = tuple(asked.get("aad") or ())
    return text, Ciphertext(key.id, str(version.get("id")), str(plaintext), aad)


@dataclass(frozen=True, slots=True)
class _Dice:
    """The random source with the state and the moment: what builders choose from."""

    random: Random
    state: Instance
    walker: Walker
    now: float

    def chance(self, share: float) -> bool:
        """Whether something of a share of all cases happens."""
        return self.random.random() < share

    def one(self, options: Any) -> Any:
        """Return one of some options."""
        return self.random.choice(list(options))

    def key(self, *, wanted: Callable[[Key], bool] | None = None) -> Key | None:
        """Return a key of the state, mostly one that is wanted and mostly one that is not deleted."""
        fitting = [key for key in self.state.keys if (wanted or _living)(key)]
        pool = fitting if fitting and self.chance(0.85) else list(self.state.keys)
        return self.one(pool) if pool else None

    def path(self, key: Key | None) -> str:
        """Return how a key is named: by id, by one of its aliases, or not at all."""
        if key is None or self.chance(0.02):
            return self.one((_NOBODY, self.one(_ALIASES), *sorted(self.state.gone)))
        return self.one(sorted(key.aliases)) if key.aliases and self.chance(0.3) else key.id

    def ring(self, key: Key | None) -> str | None:
        """Return a ring header: mostly none, sometimes the key's, sometimes another."""
        if self.chance(0.8):
            return None
        return key.ring if key is not None and self.chance(0.7) else self.one(("default", *_RINGS))

    def bytes(self, length: int) -> str:
        """Return base64 of random bytes."""
        return base64.b64encode(self.random.randbytes(length)).decode()


def _living(key: Key) -> bool:
    return key.state != DESTROYED


def waited(random: Random) -> float:
    """Return how many seconds to wait."""
    seconds, weights = zip(*WAITS, strict=True)
    return float(random.choices(seconds, weights)[0])


def choose(name: str, random: Random, state: Instance, walker: Walker, now: float) -> Operation | None:
    """Return a request of an operation; nothing where the state has nothing to ask it of."""
    dice = _Dice(random, state, walker, now)
    operation = _BUILDERS[name](dice)
    if operation is None:
        return None
    if name not in _CALLERS and random.random() < 0.04:  # noqa: PLR2004 - a few of all
        operation = replace(operation, caller=random.choice((READER, OUTSIDER, APPROVER, PURGER, SERVICE)))
    return replace(operation, caller=_CALLERS[name](dice)) if name in _CALLERS else operation


def pick(random: Random) -> str:
    """Return an operation's name, the weighty ones more often."""
    names = list(WEIGHTS)
    return random.choices(names, [WEIGHTS[name] for name in names])[0]


def _collection(kind: str, *resources: Mapping[str, Any], total: int | None = None) -> dict[str, Any]:
    count = len(resources) if total is None else total
    return {
        "metadata": {"collectionType": KIND + kind, "collectionTotal": count},
        "resources": [dict(resource) for resource in resources],
    }


def _on_key(
    name: str,
    body: Callable[[_Dice, Key | None], Any] | None = None,
    wanted: Callable[[Key], bool] | None = None,
) -> Callable[[_Dice], Operation | None]:
    def build(dice: _Dice) -> Operation | None:
        if wanted is not None and not any(map(wanted, dice.state.keys)) and dice.chance(0.8):
            return None  # what nothing fits is asked for now and then only
        key = dice.key(wanted=wanted)
        return Operation(
            name, path={"id": dice.path(key)}, ring=dice.ring(key), body=body(dice, key) if body else None
        )

    return build


def _new_key(dice: _Dice) -> dict[str, Any]:
    resource: dict[str, Any] = {
        "type": f"{KIND}key+json",
        "name": dice.one(_NAMES),
        "extractable": dice.chance(0.2),
    }
    if dice.chance(0.5):
        resource["description"] = dice.one(("what it is for", "another text"))
    if dice.chance(0.3):
        resource["tags"] = dice.one((["red"], ["red", "a b"]))
    if dice.chance(0.4):
        resource["aliases"] = sorted(dice.random.sample(_ALIASES, dice.one((1, 1, 2))))
    if dice.chance(0.2):
        resource["expirationDate"] = date_of(dice.now + dice.one((3600, 7200, 86400 * 10, 60)))
    if dice.chance(0.4):
        resource["payload"] = dice.bytes(dice.one((16, 24, 32)))
    if dice.chance(0.06):
        _spoil(dice, resource)
    return resource


def _spoil(dice: _Dice, resource: dict[str, Any]) -> None:
    wrong = {
        "name": dice.one(("x", "y" * 91, None)),
        "description": "d",
        "payload": dice.one(("not base64!", dice.bytes(17))),
        "expirationDate": date_of(dice.now - 3600),
        "tags": ["a<b"],
        "aliases": dice.one((["keys"], [_NOBODY], ["a"], list(_ALIASES[:6]))),
        "iv": dice.bytes(12),
    }
    name = dice.one(sorted(wrong))
    if name == "payload" and resource["extractable"]:
        resource["payload"] = "not base64!"
    elif name == "iv":
        resource["payload"] = dice.bytes(32)
        resource["iv"] = wrong["iv"]
    else:
        resource[name] = wrong[name]


def _create(dice: _Dice) -> Operation | None:
    if len(dice.state.keys) >= _MOST_KEYS:
        return None
    resource = _new_key(dice)
    packing = _packed(dice, resource) if dice.chance(0.3) else None
    resources = (resource, resource) if dice.chance(0.02) else (resource,)
    if dice.chance(0.03):
        return Operation("createKey", body=_broken_collection(dice, resource))
    return Operation(
        "createKey",
        ring=None if dice.chance(0.7) else dice.one(("default", *_RINGS)),
        prefer=dice.one((None, None, "return=minimal", "return=representation")),
        body=_collection("key+json", *resources, total=1),
        packing=packing,
    )


def _broken_collection(dice: _Dice, resource: dict[str, Any]) -> Any:
    good = _collection("key+json", resource)
    return dice.one(
        (
            None,
            {**good, "metadata": {}},
            {"resources": good["resources"]},
            {"metadata": good["metadata"]},
            {**good, "resources": []},
            {**good, "resources": [{}]},
            _collection("policy+json", resource),
        )
    )


def _packed(dice: _Dice, resource: dict[str, Any]) -> Packing | None:
    """Put material into a resource that is packed for an import token, mostly the present one."""
    tokens, pack = dice.walker.tokens, dice.walker.pack
    if not tokens or pack is None:
        return None
    if resource.get("extractable"):
        return None
    key_of, nonce_of = (tokens[-1], tokens[-1]) if dice.chance(0.8) else (dice.one(tokens), dice.one(tokens))
    material, opens = dice.bytes(dice.one((16, 32))), dice.chance(0.9)
    resource.update(pack(material, key_of, nonce_of, opens))
    return Packing(material, key_of.serial, nonce_of.serial, opens)


def _create_with_overrides(dice: _Dice) -> Operation | None:
    if len(dice.state.keys) >= _MOST_KEYS:
        return None
    resource = _new_key(dice)
    if dice.chance(0.5):
        resource["rotation"] = {"enabled": dice.chance(0.8), "interval_month": dice.one((1, 3, 12, 12, 13))}
    if dice.chance(0.3):
        resource["dualAuthDelete"] = {"enabled": dice.chance(0.6)}
    return Operation("createKeyWithPoliciesOverrides", body=_collection("key+json", resource))


def _list_query(dice: _Dice) -> dict[str, str]:
    query: dict[str, str] = {}
    if dice.chance(0.4):
        query["state"] = dice.one(("1", "2", "5", "1,2", "0,1,2,3,5", "3", "7"))
    if dice.chance(0.2):
        query["extractable"] = dice.one(("true", "false", "maybe"))
    if dice.chance(0.2):
        query["filter"] = dice.one(
            (
                "state=1,2",
                "extractable=false",
                "state=5 extractable=true",
                "expirationDate=none",
                "deletionDate=none",
                f'creationDate=lt:"{date_of(dice.now - 40)}"',
                f'creationDate=gte:"{date_of(dice.now - 3600)}"',
                "colour=red",
                "state=",
            )
        )
    return query


def _head(dice: _Dice) -> Operation:
    return Operation("getKeyCollectionMetadata", query=_list_query(dice), ring=dice.ring(dice.key()))


def _list(dice: _Dice) -> Operation:
    query = _list_query(dice)
    if dice.chance(0.3):
        query["search"] = dice.one(
            (
                "key",
                "KEY",
                "alpha",
                "not:key",
                "exact:alpha",
                "alias:beta",
                "name:alpha",
                "escape:not:x",
                "exact:notes",
            )
        )
    if dice.chance(0.3):
        query["sort"] = dice.one(_SORTS)
    query |= _page(dice, 5001)
    return Operation("getKeys", query=query, ring=dice.ring(dice.key()))


def _page(dice: _Dice, beyond: int) -> dict[str, str]:
    query: dict[str, str] = {}
    if dice.chance(0.3):
        query["limit"] = dice.one(("1", "2", "3", "3", "0", str(beyond), "x", "-1"))
    if dice.chance(0.3):
        query["offset"] = dice.one(("0", "1", "2", "100", "-1"))
    return query


def _total(dice: _Dice) -> dict[str, str]:
    return {"totalCount": dice.one(("true", "true", "false"))} if dice.chance(0.4) else {}


def _delete_key(dice: _Dice) -> Operation:
    key = dice.key(wanted=lambda one: one.state != DESTROYED)
    query = {"force": dice.one(("true", "true", "false"))} if dice.chance(0.4) else {}
    return Operation(
        "deleteKey",
        path={"id": dice.path(key)},
        query=query,
        ring=dice.ring(key),
        prefer=dice.one((None, None, "return=minimal", "return=representation")),
    )


def _dead(key: Key) -> bool:
    return key.state == DESTROYED


def _restore(dice: _Dice) -> Operation | None:
    if not any(map(_dead, dice.state.keys)) and dice.chance(0.8):
        return None
    key = dice.key(wanted=_dead)
    body = None
    if key is not None and dice.chance(0.5):
        body = _collection(
            "key+json", {"payload": key.material if key.material and dice.chance(0.8) else dice.bytes(32)}
        )
    return Operation("restoreKey", path={"id": dice.path(key)}, ring=dice.ring(key), body=body)


def _wrap_body(dice: _Dice, _: Key | None) -> Any:
    body: dict[str, Any] = {}
    if dice.chance(0.6):
        body["plaintext"] = dice.one((dice.bytes(18), dice.bytes(32), dice.bytes(35)))
    if dice.chance(0.3):
        body["aad"] = dice.one((["a"], ["a", "b"], []))
    if dice.chance(0.06):
        body = dice.one(({"plaintext": "no!base64"}, {"aad": ["x" * 256]}, {"aad": "a"}))
    return body if body or dice.chance(0.5) else None


def _open(name: str) -> Callable[[_Dice], Operation | None]:
    def build(dice: _Dice) -> Operation | None:
        if not dice.walker.ciphertexts:
            return None
        text, known = dice.one(dice.walker.ciphertexts)
        key = next((one for one in dice.state.keys if one.id == known.key), None)
        if dice.chance(0.1):
            key = dice.key()
        aad = list(known.aad)
        if dice.chance(0.06):
            aad = dice.one((["z"], [*aad, "z"], list(reversed(aad)), []))
        body: Any = {"ciphertext": text, **({"aad": aad} if aad else {})}
        if dice.chance(0.02):
            return Operation(
                name, path={"id": dice.path(key)}, body=dice.one((None, {}, {"ciphertext": "no!"}))
            )
        return Operation(name, path={"id": dice.path(key)}, ring=dice.ring(key), body=body, ciphertext=known)

    return build


def _rotate(dice: _Dice) -> Operation:
    key = dice.key(wanted=lambda one: not one.standard)
    body: dict[str, Any] | None = None
    packing = None
    imported = key is not None and key.imported
    if imported != dice.chance(0.06):
        body = {}
        packing = _packed(dice, body) if dice.chance(0.3) else None
        if packing is None:
            body = {"payload": dice.bytes(dice.one((16, 24, 32, 32, 32, 17)))}
    return Operation(
        "rotateKey",
        path={"id": dice.path(key)},
        ring=dice.ring(key),
        prefer=dice.one((None, "return=representation")),
        body=body,
        packing=packing,
    )


def _versions(dice: _Dice) -> Operation:
    key = dice.key(wanted=lambda one: not one.standard)
    query = {**_page(dice, 5001), **_total(dice)}
    if dice.chance(0.4):
        query["allKeyStates"] = "true"
    return Operation("getKeyVersions", path={"id": dice.path(key)}, query=query, ring=dice.ring(key))


def _policy_body(dice: _Dice, key: Key | None) -> Any:
    rotation: dict[str, Any] = {}
    if dice.chance(0.8):
        rotation["interval_month"] = dice.one((1, 6, 12, 12, 12, 0, 13))
    if dice.chance(0.5) or not rotation:
        rotation["enabled"] = dice.chance(0.6)
    dual = {"enabled": dice.chance(0.5)}
    kind = f"{KIND}policy+json"
    if key is not None and key.dual is not None and key.dual.enabled and dice.chance(0.7):
        return _collection("policy+json", {"type": kind, "rotation": rotation})
    return dice.one(
        (
            _collection("policy+json", {"type": kind, "rotation": rotation}),
            _collection("policy+json", {"type": kind, "dualAuthDelete": dual}),
            _collection("policy+json", {"type": kind, "rotation": rotation, "dualAuthDelete": dual}),
            _collection(
                "policy+json", {"type": kind, "rotation": rotation}, {"type": kind, "dualAuthDelete": dual}
            ),
        )
    )


def _put_policy(dice: _Dice) -> Operation:
    key = dice.key()
    body = _policy_body(dice, key)
    resources = body["resources"]
    query: dict[str, str] = {}
    named = [kind for kind in ("rotation", "dualAuthDelete") if kind in resources[0]]
    if len(resources) == 1 and len(named) == 1 and dice.chance(0.5):
        query["policy"] = named[0] if dice.chance(0.9) else "rotation"
    return Operation("putPolicy", path={"id": dice.path(key)}, query=query, body=body, ring=dice.ring(key))


def _policy_query(*kinds: str) -> Callable[[_Dice], dict[str, str]]:
    return lambda dice: {"policy": dice.one(kinds)} if dice.chance(0.5) else {}


def _get_policy(dice: _Dice) -> Operation:
    query = _policy_query("rotation", "dualAuthDelete")(dice)
    return Operation("getPolicy", path={"id": dice.path(dice.key())}, query=query)


_INSTANCE: Mapping[str, Callable[[_Dice], dict[str, Any] | None]] = {
    "dualAuthDelete": lambda _: None,
    "metrics": lambda _: None,
    "rotation": lambda dice: {"interval_month": dice.one((1, 6, 12, 13))},
    "allowedNetwork": lambda _: {"allowed_network": "public-and-private"},
    "keyCreateImportAccess": lambda dice: {
        name: dice.chance(0.3 if name == "enforce_token" else 0.8)
        for name in dice.random.sample(
            (
                "create_root_key",
                "create_standard_key",
                "import_root_key",
                "import_standard_key",
                "enforce_token",
            ),
            3,
        )
    },
}


def _instance_policy(dice: _Dice, kind: str) -> dict[str, Any]:
    # Mostly off again: the policies of an instance get in the way of everything else.
    enabled = dice.chance(0.4)
    data: dict[str, Any] = {"enabled": enabled}
    attributes = _INSTANCE[kind](dice)
    if enabled and attributes is not None:
        data["attributes"] = attributes
    if dice.chance(0.03):
        data |= dice.one(({"attributes": {"strange": 1}}, {"extra": 1}, {"enabled": "yes"}))
    resource: dict[str, Any] = {"policy_type": kind, "policy_data": data}
    return resource | {"extra_field": 1} if dice.chance(0.02) else resource


def _put_instance_policy(dice: _Dice) -> Operation:
    kind = dice.one(_INSTANCE)
    resources = [_instance_policy(dice, kind)]
    if dice.chance(0.2):
        resources.append(_instance_policy(dice, dice.one(_INSTANCE)))
    query = {"policy": kind if dice.chance(0.9) else "metrics"} if dice.chance(0.6) else {}
    total = None if dice.chance(0.95) else 3
    return Operation(
        "putInstancePolicy", query=query, body=_collection("policy+json", *resources, total=total)
    )


def _get_instance_policy(dice: _Dice) -> Operation:
    return Operation("getInstancePolicy", query=_policy_query(*_INSTANCE)(dice))


def _post_token(dice: _Dice) -> Operation:
    body = dice.one(
        (
            None,
            {},
            {"expiration": 300},
            {"expiration": 86400, "maxAllowedRetrievals": 3},
            {"maxAllowedRetrievals": 2},
        )
    )
    if dice.chance(0.05):
        body = dice.one(({"expiration": 299}, {"expiration": 86401}, {"maxAllowedRetrievals": 501}))
    return Operation("postImportToken", body=body)


def _alias(name: str) -> Callable[[_Dice], Operation | None]:
    def build(dice: _Dice) -> Operation:
        key = dice.key(wanted=(lambda one: bool(one.aliases)) if name == "deleteKeyAlias" else None)
        alias = dice.one(_ALIASES) if dice.chance(0.95) else dice.one(("keys", _NOBODY, "a"))
        if name == "deleteKeyAlias" and key is not None and key.aliases and dice.chance(0.8):
            alias = dice.one(sorted(key.aliases))
        return Operation(name, path={"id": dice.path(key), "alias": alias}, ring=dice.ring(key))

    return build


def _ring_path(dice: _Dice) -> dict[str, str]:
    return {"key_ring_id": dice.one(_RINGS) if dice.chance(0.95) else "default"}


def _patch_body(dice: _Dice, _: Key | None) -> Any:
    return (
        {"keyRingID": dice.one(("default", *_RINGS))}
        if dice.chance(0.95)
        else dice.one(({}, None, {"keyRingID": 1}))
    )


def _registration_query(dice: _Dice) -> dict[str, str]:
    query = {**_page(dice, 5001), **_total(dice)}
    if dice.chance(0.2):
        query["preventKeyDeletion"] = dice.one(("true", "false"))
    if dice.chance(0.2):
        query["urlEncodedResourceCRNQuery"] = dice.one((_CRNS[0], f"{_CRNS[1][:-3]}*"))
    return query


def _registration(name: str) -> Callable[[_Dice], Operation | None]:
    def build(dice: _Dice) -> Operation | None:
        if (
            name != "createRegistration"
            and not any(key.registrations for key in dice.state.keys)
            and dice.chance(0.8)
        ):
            return None
        key = dice.key(wanted=lambda one: not one.standard and one.state == 1)
        crn = dice.one(_CRNS)
        if name != "createRegistration" and key is not None and key.registrations and dice.chance(0.8):
            crn = dice.one(key.registrations).crn
        resource: dict[str, Any] = {"preventKeyDeletion": dice.chance(0.3)}
        if dice.chance(0.5):
            resource["description"] = dice.one(("a bucket", "another bucket"))
        if dice.chance(0.2):
            resource["registrationMetadata"] = "for the service"
        if dice.chance(0.3) and key is not None and key.versions and key.newest.id:
            resource["keyVersionId"] = dice.one([one.id for one in key.versions if one.id])
        if name == "updateRegistration" and dice.chance(0.5):
            del resource["preventKeyDeletion"]
            resource.setdefault("description", "told anew")
        body = None if name == "deleteRegistration" else _collection("registration_input+json", resource)
        return Operation(name, path={"id": dice.path(key), "resource_crn": crn}, body=body)

    return build


def _with_adapter(build: Callable[[_Dice], Operation | None]) -> Callable[[_Dice], Operation | None]:
    return lambda dice: build(dice) if dice.state.adapters or dice.chance(0.1) else None


def _adapter_path(dice: _Dice) -> dict[str, str]:
    if not dice.state.adapters or dice.chance(0.05):
        return {"adapter_id": dice.one((_NOBODY, "nothing"))}
    adapter = dice.one(dice.state.adapters)
    return {"adapter_id": dice.one((adapter.id, adapter.name))}


def _create_adapter(dice: _Dice) -> Operation:
    key = dice.key(wanted=lambda one: not one.standard and one.state == 1)
    resource: dict[str, Any] = {
        "profile": "native_1.0",
        "profile_data": {"crk_id": key.id if key is not None and dice.chance(0.95) else _NOBODY},
    }
    if dice.chance(0.6):
        resource["name"] = dice.one(("first-adapter", "second_adapter", "third"))
    if dice.chance(0.3):
        resource["description"] = "an adapter"
    if dice.chance(0.05):
        resource |= dice.one(({"profile": "native_9"}, {"name": "a b"}, {"description": "x" * 241}))
    query = {"allowExpiringKey": "true"} if dice.chance(0.3) else {}
    return Operation("createKmipAdapter", query=query, body=_collection("kmip_adapter+json", resource))


def _add_certificate(dice: _Dice) -> Operation | None:
    if not dice.walker.certificates:
        return None
    resource: dict[str, Any] = {"certificate": dice.one(dice.walker.certificates)}
    if dice.chance(0.6):
        resource["name"] = dice.one(("cert-1", "cert-2", "cert-3"))
    if dice.chance(0.05):
        resource["certificate"] = "no certificate"
    body = _collection("kmip_client_certificate+json", resource)
    return Operation("addKmipClientCertificate", path=_adapter_path(dice), body=body)


def _certificate(name: str) -> Callable[[_Dice], Operation | None]:
    def build(dice: _Dice) -> Operation:
        path = _adapter_path(dice)
        every = [(adapter, one) for adapter in dice.state.adapters for one in adapter.certificates]
        if not every:
            return Operation(name, path={**path, "cert_id": _NOBODY})
        adapter, one = dice.one(every)
        if dice.chance(0.8):
            path = {"adapter_id": adapter.id}
        return Operation(name, path={**path, "cert_id": dice.one((one.id, one.name))})

    return build


def _object(name: str) -> Callable[[_Dice], Operation | None]:
    def build(dice: _Dice) -> Operation:
        every = [(adapter, one) for adapter in dice.state.adapters for one in adapter.objects]
        query = {"force": "true"} if name == "deleteKmipObject" and dice.chance(0.6) else {}
        if not every:
            return Operation(name, path={**_adapter_path(dice), "object_id": _NOBODY}, query=query)
        adapter, one = dice.one(every)
        path = {"adapter_id": adapter.id} if dice.chance(0.8) else _adapter_path(dice)
        return Operation(name, path={**path, "object_id": one.id}, query=query)

    return build


def _objects(dice: _Dice) -> Operation:
    query = {**_page(dice, 5001), **_total(dice)}
    if dice.chance(0.3):
        query["state"] = dice.one(("2", "1,2,3,4", "1,2,3,4,5,6", "7"))
    return Operation("getKmipObjects", path=_adapter_path(dice), query=query)


def _adapters(dice: _Dice) -> Operation:
    query = {**_page(dice, 201), **_total(dice)}
    if dice.chance(0.3) and dice.state.keys:
        query["crk_id"] = dice.one(dice.state.keys).id
    return Operation("getKmipAdapters", query=query)


def _old_form(dice: _Dice) -> Operation | None:
    action = dice.one(("wrap", "unwrap", "rewrap", "rotate", "disable", "enable", "restore", "setKeyForDeletion",
                       "unsetKeyForDeletion", "sync", "Wrap"))  # fmt: skip
    name = {
        "wrap": "wrapKey",
        "unwrap": "unwrapKey",
        "rewrap": "rewrapKey",
        "rotate": "rotateKey",
        "restore": "restoreKey",
    }
    built = _BUILDERS[name.get(action, "disableKey")](dice)
    return None if built is None else replace(built, name="actionOnKey", query={"action": action})


def _nothing(dice: _Dice, _: Key | None) -> Any:
    return None if dice.chance(0.8) else {}


_BUILDERS: Mapping[str, Callable[[_Dice], Operation | None]] = {
    "getKeyCollectionMetadata": _head,
    "createKey": _create,
    "getKeys": _list,
    "createKeyWithPoliciesOverrides": _create_with_overrides,
    "getKey": _on_key("getKey"),
    "actionOnKey": _old_form,
    "patchKey": _on_key("patchKey", _patch_body),
    "deleteKey": _delete_key,
    "getKeyMetadata": _on_key("getKeyMetadata"),
    "getKeyVersions": _versions,
    "restoreKey": _restore,
    "purgeKey": _on_key("purgeKey", wanted=_dead),
    "wrapKey": _on_key("wrapKey", _wrap_body, wanted=lambda one: not one.standard),
    "unwrapKey": _open("unwrapKey"),
    "rewrapKey": _open("rewrapKey"),
    "rotateKey": _rotate,
    "setKeyForDeletion": _on_key("setKeyForDeletion", wanted=lambda one: one.dual is not None),
    "unsetKeyForDeletion": _on_key("unsetKeyForDeletion", wanted=lambda one: bool(one.authorised)),
    "enableKey": _on_key("enableKey", _nothing, wanted=lambda one: one.state == 2),  # noqa: PLR2004 - suspended
    "disableKey": _on_key("disableKey", _nothing, wanted=lambda one: one.state == 1),
    "syncAssociatedResources": _on_key("syncAssociatedResources"),
    "putPolicy": _put_policy,
    "getPolicy": _get_policy,
    "putInstancePolicy": _put_instance_policy,
    "getInstancePolicy": _get_instance_policy,
    "getAllowedIPPort": lambda _: Operation("getAllowedIPPort"),
    "postImportToken": _post_token,
    "getImportToken": lambda dice: (
        Operation("getImportToken")
        if (dice.state.token and dice.state.token.left) or dice.chance(0.2)
        else None
    ),
    "getRegistrations": lambda dice: Operation(
        "getRegistrations", path={"id": dice.path(dice.key())}, query=_registration_query(dice)
    ),
    "getRegistrationsAllKeys": lambda dice: Operation(
        "getRegistrationsAllKeys", query=_registration_query(dice)
    ),
    "createRegistration": _registration("createRegistration"),
    "replaceRegistration": _registration("replaceRegistration"),
    "updateRegistration": _registration("updateRegistration"),
    "deleteRegistration": _registration("deleteRegistration"),
    "eventAcknowledge": lambda dice: Operation(
        "eventAcknowledge",
        body=_collection(
            "event_acknowledge+json",
            {"eventId": "1", "adopterKeyState": "active", "timestamp": date_of(dice.now), "keyStateData": {}},
        ),
    ),
    "createKeyAlias": _alias("createKeyAlias"),
    "deleteKeyAlias": _alias("deleteKeyAlias"),
    "listKeyRings": lambda dice: Operation("listKeyRings", query={**_page(dice, 5001), **_total(dice)}),
    "createKeyRing": lambda dice: Operation("createKeyRing", path=_ring_path(dice)),
    "deleteKeyRing": lambda dice: Operation(
        "deleteKeyRing", path=_ring_path(dice), query={"force": "true"} if dice.chance(0.5) else {}
    ),
    "getKmipAdapters": _adapters,
    "createKmipAdapter": _create_adapter,
    "getKmipAdapter": _with_adapter(lambda dice: Operation("getKmipAdapter", path=_adapter_path(dice))),
    "deleteKmipAdapter": _with_adapter(lambda dice: Operation("deleteKmipAdapter", path=_adapter_path(dice))),
    "getKmipObjects": _with_adapter(_objects),
    "getKmipObject": _with_adapter(_object("getKmipObject")),
    "deleteKmipObject": _with_adapter(_object("deleteKmipObject")),
    "getKmipClientCertificates": _with_adapter(
        lambda dice: Operation(
            "getKmipClientCertificates", path=_adapter_path(dice), query={**_page(dice, 201), **_total(dice)}
        )
    ),
    "addKmipClientCertificate": _with_adapter(_add_certificate),
    "getKmipClientCertificate": _with_adapter(_certificate("getKmipClientCertificate")),
    "deleteKmipClientCertificate": _with_adapter(_certificate("deleteKmipClientCertificate")),
}

WEIGHTS: Mapping[str, int] = {
    **dict.fromkeys(_BUILDERS, 2),
    "createKey": 8, "getKeyMetadata": 8, "wrapKey": 6, "unwrapKey": 6, "rewrapKey": 4, "rotateKey": 6, "disableKey": 4,
    "enableKey": 5, "deleteKey": 4, "restoreKey": 6, "purgeKey": 4, "getKeys": 6, "getKeyVersions": 5, "putPolicy": 3,
    "createKeyAlias": 3, "createRegistration": 3, "actionOnKey": 5, "createKmipAdapter": 3, "setKeyForDeletion": 3,
    "eventAcknowledge": 1, "getAllowedIPPort": 1, "getImportToken": 3, "putInstancePolicy": 2,
}  # fmt: skip
"""How often each operation is chosen."""

_CALLERS: Mapping[str, Callable[[_Dice], Any]] = {
    **dict.fromkeys(
        (
            "createRegistration",
            "replaceRegistration",
            "updateRegistration",
            "deleteRegistration",
            "eventAcknowledge",
        ),
        lambda dice: SERVICE if dice.chance(0.93) else MANAGER,
    ),
    "purgeKey": lambda dice: PURGER if dice.chance(0.9) else MANAGER,
    "deleteKey": lambda dice: (
        dice.one((MANAGER, MANAGER, APPROVER)) if dice.chance(0.95) else dice.one((READER, SERVICE))
    ),
    "setKeyForDeletion": lambda dice: dice.one((MANAGER, APPROVER)),
}
