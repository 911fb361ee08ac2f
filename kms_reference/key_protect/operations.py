"""The table of operations: methods, paths, roles and the words of their refusals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from kms_reference.key_protect import (
    actions,
    aliases,
    import_tokens,
    instance_policies,
    key_policies,
    keys,
    kmip,
    registrations,
    rings,
    search,
)
from kms_reference.key_protect.wire import Handler, Operation

API_ROOT: Final = "/api/v2"
READER: Final = frozenset({"Reader"})
READER_PLUS: Final = frozenset({"ReaderPlus"})
WRITER: Final = frozenset({"Writer"})
MANAGER: Final = frozenset({"Manager"})
PURGER: Final = frozenset({"KeyPurge"})
KMIP: Final = frozenset({"Manager", "KmipAdapterManager"})
ANY: Final[frozenset[str]] = frozenset()

_ACTION: Final = "Action could not be performed on key"
_READ_KEY: Final = "Key could not be retrieved"
_READ_KEYS: Final = "Keys could not be retrieved"
_POLICY: Final = "Instance policy could not be created"


def _op(  # noqa: PLR0917 - the columns of the table, in its order
    operation: str,
    method: str,
    path: str,
    roles: frozenset[str],
    subject: str,
    handler: Handler,
    *,
    service_subject: str = "",
    service_only: bool = False,
) -> Operation:
    return Operation(
        operation,
        method,
        path,
        roles,
        subject,
        handler,
        service_subject,
        service_only,
        writes=method not in ("GET", "HEAD") and roles != READER,
    )


def _actions() -> list[Operation]:
    path = "/keys/{id}/actions/"
    rows: tuple[tuple[str, str, frozenset[str], str, str, Handler], ...] = (
        ("wrapKey", "wrap", READER, _ACTION, "Wrap with key could not be performed", actions.wrap),
        ("unwrapKey", "unwrap", READER, _ACTION, "Unwrap with key could not be performed", actions.unwrap),
        ("rewrapKey", "rewrap", READER, _ACTION, "Rewrap with key could not be performed", actions.rewrap),
        ("rotateKey", "rotate", WRITER, _ACTION, "Key could not be rotated", actions.rotate),
        ("setKeyForDeletion", "setKeyForDeletion", WRITER, _ACTION, "", actions.set_for_deletion),
        ("unsetKeyForDeletion", "unsetKeyForDeletion", WRITER, _ACTION, "", actions.unset_for_deletion),
        ("enableKey", "enable", MANAGER, "Key could not be enabled", "", actions.enable),
        ("disableKey", "disable", MANAGER, "Key could not be disabled", "", actions.disable),
        (
            "syncAssociatedResources",
            "sync",
            WRITER,
            "Could not initiate sync requests to associated resources",
            "",
            actions.sync,
        ),
    )
    return [
        _op(name, "POST", path + action, roles, subject, handler, service_subject=service)
        for name, action, roles, subject, service, handler in rows
    ]


def _registrations() -> list[Operation]:
    path = "/keys/{id}/registrations/{crn}"
    rows: tuple[tuple[str, str, Handler], ...] = (
        ("createRegistration", "POST", registrations.create_registration),
        ("replaceRegistration", "PUT", registrations.replace_registration),
        ("updateRegistration", "PATCH", registrations.update_registration),
        ("deleteRegistration", "DELETE", registrations.delete_registration),
    )
    return [
        _op(name, method, path, ANY, _ACTION, handler, service_only=True) for name, method, handler in rows
    ]


def _kmip() -> list[Operation]:
    adapters, one = "/kmip_adapters", "/kmip_adapters/{adapter}"
    objects, certificates = f"{one}/kmip_objects", f"{one}/certificates"
    thing, certificate = f"{objects}/{{object}}", f"{certificates}/{{certificate}}"
    rows: tuple[tuple[str, str, str, str, Handler], ...] = (
        ("getKmipAdapters", "GET", adapters, "KMIP adapters could not be retrieved", kmip.list_adapters),
        ("createKmipAdapter", "POST", adapters, "KMIP adapter could not be created", kmip.create_adapter),
        ("getKmipAdapter", "GET", one, "KMIP adapter could not be retrieved", kmip.get_adapter),
        ("deleteKmipAdapter", "DELETE", one, "KMIP adapter could not be deleted", kmip.delete_adapter),
        ("getKmipObjects", "GET", objects, "KMIP objects could not be retrieved", kmip.list_objects),
        ("getKmipObject", "GET", thing, "KMIP object could not be retrieved", kmip.get_object),
        ("deleteKmipObject", "DELETE", thing, "KMIP object could not be deleted", kmip.delete_object),
        (
            "getKmipClientCertificates",
            "GET",
            certificates,
            "KMIP client certificates could not be retrieved",
            kmip.list_certificates,
        ),
        (
            "addKmipClientCertificate",
            "POST",
            certificates,
            "KMIP client certificate could not be created",
            kmip.add_certificate,
        ),
        (
            "getKmipClientCertificate",
            "GET",
            certificate,
            "KMIP client certificate could not be retrieved",
            kmip.get_certificate,
        ),
        (
            "deleteKmipClientCertificate",
            "DELETE",
            certificate,
            "KMIP client certificate could not be deleted",
            kmip.delete_certificate,
        ),
    )
    return [_op(name, method, path, KMIP, subject, handler) for name, method, path, subject, handler in rows]


OPERATIONS: Final[tuple[Operation, ...]] = (
    # `/keys/registrations` comes before `/keys/{id}`: the word can never be an alias.
    _op(
        "getRegistrationsAllKeys",
        "GET",
        "/keys/registrations",
        READER,
        _READ_KEYS,
        registrations.list_for_all,
    ),
    _op("getKeyCollectionMetadata", "HEAD", "/keys", READER, _READ_KEYS, search.head_keys),
    _op("createKey", "POST", "/keys", WRITER, "Key could not be created", keys.create_key),
    _op("getKeys", "GET", "/keys", READER, _READ_KEYS, search.list_keys),
    _op(
        "createKeyWithPoliciesOverrides",
        "POST",
        "/keys_with_policy_overrides",
        MANAGER,
        "Key could not be created",
        keys.create_key_with_overrides,
    ),
    _op("getKey", "GET", "/keys/{id}", READER_PLUS, _READ_KEY, keys.get_key),
    _op("patchKey", "PATCH", "/keys/{id}", MANAGER, _ACTION, keys.patch_key),
    _op("deleteKey", "DELETE", "/keys/{id}", MANAGER, "Key could not be deleted", keys.delete_key),
    _op("getKeyMetadata", "GET", "/keys/{id}/metadata", READER, _READ_KEY, keys.get_key_metadata),
    _op(
        "getKeyVersions",
        "GET",
        "/keys/{id}/versions",
        READER,
        "KeyVersion(s) could not be retrieved",
        search.list_versions,
    ),
    _op("restoreKey", "POST", "/keys/{id}/restore", MANAGER, "Key could not be restored", keys.restore_key),
    _op("purgeKey", "DELETE", "/keys/{id}/purge", PURGER, "Key could not be purged", keys.purge_key),
    *_actions(),
    _op("putPolicy", "PUT", "/keys/{id}/policies", MANAGER, _ACTION, key_policies.put_policies),
    _op("getPolicy", "GET", "/keys/{id}/policies", MANAGER, _ACTION, key_policies.get_policies),
    _op(
        "putInstancePolicy",
        "PUT",
        "/instance/policies",
        MANAGER,
        _POLICY,
        instance_policies.put_instance_policies,
    ),
    _op(
        "getInstancePolicy",
        "GET",
        "/instance/policies",
        MANAGER,
        "Instance policy could not be retrieved",
        instance_policies.get_instance_policies,
    ),
    _op(
        "getAllowedIPPort",
        "GET",
        "/instance/allowed_ip_port",
        MANAGER,
        "Instance policy could not be retrieved",
        instance_policies.get_allowed_ip_port,
    ),
    _op(
        "postImportToken",
        "POST",
        "/import_token",
        WRITER,
        "Import Token could not be created",
        import_tokens.post_import_token,
    ),
    _op(
        "getImportToken",
        "GET",
        "/import_token",
        WRITER,
        "Import Token could not be retrieved",
        import_tokens.get_import_token,
    ),
    _op("getRegistrations", "GET", "/keys/{id}/registrations", READER, _ACTION, registrations.list_for_key),
    *_registrations(),
    _op(
        "eventAcknowledge",
        "POST",
        "/event_ack",
        ANY,
        _ACTION,
        registrations.acknowledge_event,
        service_only=True,
    ),
    _op("createKeyAlias", "POST", "/keys/{id}/aliases/{alias}", WRITER, _ACTION, aliases.create_alias),
    _op("deleteKeyAlias", "DELETE", "/keys/{id}/aliases/{alias}", WRITER, _ACTION, aliases.delete_alias),
    _op("listKeyRings", "GET", "/key_rings", READER, "Key rings could not be retrieved", rings.list_rings),
    _op(
        "createKeyRing",
        "POST",
        "/key_rings/{ring}",
        WRITER,
        "Key ring could not be created",
        rings.create_ring,
    ),
    _op(
        "deleteKeyRing",
        "DELETE",
        "/key_rings/{ring}",
        MANAGER,
        "Key ring could not be deleted",
        rings.delete_ring,
    ),
    *_kmip(),
)

BY_ACTION: Final = {
    operation.path.rpartition("/")[2]: operation
    for operation in OPERATIONS
    if operation.path.startswith("/keys/{id}/actions/") or operation.id == "restoreKey"
}
"""Operations by the value of `?action=` in the older form."""


@dataclass(frozen=True, slots=True)
class Match:
    """What a path leads to: operations by method, and the path's arguments."""

    methods: dict[str, Operation]
    args: dict[str, str]


