"""KMIP adapters of root keys, their client certificates, and the objects that clients create."""

from kms_conformance.api import covers, needs

kmip = needs(capability="kmip")


@covers("kmip-adapter-life", "law-ownership-released-kmip")
@kmip
def test_life_of_an_adapter(kms):
    """A KMIP adapter is created for a root key, read by name and id, listed, and deleted."""
    key, name = kms.create_root_key(), kms.short_name("adapter")
    made = kms.create_adapter(key, name).succeeds(201, requirement="kmip-adapter-life")
    made.shows("resources.0.name", name).shows("resources.0.profile_data.crk_id", key.id)
    kms.get_adapter(name).succeeds(200, requirement="kmip-adapter-life").shows(
        "resources.0.id", made["resources.0.id"]
    )
    kms.get_adapter(made["resources.0.id"]).succeeds(200, requirement="kmip-adapter-life").shows(
        "resources.0.name", name
    )
    kms.list_adapters(crk_id=key.id).succeeds(200, requirement="kmip-adapter-life").lists(
        "resources.*.name", name
    )
    kms.delete_adapter(name).succeeds(204, requirement="kmip-adapter-life")
    kms.get_adapter(name).is_refused_somehow(404)
    counted = kms.list_adapters(crk_id=key.id, totalCount=True).succeeds(200, requirement="kmip-adapter-life")
    counted.shows("metadata.totalCount", 0, requirement="law-ownership-released-kmip")


@covers("kmip-adapter-duplicate-name")
@kmip
def test_adapter_of_the_same_name(kms):
    """A second KMIP adapter of the same name is refused."""
    key = kms.create_root_key()
    name = kms.new_adapter(key)
    kms.create_adapter(key, name).is_refused("KMIP_ADAPTER_DUPLICATE_NAME_ERR")


@covers("kmip-adapter-standard-key", "kmip-adapter-unknown-key")
@kmip
def test_adapter_without_a_root_key(kms):
    """Creating a KMIP adapter for an unknown key or a standard key is refused."""
    kms.new_adapter(kms.create_root_key())
    standard = kms.create_adapter(kms.create_standard_key(), kms.short_name("standard"))
    standard.is_refused("NATIVE_INVALID_CRK_ERR")
    nobody = kms.create_adapter("00000000-0000-4000-8000-000000000000", kms.short_name("nobody"))
    nobody.is_refused("NATIVE_CRK_ID_NOT_FOUND_ERR", requirement="kmip-adapter-unknown-key")


@covers("kmip-adapter-expiring-key", "kmip-adapter-expiring-key-allowed")
@kmip
def test_adapter_of_an_expiring_key(kms):
    """A KMIP adapter takes a key that expires only where the request allows that."""
    key = kms.create_root_key(expirationDate=kms.later(86_400))
    for allowing in ({}, {"allowExpiringKey": False}):
        refused = kms.create_adapter(key, kms.short_name("expires"), **allowing)
        refused.is_refused("NATIVE_INVALID_CRK_ERR", control="the same request succeeds below")
    allowed = kms.create_adapter(key, kms.short_name("allowed"), allowExpiringKey=True)
    allowed.succeeds(201, requirement="kmip-adapter-expiring-key-allowed")


@covers("kmip-adapter-holds-key")
@kmip
def test_delete_key_of_an_adapter(kms):
    """A key that a KMIP adapter uses cannot be deleted; once the adapter is deleted, it can."""
    kms.delete_key(kms.create_root_key()).succeeds(200, 204)
    key = kms.create_root_key()
    adapter = kms.new_adapter(key)
    kms.delete_key(key).is_refused_somehow(requirement="kmip-adapter-holds-key")
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 1)
    kms.delete_adapter(adapter).needed(204)
    kms.delete_key(key).succeeds(200, 204)


