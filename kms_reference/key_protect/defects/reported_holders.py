"""Defects of what holds on to a key: KMIP adapters, their certificates and objects, registrations, instance policies.

After faults that others reported: PyKMIP, Cosmian, Barbican, EJBCA, Infisical and others; each is translated to this API
where a source fixes what is right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect import actions, instance_policies, keys, kmip
from kms_reference.key_protect.app import answered
from kms_reference.key_protect.defects.conditions import defects_of, of_operation
from kms_reference.key_protect.errors import RefusalError, plain
from kms_reference.switches import gives, instead, then, unchecked

if TYPE_CHECKING:
    from kms_reference.key_protect.key_input import Material
    from kms_reference.key_protect.model import Key, KmipAdapter, Registration
    from kms_reference.key_protect.wire import Call, Reply
    from kms_reference.rules import RuleLike

# What a defect remembers, by ids.
_freed: set[str] = set()
_prevented: set[tuple[str, str]] = set()


# -- KMIP -----------------------------------------------------------------------------------------------


def _name_free_everywhere(call: Call, _: str) -> None:
    name = call.body()["resources"][0].get("name")
    if any(
        one.name == name for each in call.instance.adapters.values() for one in each.certificates.values()
    ):
        raise RefusalError("KMIP_CERT_DUPLICATE_NAME_ERR")


def _other_text(call: Call, _: str) -> bool:
    pem = call.body()["resources"][0]["certificate"]
    return all(
        one.pem != pem for each in call.instance.adapters.values() for one in each.certificates.values()
    )


def _objects_with_it(lawful: RuleLike, call: Call) -> Reply:
    """Destroy what was made with a client certificate that is deleted."""
    adapter, certificate = kmip.adapter_of(call), kmip.certificate_of(call)
    reply: Reply = lawful(call)
    for thing in adapter.objects.values():
        if thing.certificate_id == certificate.id:
            thing.state, thing.destroyed = kmip.DESTROYED[0], call.now
    return reply


def _object_gone(lawful: RuleLike, call: Call) -> Reply:
    reply: Reply = lawful(call)
    del kmip.adapter_of(call).objects[call.args["object"]]
    return reply


def _note_freed(lawful: RuleLike, call: Call) -> Reply:
    key_id = kmip.adapter_of(call).key_id
    reply: Reply = lawful(call)
    _freed.add(key_id)
    return reply


def _held_for_ever(_: Call, adapter: KmipAdapter) -> None:
    if adapter.objects:
        raise plain(409, "KMIP adapter could not be deleted: it holds KMIP objects")


# -- registrations --------------------------------------------------------------------------------------


def _note_prevention(reply: Reply, call: Call) -> Reply:
    for one in reply.body["resources"]:
        if one["preventKeyDeletion"]:
            _prevented.add((call.key().id, one["resourceCrn"]))
    return reply


def _ever_prevented(found: bool, _: Call, key: Key) -> bool:
    return found or any((key.id, crn) in _prevented for crn in key.registrations)


def _advance(_: Call, key: Key, __: Material) -> None:
    use: Registration
    for use in key.registrations.values():
        use.version_id = key.newest.id


# -- policies of the instance ---------------------------------------------------------------------------


def _keep_attributes(
    lawful: RuleLike, call: Call, name: str, *, enabled: bool, attributes: dict[str, Any]
) -> None:
    old = call.instance.policies.get(name)
    kept = old.attributes if old is not None and not enabled else attributes
    lawful(call, name, enabled=enabled, attributes=kept)


def _enabled_only(reply: Reply, _: Call) -> Reply:
    shown = [one for one in reply.body.get("resources", []) if one["policy_data"]["enabled"]]
    reply.body["metadata"]["collectionTotal"] = len(shown)
    if shown:
        reply.body["resources"] = shown
    else:
        reply.body.pop("resources", None)
    return reply


HOLDER_DEFECTS: Final = defects_of(
    ("certificate-name-unique-in-instance", "The name of a client certificate is unique among all KMIP adapters.", then(kmip.check_certificate_free, _name_free_everywhere)),
    ("certificate-compared-as-text", "A client certificate that is written in another way is another one.", unchecked(kmip.check_certificate_free, _other_text)),
    ("certificate-deletion-destroys-objects", "Deleting a client certificate destroys the KMIP objects that were made with it.", instead(answered, _objects_with_it, of_operation("deleteKmipClientCertificate"))),
    ("destroyed-object-gone", "A KMIP object that is deleted is gone, instead of destroyed.", instead(answered, _object_gone, of_operation("deleteKmipObject"))),
    ("adapter-deleted-with-objects", "A KMIP adapter is deleted with the active objects that it holds.", unchecked(kmip.check_objects)),
    ("adapter-held-by-destroyed-objects", "A KMIP adapter that has held objects is never deleted.", then(kmip.check_objects, _held_for_ever)),
    ("standard-key-adapted", "A KMIP adapter is made for a standard key.", unchecked(kmip.check_adaptable, lambda _, key, **__: key.extractable)),
    ("one-of-two-adapters-frees-key", "Deleting one of two KMIP adapters of a key frees the key.", instead(answered, _note_freed, of_operation("deleteKmipAdapter")), unchecked(keys.check_adapters, lambda _, key: key.id in _freed)),
    ("retention-stays-on", "A registration that has prevented the deletion of its key goes on to do so.", *(gives(answered, _note_prevention, of_operation(f"{verb}Registration")) for verb in ("create", "replace", "update")), gives(keys.deletion_prevented, _ever_prevented)),
    ("rotation-advances-registrations", "A rotation moves the registrations of a key to its newest version.", then(actions.add_version, _advance)),
    ("switched-off-policy-keeps-attributes", "A policy of the instance that is switched off keeps its attributes.", instead(instance_policies.set_policy, _keep_attributes)),
    ("switched-off-policy-not-shown", "A policy of the instance that is switched off is not shown.", gives(instance_policies.get_instance_policies, _enabled_only)),
)  # fmt: skip
"""Which law finds which of them stands in `reported_laws`."""