@dataclass(slots=True)
class _Node:
    methods: dict[str, Operation]
    fixed: dict[str, _Node]
    name: str = ""
    free: _Node | None = None


def _tree() -> _Node:
    root = _Node({}, {})
    for operation in OPERATIONS:
        node = root
        for segment in operation.path.strip("/").split("/"):
            if segment.startswith("{"):
                if node.free is None:
                    node.name, node.free = segment.strip("{}"), _Node({}, {})
                node = node.free
            else:
                node = node.fixed.setdefault(segment, _Node({}, {}))
        node.methods[operation.method] = operation
    return root


_ROOT: Final = _tree()


def match(raw_path: str) -> Match | None:
    """Find a still percent-encoded path below the API root; arguments come back decoded.

    A fixed word wins over an argument, so `/keys/registrations` is never a key.
    """
    node = _ROOT
    args: dict[str, str] = {}
    segments = raw_path.strip("/").split("/")
    for at, segment in enumerate(segments):
        if node.name == "crn":
            # A CRN holds a slash; clients that do not encode it mean the same resource.
            args["crn"] = unquote("/".join(segments[at:]))
            node = node.free or node
            break
        fixed = node.fixed.get(segment)
        if fixed is not None:
            node = fixed
        elif node.free is not None and segment:
            args[node.name] = unquote(segment)
            node = node.free
        else:
            return None
    return Match(node.methods, args) if node.methods else None