@covers(
    "kmip-certificate-life",
    "kmip-certificate-duplicate",
    "kmip-certificate-duplicate-name",
    "law-ownership-released-kmip",
)
@kmip
def test_certificates(kms):
    """A client certificate is added once, under a unique name, read, listed and deleted."""
    adapter, pem = kms.new_adapter(kms.create_root_key()), kms.client_certificate()
    name, other = kms.short_name("cert"), kms.short_name("other")
    row = "kmip-certificate-life"
    kms.add_certificate(adapter, name, pem).succeeds(201, requirement=row).shows("resources.0.name", name)
    again = kms.add_certificate(adapter, other, pem)
    again.is_refused("KMIP_CERT_DUPLICATE_ERR", requirement="kmip-certificate-duplicate")
    rewritten = kms.add_certificate(adapter, other, pem.replace("\n", "\r\n"))
    rewritten.is_refused_somehow(requirement="kmip-certificate-duplicate")
    same_name = kms.add_certificate(adapter, name, kms.client_certificate())
    same_name.is_refused("KMIP_CERT_DUPLICATE_NAME_ERR", requirement="kmip-certificate-duplicate-name")
    kms.get_certificate(adapter, name).succeeds(200, requirement=row).shows("resources.0.certificate")
    kms.list_certificates(adapter).succeeds(200, requirement=row).counts("resources", 1).lacks(
        "resources.0.certificate"
    )
    kms.delete_certificate(adapter, name).succeeds(204, requirement=row)
    counted = kms.list_certificates(adapter, totalCount=True).proof
    counted.shows("metadata.collectionTotal", 0, requirement=row)
    counted.shows("metadata.totalCount", 0, requirement="law-ownership-released-kmip")


@covers("kmip-certificate-life")
@kmip
def test_each_certificate_is_read_as_it_was_added(kms):
    """Of two client certificates of an adapter each is read with its own text."""
    adapter, row = kms.new_adapter(kms.create_root_key()), "kmip-certificate-life"
    texts = {}
    for what in ("one", "two"):
        name, pem = kms.short_name(what), kms.client_certificate()
        kms.add_certificate(adapter, name, pem).succeeds(201, requirement=row)
        texts[name] = pem
    for name, pem in texts.items():
        read, path = (
            kms.get_certificate(adapter, name).succeeds(200, requirement=row),
            "resources.0.certificate",
        )
        read.proof.shows(path, kms.as_shown(pem, read[path]), requirement=row)


@covers("invalid-field-err-certificate")
@kmip
def test_certificate_that_is_none(kms):
    """Adding a client certificate that is not PEM is refused."""
    adapter = kms.new_adapter(kms.create_root_key())
    kms.add_certificate(adapter, kms.short_name("cert"), kms.client_certificate()).needed(201)
    kms.add_certificate(adapter, kms.short_name("none"), "not a certificate").is_refused("INVALID_FIELD_ERR")


@covers("kmip-objects-empty")
@kmip
def test_no_objects(kms):
    """A new KMIP adapter has no objects."""
    adapter = kms.new_adapter(kms.create_root_key())
    listed = kms.list_kmip_objects(adapter).succeeds(200, requirement="kmip-objects-empty")
    listed.shows("metadata.collectionTotal", 0)


@covers("kmip-object-life", "kmip-object-without-force")
@needs(control=True, capability=("kmip", "faults"))
def test_life_of_an_object(kms):
    """An object that a KMIP client created is listed and read, and is destroyed by deletion."""
    adapter, row = kms.new_adapter(kms.create_root_key()), "kmip-object-life"
    thing = kms.make_kmip_object(adapter)
    kms.list_kmip_objects(adapter).succeeds(200, requirement=row).lists("resources.*.id", thing)
    kms.get_kmip_object(adapter, thing).succeeds(200, requirement=row).shows("resources.0.id", thing)
    # An active object may need force: the generated client says so, and KMIP does not destroy active objects.
    other = kms.make_kmip_object(adapter)
    kms.delete_kmip_object(adapter, other).succeeds(204, requirement="kmip-object-without-force")
    kms.delete_kmip_object(adapter, thing, force=True).succeeds(204, requirement=row)
    kms.get_kmip_object(adapter, thing).succeeds(200, requirement=row).shows("resources.0.state", 5)
    kms.list_kmip_objects(adapter).succeeds(200, requirement=row).lists_not("resources.*.id", thing)
