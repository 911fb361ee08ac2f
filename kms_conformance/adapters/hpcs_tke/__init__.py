"""Trusted Key Entry of IBM Cloud Hyper Protect Crypto Services as a system; :mod:`.adapter` has its requests."""

from __future__ import annotations

from kms_conformance.system import Grant, Impact, InstanceForm, System

SYSTEM = System(
    id="hpcs_tke",
    contract="kms_conformance.contracts/hpcs_tke",
    scenarios=("kms_conformance.scenarios.hpcs_tke",),
    adapter="kms_conformance.adapters.hpcs_tke.adapter:TrustedKeyEntry",
    identities=("manager", "reader", "outsider", "expired"),
    impacts={"zeroize": Impact("zeroize", alone=True)},
    instance=InstanceForm(),
    grant=Grant("urn:ibm:params:oauth:grant-type:apikey", "apikey"),
    table={
        "base_url": {
            "type": "string",
            "pattern": "^https?://",
            "description": "Root of the TKE service; base_url where it is the same",
        },
        "instance": {
            "type": "string",
            "description": 'Id of the instance, or "fresh"; the KMS\'s where it is left out',
        },
        "kms_url": {
            "type": "string",
            "pattern": "^https?://",
            "description": "Root of the KMS of the same instance; base_url where it is left out",
        },
    },
    shown=("base_url", "instance"),
    shared=frozenset({"unit"}),
    reproduction="kms_conformance.adapters.hpcs_tke.recorded_frames:REPRODUCTION",
    default=True,
    reference=True,
    order=10,
)
