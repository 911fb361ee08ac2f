"""KMIP adapters in front of root keys, their client certificates, and the objects made through them."""

from __future__ import annotations

import re
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from cryptography.hazmat.primitives import hashes
from cryptography.x509 import load_pem_x509_certificate

from kms_reference.key_protect.clock import stamp
from kms_reference.key_protect.errors import RefusalError, bad_field, bad_query, plain
from kms_reference.key_protect.instance import new_id
from kms_reference.key_protect.model import KmipAdapter, KmipCertificate, KmipObject, State
from kms_reference.key_protect.search import paged
from kms_reference.key_protect.wire import (
    TYPE_PREFIX,
    UUID,
    Call,
    Members,
    Reply,
    collection,
    single_resource,
)
from kms_reference.rules import rule

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kms_reference.key_protect.model import Key

ADAPTER_TYPE: Final = TYPE_PREFIX + "kmip_adapter+json"
CERTIFICATE_TYPE: Final = TYPE_PREFIX + "kmip_client_certificate+json"
PROFILE: Final = "native_1.0"
DESTROYED: Final = (5, 6)
"""KMIP's own states: destroyed, destroyed compromised."""
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{2,40}", re.ASCII)
_MAX_DESCRIPTION: Final = 240
_MAX_PAGE, _PAGE = 200, 100
_MAX_OBJECTS: Final = 5_000
_STATES: Final = frozenset("123456")
_ACTIVE: Final = 2


def list_adapters(call: Call) -> Reply:
    """GET /kmip_adapters."""
    key_id = call.query.get("crk_id")
    if key_id is not None and not UUID.fullmatch(key_id):
        raise bad_query("crk_id", "a valid UUID")
    views = [_adapter_view(a) for a in call.instance.adapters.values() if key_id in (None, a.key_id)]
    return paged(call, "kmip_adapter+json", views, _MAX_PAGE, _PAGE)


def create_adapter(call: Call) -> Reply:
    """POST /kmip_adapters."""
    resource = single_resource(call.body(), ADAPTER_TYPE, "Only one KMIP adapter per request is supported")
    if resource.text("profile") != PROFILE:
        raise bad_field("profile", PROFILE)
    data = resource.object("profile_data")
    key_id = (data.text("crk_id") if data is not None else None) or ""
    if not UUID.fullmatch(key_id):
        raise bad_field("crk_id", "the UUID of a root key")
    name = _name(resource, "kmip_adapter_")
    description = resource.text("description") or ""
    check_description(call, description)
    expiring = call.flag("allowExpiringKey")
    check_name_free(call, name)
    key = call.instance.keys.get(key_id.lower())
    if key is None:
        raise RefusalError("NATIVE_CRK_ID_NOT_FOUND_ERR")
    check_adaptable(call, key, expiring=expiring)
    who = call.identity.iam_id
    adapter = KmipAdapter(new_id(call.instance), name, description, key.id, call.now, who, call.now, who)
    call.instance.adapters[adapter.id] = adapter
    call.instance.changed = True
    return Reply(201, collection("kmip_adapter+json", [_adapter_view(adapter)]))


@rule
def check_adaptable(_: Call, key: Key, *, expiring: bool) -> None:
    """An adapter stands in front of an active root key, one that expires only if that is allowed. Raises NATIVE_INVALID_CRK_ERR."""
    if key.extractable or key.state != State.ACTIVE or (key.expires is not None and not expiring):
        raise RefusalError("NATIVE_INVALID_CRK_ERR")


@rule
def check_description(_: Call, description: str) -> None:
    """An adapter's description has 240 characters at most. Raises INVALID_FIELD_ERR."""
    if len(description) > _MAX_DESCRIPTION:
        raise bad_field("description", f"at most {_MAX_DESCRIPTION} characters long")


@rule
def check_name_free(call: Call, name: str) -> None:
    """An adapter's name is unique in the instance. Raises KMIP_ADAPTER_DUPLICATE_NAME_ERR."""
    if any(adapter.name == name for adapter in call.instance.adapters.values()):
        raise RefusalError("KMIP_ADAPTER_DUPLICATE_NAME_ERR")


