"""IBM Key Protect as a system; :mod:`.adapter` has its requests as methods."""

from __future__ import annotations

from kms_conformance.system import UUID, Grant, Impact, InstanceForm, System

SYSTEM = System(
    id="key_protect",
    contract="kms_conformance.contracts/key_protect",
    scenarios=("kms_conformance.scenarios.key_protect",),
    adapter="kms_conformance.adapters.key_protect.adapter:KeyProtect",
    identities=("manager", "approver", "service", "reader", "outsider", "purger", "expired"),
    capabilities=(
        "registrations",
        "import_tokens",
        "key_rings",
        "aliases",
        "dual_auth",
        "kmip",
        "allowed_ip",
        "instance_policies",
        "faults",
    ),
    impacts={
        "instance": Impact("instance_policies", alone=True, operations=("putInstancePolicy",)),
        "allowed-ip": Impact("allowed_ip", alone=True),
        "import-token": Impact(
            "import_token", takes_turns=True, operations=("postImportToken", "getImportToken")
        ),
        "litter": Impact("dual_auth_litter", may_stay=True),
    },
    instance=InstanceForm(pattern=UUID, what="the UUID of the instance in its usual form"),
    grant=Grant("urn:ibm:params:oauth:grant-type:apikey", "apikey"),
    shared=frozenset({"policy", "fault"}),
    default=True,
    reference=True,
    apart=(
        ("manager", "approver", "service", "reader", "outsider"),
        ("manager", "purger", "service", "reader", "outsider"),
    ),
    rights="kms_conformance.adapters.key_protect.rights:RIGHTS",
    quotas="kms_conformance.adapters.key_protect.rights:quotas",
    lapsed=frozenset({"expired"}),
    premises="kms_conformance.adapters.key_protect.premises:SETTINGS",
    views="kms_conformance.adapters.key_protect.laws.views:VIEWS",
    load="kms_conformance.adapters.key_protect.load:operations",
    order=0,
)
