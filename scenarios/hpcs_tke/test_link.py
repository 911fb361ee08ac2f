"""What the KMS of the same instance does with its crypto units."""

from kms_conformance.api import covers, impact


@covers("tke-crypto-ready")
@impact("zeroize")
def test_kms_needs_a_master_key(tke):
    """The KMS wraps only while every operational unit holds a current master key."""
    by, plaintext = tke.administrators(1), tke.key_material()
    units = [tke.operational(unit) for unit in tke.fresh_units()]
    control = units[0].attributes().needed()
    tke.kms_create_root_key().is_refused_somehow(*range(400, 600), control=control)
    for unit in units[:-1]:
        unit.load_key(by)
        tke.kms_create_root_key().is_refused_somehow(*range(400, 600), control=control)
    units[-1].load_key(by)
    key = tke.kms_create_root_key().succeeds(200, 201)["resources.0.id"]
    for empty in (units[-1].clear_current, units[0].zeroize):
        tke.kms_wrap(key, plaintext).succeeds(200)
        empty(by).succeeds()
        tke.kms_wrap(key, plaintext).is_refused_somehow(*range(400, 600)).lacks("ciphertext")
        if empty == units[-1].clear_current:
            units[-1].load_key(by)


@covers("tke-crypto-ready", "tke-finalize")
@impact("zeroize")
def test_kms_after_finalizing(tke):
    """The KMS can use an imported master key once it is finalized, not before."""
    by = tke.administrators(1)
    units = [tke.operational(unit) for unit in tke.fresh_units()]
    patterns = []
    for unit in units:
        unit.import_key([bytes(range(32))], by).needed()
        patterns.append(unit.new_pattern())
        unit.commit(patterns[-1], by).needed()
    tke.kms_create_root_key().is_refused_somehow(*range(400, 600), control=units[0].attributes().needed())
    for unit, pattern in zip(units, patterns, strict=True):
        unit.finalize(pattern, by).succeeds(requirement="tke-finalize")
    tke.kms_create_root_key().succeeds(200, 201)
