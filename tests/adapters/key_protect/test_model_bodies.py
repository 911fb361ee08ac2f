"""Whatever a request holds, the model answers: it is asked about fuzzed bodies too."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kms_conformance.adapters.key_protect.model import OPERATIONS, SERVICE, Instance, Operation, apply
from kms_conformance.adapters.key_protect.model.bodies import KIND
from kms_conformance.adapters.key_protect.model.state import Adapter, Key, KmipObject, Version

NOW = 1_800_000_000.0
NAMES = st.sampled_from(
    ["metadata", "resources", "type", "name", "payload", "iv", "encryptedNonce", "aad", "plaintext", "ciphertext",
     "rotation", "dualAuthDelete", "enabled", "interval_month", "policy_type", "policy_data", "attributes", "tags",
     "aliases", "expirationDate", "extractable", "profile", "profile_data", "crk_id", "certificate", "keyRingID",
     "collectionType", "collectionTotal", "preventKeyDeletion", "expiration"]
)  # fmt: skip
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 99)
    | st.floats(allow_nan=False)
    | st.sampled_from(["", "AAAA", "keys", f"{KIND}key+json"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
COLLECTION = st.builds(
    lambda kind, resource: {
        "metadata": {"collectionType": f"{KIND}{kind}+json", "collectionTotal": 1},
        "resources": [resource],
    },
    st.sampled_from(["key", "policy", "kmip_adapter", "kmip_client_certificate", "registration_input"]),
    st.dictionaries(NAMES, JSON, max_size=6),
)
KEY = Key("k", "a key", standard=False, created=NOW, imported=True, versions=(Version("k", NOW),))
STATE = Instance(keys=(KEY,), adapters=(Adapter("a", "a", "k", NOW, objects=(KmipObject("o"),)),))
PATH = {
    "id": "k",
    "alias": "x1",
    "key_ring_id": "r1",
    "resource_crn": "c",
    "adapter_id": "a",
    "cert_id": "c",
    "object_id": "o",
}
QUERY = st.dictionaries(
    st.sampled_from(
        ["limit", "offset", "state", "filter", "sort", "search", "policy", "force", "action", "totalCount"]
    ),
    st.sampled_from(
        ["", "1", "-1", "true", "state=1", "creationDate=lt:x", "not:exact:", "wrap", "sync", "rotation"]
    ),
    max_size=3,
)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(name=st.sampled_from(sorted(OPERATIONS)), body=JSON | COLLECTION, query=QUERY, service=st.booleans())
def test_the_model_never_fails(name: str, body: Any, query: dict[str, str], *, service: bool) -> None:
    """A prediction is made of any JSON, and it allows something; a state after it can be hashed."""
    operation = Operation(name, path=PATH, query=query, body=body)
    if service:
        operation = Operation(name, SERVICE, path=PATH, query=query, body=body)
    prediction, after = apply(STATE, operation, NOW + 10)
    assert prediction.success or prediction.refused
    assert hash(after) is not None
