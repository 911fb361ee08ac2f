"""Credentials of IBM Cloud Kubernetes Service as a system; :mod:`.adapter` has its requests as methods."""

from __future__ import annotations

from kms_conformance.system import Grant, Impact, InstanceForm, System

SYSTEM = System(
    id="iks",
    contract="kms_conformance.contracts/iks",
    scenarios=("kms_conformance.scenarios.iks",),
    adapter="kms_conformance.adapters.iks.adapter:KubernetesService",
    identities=("manager", "approver", "reader", "outsider", "expired"),
    capabilities=("faults",),
    impacts={"account": Impact("credentials", alone=True), "clusters": Impact("clusters")},
    instance=InstanceForm(key="account", what="the id of the account", default=""),
    grant=Grant("urn:ibm:params:oauth:grant-type:apikey", "apikey"),
    table={
        "base_url": {
            "type": "string",
            "pattern": "^https?://",
            "description": "Root of the service, without /global",
        },
        "account": {"type": "string", "description": 'Id of the account, or "fresh" for a new one per case'},
        "region": {
            "type": "string",
            "description": "Region whose credentials may be changed",
            "default": "us-south",
        },
        "resource_group": {
            "type": "string",
            "description": "Id of the resource group; the default one where it is left out",
        },
        "other_region": {"type": "string", "default": "eu-de"},
        "other_group": {"type": "string", "description": "Id of a second resource group"},
        "user": {"type": "string", "description": "An infrastructure user"},
        "key_env": {"type": "string", "description": "Variable that holds the user's infrastructure key"},
        "other_user": {"type": "string", "description": "A user of another infrastructure account"},
        "other_key_env": {"type": "string"},
    },
    shown=("base_url", "account", "region", "resource_group"),
    shared=frozenset({"credentials"}),
    default=True,
    reference=True,
    order=20,
)