def get_adapter(call: Call) -> Reply:
    """GET /kmip_adapters/{id or name}."""
    return Reply(200, collection("kmip_adapter+json", [_adapter_view(adapter_of(call))]))


def delete_adapter(call: Call) -> Reply:
    """DELETE /kmip_adapters/{id or name}: not while it holds objects."""
    adapter = adapter_of(call)
    check_objects(call, adapter)
    del call.instance.adapters[adapter.id]
    call.instance.changed = True
    return Reply(204)


@rule
def check_objects(_: Call, adapter: KmipAdapter) -> None:
    """An adapter is deleted once its objects are destroyed. Raises 409."""
    if any(thing.state not in DESTROYED for thing in adapter.objects.values()):
        raise plain(409, "KMIP adapter could not be deleted: it holds KMIP objects that are not destroyed")


def list_objects(call: Call) -> Reply:
    """GET .../kmip_objects: without a state those that are not destroyed."""
    adapter = adapter_of(call)
    states = (call.query.get("state") or "1,2,3,4").split(",")
    if not set(states) <= _STATES:
        raise bad_query("state", "a comma separated list of KMIP object states 1 to 6")
    wanted = {int(state) for state in states}
    views = [_object_view(thing) for thing in adapter.objects.values() if thing.state in wanted]
    return paged(call, "kmip_object+json", views, _MAX_OBJECTS, _PAGE)


def get_object(call: Call) -> Reply:
    """GET .../kmip_objects/{id}."""
    return Reply(200, collection("kmip_object+json", [_object_view(object_of(call))]))


def delete_object(call: Call) -> Reply:
    """DELETE .../kmip_objects/{id}. Whether an active one needs `force` is not known; here it does not."""
    force = call.flag("force")
    thing = object_of(call)
    if thing.state in DESTROYED:
        raise plain(410, "KMIP object could not be deleted: it is destroyed")
    if thing.state == _ACTIVE and not force and call.rules.varies("active-kmip-object-needs-force"):
        raise plain(409, "KMIP object could not be deleted: it is active")
    thing.state, thing.destroyed = DESTROYED[0], call.now
    call.instance.changed = True
    return Reply(204)


def list_certificates(call: Call) -> Reply:
    """GET .../certificates: without the PEM texts."""
    views = [_certificate_view(one, pem=False) for one in adapter_of(call).certificates.values()]
    return paged(call, "kmip_client_certificate+json", views, _MAX_PAGE, _PAGE)


def add_certificate(call: Call) -> Reply:
    """POST .../certificates."""
    adapter = adapter_of(call)
    resource = single_resource(call.body(), CERTIFICATE_TYPE, "Only one certificate per request is supported")
    name = _name(resource, "kmip_cert_")
    pem = resource.text("certificate") or ""
    fingerprint = _fingerprint(pem)
    if any(one.name == name for one in adapter.certificates.values()):
        raise RefusalError("KMIP_CERT_DUPLICATE_NAME_ERR")
    check_certificate_free(call, fingerprint)
    made = KmipCertificate(new_id(call.instance), name, pem, fingerprint, call.now, call.identity.iam_id)
    adapter.certificates[made.id] = made
    _modified(call, adapter)
    return Reply(201, collection("kmip_client_certificate+json", [_certificate_view(made, pem=True)]))


@rule
def check_certificate_free(call: Call, fingerprint: str) -> None:
    """A certificate belongs to one adapter of the instance. Raises KMIP_CERT_DUPLICATE_ERR."""
    everywhere = (one for each in call.instance.adapters.values() for one in each.certificates.values())
    if any(one.fingerprint == fingerprint for one in everywhere):
        raise RefusalError("KMIP_CERT_DUPLICATE_ERR")


def get_certificate(call: Call) -> Reply:
    """GET .../certificates/{id or name}."""
    certificate = certificate_of(call)
    view = _certificate_view(certificate, pem=False) | {"certificate": shown_text(call, certificate)}
    return Reply(200, collection("kmip_client_certificate+json", [view]))


