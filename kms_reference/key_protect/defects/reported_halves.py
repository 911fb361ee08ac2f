"""Defects of numbers, of things done twice or by half, and of writes that carry more than they should, after faults that others reported.

Redis, etcd, Hibernate, Spring's pages, MySQL without strict mode, Barbican's quotas, Vault's counters, Cosmian and others;
each is translated to this API where a source fixes what is right.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect import actions, instance_policies, key_input, key_policies, kmip, search
from kms_reference.key_protect.app import Exchange, answered
from kms_reference.key_protect.defects.conditions import Memory, answering, of_operation
from kms_reference.key_protect.defects.laws_concurrency import WINDOW, _attribute
from kms_reference.key_protect.instance import DEFAULT_RING, new_version
from kms_reference.key_protect.model import State
from kms_reference.switches import Change, Defect, gives, instead, refused_but, then

if TYPE_CHECKING:
    from kms_reference.key_protect.key_input import Material
    from kms_reference.key_protect.model import Key
    from kms_reference.key_protect.wire import Call, Reply
    from kms_reference.rules import RuleLike

_32_BITS: Final = 2**32
_CUT: Final = 200

_known: Final = Memory()


# -- pages and counts ----------------------------------------------------------------------------------------------------


def _in_32_bits(lawful: RuleLike, call: Call, found: list[Key], offset: int, limit: int) -> Any:
    return lawful(call, found, offset % _32_BITS, limit)


def _last_page(lawful: RuleLike, call: Call, found: list[Key], offset: int, limit: int) -> Any:
    """Behind the end, give the last page instead of none."""
    if found and offset >= len(found):
        offset = (len(found) - 1) // limit * limit
    return lawful(call, found, offset, limit)


def _rotations_counted(reply: Reply, _: Call) -> Reply:
    if "totalCount" in reply.body["metadata"]:
        reply.body["metadata"]["totalCount"] -= 1
    return reply


def _description_cut(_: Call, key: Key, __: Material) -> None:
    key.description = key.description[:_CUT]


# -- twice and by half ---------------------------------------------------------------------------------------------------


def _twice(call: Call, key: Key, material: Material) -> None:
    if material.by_token:
        new_version(key, call.now, material.data, by_token=True)


def _moved_by_half(lawful: RuleLike, call: Call) -> Reply:
    """Move the destroyed keys of a ring before it is asked whether there are others."""
    ring = call.args["ring"]
    if call.flag("force"):
        for key in call.instance.keys.values():
            if key.ring == ring and key.state == State.DESTROYED:
                key.ring = DEFAULT_RING
    reply: Reply = lawful(call)
    return reply


def _adapter_dated(call: Call, _: str) -> None:
    adapter = kmip.adapter_of(call)
    adapter.updated, adapter.updated_by = call.now, call.identity.iam_id


def _first_policy_set(lawful: RuleLike, call: Call) -> Reply:
    """Set dual authorisation although the rotation policy beside it is refused."""
    try:
        reply: Reply = lawful(call)
    except Exception:
        key = call.instance.find(call.args["id"])
        body = call.json()
        resources = body.get("resources") if isinstance(body, dict) else None
        several = isinstance(resources, list) and [one for one in resources if isinstance(one, dict)]
        for one in several or ():
            policy = one.get("dualAuthDelete")
            others = "rotation" in one or len(several or ()) > 1
            if key is not None and others and isinstance(policy, dict) and "enabled" in policy:
                key.dual_auth = key_policies.renewed(call, key.dual_auth, enabled=policy["enabled"] is True)
        raise
    return reply


# -- what one version or policy tells of another -------------------------------------------------------------------------


def _version_before(reply: Reply, call: Call) -> Reply:
    """Say that the version before the newest had wrapped, whichever older one it was."""
    key = call.key()
    if reply.body["keyVersion"]["id"] != key.newest.id:
        reply.body["keyVersion"]["id"] = key.versions[-2].id
    return reply


def _note_inherited(call: Call, key: Key) -> None:
    if key.rotation is not None:
        _known(call.instance, "inherited")[key.id] = True


def _followed(call: Call, name: str, *, enabled: bool, attributes: dict[str, Any]) -> None:
    for key in call.instance.keys.values():
        if name == "rotation" and enabled and key.rotation and key.id in _known(call.instance, "inherited"):
            key.rotation = replace(key.rotation, interval=attributes["interval_month"])


def _ended(call: Call, name: str, *, enabled: bool, attributes: dict[str, Any]) -> None:
    del attributes
    for key in call.instance.keys.values():
        if (
            name == "rotation"
            and not enabled
            and key.rotation
            and key.id in _known(call.instance, "inherited")
        ):
            key.rotation = replace(key.rotation, enabled=False)


def _note_inherited_at_creation(reply: Reply, call: Call) -> Reply:
    key = call.instance.keys[reply.body["resources"][0]["id"]]
    _note_inherited(call, key)
    return reply


def _all_dated(call: Call, _: str, **__: Any) -> None:
    for policy in call.instance.policies.values():
        policy.updated, policy.updated_by = call.now, call.identity.iam_id


def _both_dated(reply: Reply, call: Call) -> Reply:
    key = call.key()
    for policy in (key.rotation, key.dual_auth):
        if policy is not None:
            policy.updated, policy.updated_by = call.now, call.identity.iam_id
    return reply


def _policies_cached(lawful: RuleLike, call: Call) -> Reply:
    """Answer as before until a policy is set by its own name."""
    known = _known(call.instance, "policies")
    at = call.query.get("policy", "")
    if at not in known:
        known[at] = lawful(call)
    reply: Reply = known[at]
    return reply


def _forgotten_by_name(reply: Reply, call: Call) -> Reply:
    if "policy" in call.query:
        _known(call.instance, "policies").clear()
    return reply


# -- at the same moment --------------------------------------------------------------------------------------------------


async def _counted(lawful: RuleLike, exchange: Exchange, call: Call) -> Reply:
    """Count the keys in a number that is read before a key is made and written after."""
    known = _known(call.instance, "lost")
    before = known.get("made", 0)
    await asyncio.sleep(WINDOW)
    reply: Reply = await lawful(exchange, call)
    known["all"] = known.get("all", 0) + 1
    known["made"] = before + 1
    return reply


def _counted_less(reply: Reply, call: Call) -> Reply:
    known = _known(call.instance, "lost")
    lost = known.get("all", 0) - known.get("made", 0)
    reply.headers["Key-Total"] = str(max(0, int(reply.headers["Key-Total"]) - lost))
    return reply


_ROWS: Final[tuple[tuple[str, str, *tuple[Change, ...]], ...]] = (
    ("key-offset-in-32-bits", "An offset of a list of keys is counted in 32 bits.", instead(search.page_of, _in_32_bits)),
    ("last-page-behind-the-end", "Behind the end of a list of keys comes its last page again.", instead(search.page_of, _last_page)),
    ("versions-counted-as-rotations", "totalCount of versions counts the rotations.", gives(answered, _rotations_counted, of_operation("getKeyVersions"))),
    ("rotation-by-token-makes-two-versions", "A rotation with packed material makes two versions.", then(actions.add_version, _twice)),
    ("refused-ring-deletion-moves-destroyed", "A forced deletion of a key ring is refused and moves the destroyed keys.", answering("deleteKeyRing", _moved_by_half)),
    ("refused-certificate-dates-adapter", "A certificate that is refused dates the last update of its adapter.", refused_but(kmip.check_certificate_free, _adapter_dated)),
    ("key-policies-set-by-half", "Of two policies of a key the first is set although the second is refused.", answering("putPolicy", _first_policy_set)),
    ("rewrap-names-version-before", "Rewrap says that the version before the newest had wrapped.", gives(actions.rewrap, _version_before)),
    ("inherited-interval-follows", "Keys that inherited a rotation policy follow its later intervals.", gives(answered, _note_inherited_at_creation, of_operation("createKey")), then(instance_policies.set_policy, _followed)),
    ("inherited-policy-ends-with-instance", "Keys that inherited a rotation policy lose it when the instance's is switched off.", gives(answered, _note_inherited_at_creation, of_operation("createKey")), then(instance_policies.set_policy, _ended)),
    ("instance-policy-dates-all", "Setting a policy of the instance dates all of them.", then(instance_policies.set_policy, _all_dated)),
    ("key-policy-dates-both", "Setting one policy of a key dates the other as well.", gives(answered, _both_dated, of_operation("putPolicy"))),
    ("instance-policies-cached", "Policies of the instance are read as before until one is set by its own name.", answering("getInstancePolicy", _policies_cached), gives(answered, _forgotten_by_name, of_operation("putInstancePolicy"))),
    ("count-loses-keys-made-at-once", "Of two keys that are made at once one is counted.", instead(Exchange.answer, _counted, lambda _, call: call.operation.id == "createKey"), gives(answered, _counted_less, of_operation("getKeyCollectionMetadata"))),
    ("purge-loses-a-new-alias", "A purge writes back the instance's index of aliases.", _attribute("alias_index", "purgeKey")),
    ("token-loses-instance-policy", "Making an import token writes back the policies of the instance.", _attribute("policies", "postImportToken")),
    ("adapter-loses-ring", "Making a KMIP adapter writes back the key rings that there were.", _attribute("rings", "createKmipAdapter")),
    ("ring-loses-token", "Making a key ring writes back the import token that there was.", _attribute("import_token", "createKeyRing")),
)  # fmt: skip

HALF_DEFECTS: Final = (
    *(Defect(name, doc, (), changes=tuple(changes)) for name, doc, *changes in _ROWS),
    Defect("description-cut-to-200", "The description of a new key is cut to 200 characters.", (), changes=(then(key_input.check_access, _description_cut),)),
)  # fmt: skip
