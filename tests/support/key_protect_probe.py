"""A probe of all that Key Protect's reference answers, topic by topic; without sockets, so that hundreds can be run in seconds."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_public_key
from probe_client import ADAPTER, CRN, DAY, DUAL, KEPT, KEY, POLICY, REGISTRATION, SHORT, Probe, frame

from kms_reference.key_protect import clock
from kms_reference.key_protect.app import KeyProtect
from kms_reference.key_protect.crypto import oaep_encrypt, seal_nonce
from kms_reference.key_protect.server_state import ServerState
from kms_reference.rules import Rules


async def access(p: Probe) -> None:
    """Tokens, roles, instances, networks."""
    for header in ("Bearer x", "Basic x", f"Bearer {p.tokens['manager'][:-9]}AAAAAAAAA", None):
        await p.send("GET", "/keys", authorization=header)
    await p.send("GET", "/nowhere")
    await p.send("GET", "/nowhere", authorization=None)
    await p.send("HEAD", "/key_rings")
    for who in ("expired", "outsider", "reader", "service"):
        await p.send("GET", "/keys", who=who)
    await p.send("POST", "/keys", {}, who="reader")
    await p.send("GET", "/keys", bluemix_instance="x")
    key = await p.create()
    await p.send("GET", f"/keys/{key.upper()}/metadata")
    await p.send("GET", "/keys?search=probe,")
    await p.send("DELETE", f"/keys/{key}/purge")
    await p.send("DELETE", f"/keys/{key}", who="service")
    await p.send("POST", f"/keys/{key}/registrations/{CRN}", frame(REGISTRATION, {"description": "d"}))
    p.fresh()
    await p.send("GET", f"/keys/{key}/metadata")
    await p.send("GET", "/keys/a%0Ab/metadata")
    for kind, attributes in (
        ("allowedIP", {"allowed_ip": ["203.0.113.0/24"]}),
        ("allowedNetwork", {"allowed_network": "private-only"}),
    ):
        p.fresh()
        policy = {"policy_type": kind, "policy_data": {"enabled": True, "attributes": attributes}}
        await p.send("PUT", f"/instance/policies?policy={kind}", frame(POLICY, policy))
        await p.send("GET", "/keys")
    p.fresh()
    await p.fault(fault="config-rule")
    await p.create()
    p.fresh()
    await p.fault(fault="feature-restricted")
    policy = {
        "policy_type": "allowedIP",
        "policy_data": {"enabled": True, "attributes": {"allowed_ip": ["::/0"]}},
    }
    await p.send("PUT", "/instance/policies", frame(POLICY, policy))


async def bodies(p: Probe) -> None:
    """Frames, members, base64."""
    put = "/instance/policies?policy=dualAuthDelete"
    await p.send("PUT", put, frame(POLICY, DUAL, total=2))
    await p.send("GET", "/instance/policies")
    await p.send("PUT", put, frame(POLICY, DUAL, DUAL))
    await p.send("PUT", put, frame(POLICY, {**DUAL, "policy_type": "metrics"}))
    await p.send("PUT", put, frame(POLICY, {**DUAL, "extra": 1}))
    await p.send("PUT", "/instance/policies", frame(POLICY, DUAL, DUAL))
    await p.send("PUT", "/instance/policies", frame(POLICY, DUAL, {**DUAL, "policy_type": "metrics"}))
    await p.send("GET", "/instance/policies?policy=metrics")
    one = {"name": "probe-key", "extractable": False}
    await p.send("POST", "/keys", frame(KEY, one, one, total=1))
    await p.send("POST", "/keys", {"metadata": {}, "resources": [one]})
    await p.send("POST", "/keys", b"{")
    await p.create(payload="QUJD")
    await p.create(expirationDate="2001-01-01T00:00:00Z")
    key = await p.create(description="probe", expirationDate="2099-01-01T00:00:00Z")
    await p.act(key, "unwrap")
    await p.act(key, "rewrap")
    await p.act(key, "wrap", {"plaintext": "AB;"})
    await p.act(key, "unwrap", {"ciphertext": "AB;"})
    await p.create(payload=base64.b64encode(KEPT).decode())


async def wrapping(p: Probe) -> None:
    """Wrap, unwrap, rewrap, rotate."""
    key, other = await p.create(), await p.create()
    sealed = [
        (await p.act(key, "wrap", {"plaintext": SHORT, "aad": ["a", "b"]})).get("ciphertext", "")
        for _ in "12"
    ]
    p.seen.append((sealed[0] == sealed[1], base64.b64decode(sealed[0] + "===")[:8]))
    p.seen.append(sorted(await p.act(key, "wrap")))
    for target, aad in ((key, ["a", "b"]), (key, ["b", "a"]), (key, []), (other, ["a", "b"])):
        await p.act(target, "unwrap", {"ciphertext": sealed[0], "aad": aad})
    await p.act(key, "unwrap", {"ciphertext": base64.b64encode(b"tampered").decode()})
    await p.act(key, "rotate")
    await p.act(key, "rotate")
    await p.send("GET", f"/keys/{key}/versions?allKeyStates=true&totalCount=true")
    metadata = (await p.send("GET", f"/keys/{key}/metadata"))[1]
    newest = metadata.get("resources", [{}])[0].get("keyVersion", {}).get("id")
    opened = await p.act(key, "unwrap", {"ciphertext": sealed[0], "aad": ["a", "b"]})
    await p.act(key, "rewrap", {"ciphertext": sealed[0], "aad": ["a", "b"]})
    wrapped = await p.act(key, "wrap", {"plaintext": SHORT})
    p.seen.append(
        (opened.get("keyVersion", {}).get("id") == key, wrapped.get("keyVersion", {}).get("id") == newest)
    )
    versions = (await p.send("GET", f"/keys/{key}/versions"))[1].get("resources", [{}])
    p.seen.append([version.get("id") == key for version in versions])
    for minutes in (55, 5):
        await p.wait(minutes * 60)
        await p.act(key, "rotate")
    imported = await p.create(payload=base64.b64encode(KEPT).decode())
    await p.act(imported, "rotate")
    for _ in "12":
        await p.act(imported, "rotate", {"payload": base64.b64encode(KEPT).decode()})
    await p.act(await p.create(), "rotate", {"payload": base64.b64encode(KEPT).decode()})
    race = await p.create()
    before = list(p.seen)
    await asyncio.gather(p.act(race, "rotate"), p.act(race, "rotate"))
    p.seen = before + sorted(p.seen[len(before) :], key=str)
    await p.fault(key=key, fault="bad-signature")
    await p.act(key, "rewrap", {"ciphertext": sealed[1], "aad": ["a", "b"]})
    await p.fault(key=key, fault="corrupt-metadata")
    await p.send("GET", f"/keys/{key}/metadata")


async def states(p: Probe) -> None:
    """Disabled, expired, deleted and standard keys."""
    standard = await p.create(extractable=True, payload="QUJD")
    key = await p.create()
    sealed = {"ciphertext": (await p.act(key, "wrap", {"plaintext": SHORT})).get("ciphertext")}
    actions = ("wrap", "unwrap", "rewrap", "rotate", "disable", "enable")
    for action in actions:
        await p.act(standard, action, sealed if action in ("unwrap", "rewrap") else None)
    await p.send("GET", f"/keys/{standard}")
    await p.send("GET", f"/keys/{standard}/metadata")
    await p.act(key, "disable")
    await p.send("GET", f"/keys/{key}/metadata")
    await p.send("GET", f"/keys/{key}/versions")
    for action in ("wrap", "unwrap", "rewrap", "rotate", "disable"):
        await p.act(key, action, sealed if action in ("unwrap", "rewrap") else None)
    second = await p.create()
    await p.act(second, "disable")
    await p.act(second, "enable")
    await p.send("GET", f"/keys/{second}/metadata")
    await p.wait(25)
    await p.act(second, "enable")
    await p.wait(5)
    await p.act(second, "enable")
    await p.act(second, "enable")
    await p.send("GET", f"/keys/{second}/metadata")
    for _ in "12":
        await p.act(second, "sync")
    await p.wait(3_600)
    await p.act(second, "sync")
    third = await p.create()
    for _ in "12":
        await p.send("DELETE", f"/keys/{third}")
    for action in actions[:-1]:
        await p.act(third, action, sealed if action in ("unwrap", "rewrap") else None)
    await p.send("GET", f"/keys/{third}/metadata")
    soon = clock.stamp(clock.real_now() + 60 + p.app.server_state.instance(p.instance).offset)
    expiring = await p.create(payload=base64.b64encode(KEPT).decode(), expirationDate=soon)
    await p.wait(62)
    await p.send("GET", f"/keys/{expiring}/metadata")
    for action in ("wrap", "enable"):
        await p.act(expiring, action)
    await p.send("DELETE", f"/keys/{expiring}")
    await p.wait(30)
    restore = frame(KEY, {"payload": base64.b64encode(KEPT).decode()})
    await p.send("POST", f"/keys/{expiring}/restore", restore)


async def deletion(p: Probe) -> None:
    """Authorisations, registrations, restoring, purging."""
    dual = frame(POLICY, {"type": POLICY, "dualAuthDelete": {"enabled": True}})
    key = await p.create()
    for action in ("setKeyForDeletion", "unsetKeyForDeletion"):
        await p.act(key, action)
    await p.send("PUT", f"/keys/{key}/policies", dual)
    off = frame(POLICY, {"type": POLICY, "dualAuthDelete": {"enabled": False}})
    await p.send("PUT", f"/keys/{key}/policies", off)
    await p.send("DELETE", f"/keys/{key}")
    await p.send("GET", f"/keys/{key}/metadata")
    for action in ("setKeyForDeletion", "unsetKeyForDeletion"):
        await p.act(key, action)
        await p.send("GET", f"/keys/{key}/metadata")
    await p.act(key, "setKeyForDeletion")
    await p.send("DELETE", f"/keys/{key}")
    await p.wait(7 * DAY)
    await p.send("DELETE", f"/keys/{key}", who="approver")
    await p.act(key, "setKeyForDeletion")
    await p.wait(6 * DAY)
    await p.send("DELETE", f"/keys/{key}", who="approver")
    registered = await p.create()
    for prevent in (True, False):
        body = frame(REGISTRATION, {"preventKeyDeletion": prevent})
        await p.send("POST", f"/keys/{registered}/registrations/{CRN}", body, who="service")
        await p.send("DELETE", f"/keys/{registered}?force={str(prevent).lower()}")
    await p.send("DELETE", f"/keys/{registered}?force=true")
    behind = await p.create()
    adapter = {"profile": "native_1.0", "profile_data": {"crk_id": behind}, "name": "adapter"}
    await p.send("POST", "/kmip_adapters", frame(ADAPTER, adapter))
    await p.send("DELETE", f"/keys/{behind}")
    path = f"/_control/instances/{p.instance}/kmip_objects"
    thing = (await p.send("POST", path, {"adapter": "adapter"}))[1].get("id")
    await p.send("DELETE", f"/kmip_adapters/adapter/kmip_objects/{thing}")
    await p.send("POST", f"/keys/{await p.create(extractable=True)}/registrations/{CRN}", None, who="service")
    disabled = await p.create()
    await p.act(disabled, "disable")
    await p.send("POST", f"/keys/{disabled}/registrations/{CRN}", None, who="service")
    rotated = await p.create()
    await p.act(rotated, "rotate")
    await p.send("POST", f"/keys/{rotated}/registrations/{CRN}", None, who="service")
    older = frame(REGISTRATION, {"keyVersionId": rotated})
    await p.send("PUT", f"/keys/{rotated}/registrations/{CRN}", older, who="service")


async def restoring(p: Probe) -> None:
    """Time rules of restoring and purging."""
    body = frame(KEY, {"payload": base64.b64encode(KEPT).decode()})
    wrong = frame(KEY, {"payload": base64.b64encode(b"L" * 32).decode()})
    key, generated = await p.create(payload=base64.b64encode(KEPT).decode()), await p.create()
    await p.send("POST", f"/keys/{key}/restore", body)
    await p.send("DELETE", f"/keys/{key}/purge", who="purger")
    key = await p.create(payload=base64.b64encode(KEPT).decode())
    for each in (key, generated):
        await p.send("DELETE", f"/keys/{each}")
    for wait in (0, 25, 5):
        await p.wait(wait)
        await p.send("POST", f"/keys/{key}/restore", body if wait != 5 else wrong)
    await p.send("POST", f"/keys/{generated}/restore", body)
    await p.send("POST", f"/keys/{key}/restore", body)
    await p.send("GET", f"/keys/{key}/metadata")
    await p.send("DELETE", f"/keys/{key}")
    for hours in (0, 3.5, 0.5):
        await p.wait(hours * 3_600)
        await p.send("DELETE", f"/keys/{key}/purge", who="purger")
    await p.send("GET", f"/keys/{key}/metadata")
    minimal = await p.create()
    await p.send("DELETE", f"/keys/{minimal}")
    await p.wait(4 * 3_600)
    await p.send("DELETE", f"/keys/{minimal}/purge", who="purger")
    late, later = [await p.create(payload=base64.b64encode(KEPT).decode()) for _ in "12"]
    for each in (late, later):
        await p.send("DELETE", f"/keys/{each}")
    await p.wait(29.5 * DAY)
    await p.send("POST", f"/keys/{late}/restore", body)
    await p.wait(DAY)
    await p.send("POST", f"/keys/{later}/restore", body)
    await p.wait(12 * DAY)
    await p.send("GET", f"/keys/{later}/metadata")
    await p.wait(60 * DAY)
    await p.send("GET", f"/keys/{later}/metadata")


async def importing(p: Probe) -> None:
    """Instance policies on import, import tokens and their nonces."""
    rights = (
        "create_root_key",
        "create_standard_key",
        "import_root_key",
        "import_standard_key",
        "enforce_token",
    )
    payload = base64.b64encode(KEPT).decode()
    for right in rights:
        data = {"enabled": True, "attributes": {right: right == "enforce_token"}}
        policy = {"policy_type": "keyCreateImportAccess", "policy_data": data}
        await p.send("PUT", "/instance/policies", frame(POLICY, policy))
        for extractable in (False, True):
            await p.create(extractable=extractable)
            await p.create(extractable=extractable, payload=payload)
    off = {"policy_type": "keyCreateImportAccess", "policy_data": {"enabled": False}}
    await p.send("PUT", "/instance/policies", frame(POLICY, off))
    await p.create(payload=payload)
    await p.send("GET", "/keys?sort=creationDate")
    tokens = []
    for _ in "12":
        made = (await p.send("POST", "/import_token", {"maxAllowedRetrievals": 2}))[1]
        p.seen.append(made.get("expirationDate") == made.get("creationDate"))
        tokens.append((await p.send("GET", "/import_token"))[1])
    p.seen.append(tokens[0].get("nonce") == tokens[1].get("nonce"))
    old, new = (members(token) for token in tokens)
    for parts in (
        old,
        {**new, "encryptedNonce": old["encryptedNonce"], "iv": old["iv"]},
        {**new, "iv": old["iv"]},
        new,
    ):
        await p.create(**parts)
    for _ in "12":
        await p.send("GET", "/import_token")
    await p.wait(600)
    await p.create(**new)
    for wait in (550, 50):
        await p.send("POST", "/import_token", {})
        await p.wait(wait)
        await p.send("GET", "/import_token")
    await p.send("POST", "/import_token", {})
    await p.wait(601)
    await p.send("GET", "/import_token")


def members(token: dict[str, Any]) -> dict[str, str]:
    """Return the members of an import by token, with an iv that belongs to the token."""
    if "payload" not in token:
        return {"encryptedNonce": "", "iv": ""}
    nonce = base64.b64decode(token.get("nonce") or "AAAAAAAAAAAAAAAA")
    iv = nonce[::-1]
    public = load_pem_public_key(base64.b64decode(token["payload"]))
    return {
        "payload": base64.b64encode(oaep_encrypt(public, KEPT)).decode(),  # type: ignore[arg-type]  # it is RSA
        "encryptedNonce": base64.b64encode(seal_nonce(KEPT, iv, nonce)).decode(),
        "iv": base64.b64encode(iv).decode(),
    }


async def policies_and_lists(p: Probe) -> None:
    """Policies of keys, lists, rings, aliases."""
    await p.send("GET", "/key_rings")
    await p.send("GET", "/keys")
    keys = [
        await p.create(name=f"list-{number}", extractable=bool(number % 2), aliases=[f"al-{number}"])
        for number in range(4)
    ]
    for query in ("limit=2&sort=creationDate", "limit=2&offset=2&sort=creationDate", "limit=0", "sort=color"):
        await p.send("GET", f"/keys?{query}")
    ordered = (await p.send("GET", "/keys"))[1].get("resources", [])
    p.seen.pop()
    p.seen.append([key.get("id") for key in ordered] == sorted(keys))
    await p.send("HEAD", "/keys")
    await p.send("GET", f"/keys/{keys[0]}", prefer="return=representation")
    await p.send("POST", f"/keys/{keys[0]}/aliases/al-1")
    await p.send("DELETE", f"/keys/{keys[1]}/aliases/al-1")
    await p.send("GET", f"/keys/{keys[1]}/metadata")
    await p.send("GET", "/keys/al-1/metadata")
    await p.create(aliases=["al-0"])
    await p.send("POST", f"/keys/{keys[2]}/aliases/al-9")
    await p.send("GET", f"/keys/{keys[2]}/policies")
    for body in ({"interval_month": 13}, {"interval_month": 1}):
        for key in keys[:2]:
            await p.send("PUT", f"/keys/{key}/policies", frame(POLICY, {"type": POLICY, "rotation": body}))
    await p.wait(31 * DAY)
    await p.send("GET", f"/keys/{keys[0]}/versions?allKeyStates=1")
    await p.send("POST", "/key_rings/ring-1")
    await p.send("PATCH", f"/keys/{keys[0]}", {"keyRingID": "ring-1"})
    await p.send("GET", f"/keys/{keys[0]}/metadata", x_kms_key_ring="default")
    await p.send("POST", "/keys", frame(KEY, {"name": "probe-key"}), x_kms_key_ring="nowhere")
    await p.send("DELETE", "/key_rings/ring-1")
    await p.send("GET", "/keys/unknown/metadata")
    await p.send(
        "PUT",
        "/instance/policies?policy=dualAuthDelete",
        frame(POLICY, {**DUAL, "policy_data": {"enabled": True}}),
    )
    await p.send("GET", f"/keys/{await p.create()}/metadata")
    await p.send("DELETE", f"/keys/{keys[3]}")
    p.app.server_state.restarted = True
    await p.send("DELETE", f"/keys/{keys[3]}")
    await p.send("GET", "/keys?sort=creationDate")


PARTS = (access, bodies, wrapping, states, deletion, restoring, importing, policies_and_lists)


class Same(Exception):  # noqa: N818 - a result, not an error
    """The whole probe saw nothing new."""


def tokens_of(app: KeyProtect) -> dict[str, str]:
    """Return a token of each identity."""
    issuer = app.server_state.issuer
    form = "grant_type=urn%3Aibm%3Aparams%3Aoauth%3Agrant-type%3Aapikey&apikey="
    return {
        name: issuer.exchange((form + key).encode())[1]["access_token"]
        for name, key in issuer.api_keys.items()
    }


async def probe(rules: Rules, plain: list[list[Any]] | None = None) -> list[list[Any]]:
    """Run the parts, each in an instance of its own; what each saw.

    With `plain`, stop after the first part that saw another thing, and raise Same when none did.
    The reference itself must not fail.
    """
    app = KeyProtect(ServerState(rules))
    tokens = tokens_of(app)
    seen: list[list[Any]] = []
    for part in PARTS:
        each = Probe(app, tokens)
        await part(each)
        assert app.crashes == []
        seen.append(each.seen)
        if plain is not None and each.seen != plain[len(seen) - 1]:
            return seen
    if plain is not None:
        raise Same
    return seen