@rule
def shown_text(_: Call, certificate: KmipCertificate) -> str:
    """A certificate is shown as it was added."""
    return certificate.pem


def delete_certificate(call: Call) -> Reply:
    """DELETE .../certificates/{id or name}."""
    adapter = adapter_of(call)
    del adapter.certificates[certificate_of(call).id]
    _modified(call, adapter)
    return Reply(204)


def make_object(adapter: KmipAdapter, now: float) -> KmipObject:
    """Return what a KMIP client would make over its own protocol."""
    certificate = next(iter(adapter.certificates), str(uuid4()))
    thing = KmipObject(str(uuid4()), _ACTIVE, now, certificate)
    adapter.objects[thing.id] = thing
    return thing


def _modified(call: Call, adapter: KmipAdapter) -> None:
    """Note a change of an adapter, or of what it holds, with its time."""
    adapter.updated, adapter.updated_by = call.now, call.identity.iam_id
    call.instance.changed = True


def _named(things: Iterable[Any], reference: str) -> Any:
    return next((thing for thing in things if reference in (thing.id, thing.name)), None)


@rule
def adapter_of(call: Call) -> KmipAdapter:
    """Return the adapter that the path names by id or name. Raises 404."""
    adapter: KmipAdapter | None = _named(call.instance.adapters.values(), call.args["adapter"])
    if adapter is None:
        raise plain(404, "KMIP adapter could not be retrieved: it does not exist")
    return adapter


@rule
def object_of(call: Call) -> KmipObject:
    """Return the object of this adapter that the path names. Raises 404."""
    one = adapter_of(call).objects.get(call.args["object"])
    if one is None:
        raise plain(404, "KMIP object could not be retrieved: it does not exist")
    return one


@rule
def certificate_of(call: Call) -> KmipCertificate:
    """Return the certificate of this adapter that the path names by id or name. Raises 404."""
    certificate: KmipCertificate | None = _named(
        adapter_of(call).certificates.values(), call.args["certificate"]
    )
    if certificate is None:
        raise plain(404, "KMIP client certificate could not be retrieved: it does not exist")
    return certificate


def _name(resource: Members, prefix: str) -> str:
    name = resource.text("name") or prefix + token_hex(8)
    if not _NAME.fullmatch(name) or UUID.fullmatch(name):
        raise bad_field("name", "2 to 40 letters, digits, hyphens or underscores, and not a UUID")
    return name


def _fingerprint(pem: str) -> str:
    try:
        return load_pem_x509_certificate(pem.encode("utf-8", "replace")).fingerprint(hashes.SHA256()).hex()
    except ValueError:
        raise bad_field("certificate", "an X.509 certificate in PEM format") from None


def _adapter_view(adapter: KmipAdapter) -> dict[str, Any]:
    view: dict[str, Any] = {"id": adapter.id, "name": adapter.name}
    if adapter.description:
        view["description"] = adapter.description
    return view | {
        "profile": PROFILE,
        "profile_data": {"crk_id": adapter.key_id},
        "created_at": stamp(adapter.created),
        "created_by": adapter.created_by,
        "updated_at": stamp(adapter.updated),
        "updated_by": adapter.updated_by,
    }


def _certificate_view(certificate: KmipCertificate, *, pem: bool) -> dict[str, Any]:
    view: dict[str, Any] = {
        "id": certificate.id,
        "name": certificate.name,
        "created_at": stamp(certificate.created),
        "created_by": certificate.created_by,
    }
    return {**view, "certificate": certificate.pem} if pem else view


def _object_view(thing: KmipObject) -> dict[str, Any]:
    view: dict[str, Any] = {
        "id": thing.id,
        "kmip_object_type": 2,
        "state": thing.state,
        "created_at": stamp(thing.created),
        "created_by_kmip_client_cert_id": thing.certificate_id,
    }
    return view if thing.destroyed is None else {**view, "destroyed_at": stamp(thing.destroyed)}
