"""Policies of the instance: what is set is read, inherited, and not changed by a refused request."""

import pytest

from kms_conformance.api import covers, impact, needs

instance_policy = needs(capability="instance_policies")


@covers("instance-policy-put-get", "collection-total-mismatch-err-right-total")
@instance_policy
@impact("instance")
def test_set_and_read(kms):
    """An instance policy is set and read back, and collectionTotal counts its one resource."""
    kms.set_instance_policy("dualAuthDelete", enabled=False).succeeds(
        204, requirement="collection-total-mismatch-err-right-total"
    )
    kms.set_instance_policy("rotation", interval_month=5).succeeds(204)
    shown = kms.get_instance_policies("rotation").succeeds(200).counts("resources", 1)
    shown.shows("resources.0.policy_type", "rotation").shows("resources.0.policy_data.enabled", value=True)
    shown.shows("resources.0.policy_data.attributes.interval_month", 5)


@covers("instance-policy-metrics", "instance-policy-query")
@instance_policy
@impact("instance")
def test_metrics(kms):
    """The metrics policy is set without attributes, and is returned alone when it is asked for by name."""
    kms.set_instance_policy("dualAuthDelete", enabled=False).succeeds(204)
    kms.set_instance_policy("metrics").succeeds(204, requirement="instance-policy-metrics")
    shown = (
        kms.get_instance_policies("metrics")
        .succeeds(200)
        .counts("resources", 1, requirement="instance-policy-query")
    )
    shown.shows("resources.0.policy_type", "metrics").shows("resources.0.policy_data.enabled", value=True)


@covers("num-collection-resource-err-different-policies")
@instance_policy
@impact("instance")
def test_different_policies_in_one_request(kms):
    """Without a query, one request sets several instance policies."""
    metrics = {"policy_type": "metrics", "policy_data": {"enabled": True}}
    rotation = {
        "policy_type": "rotation",
        "policy_data": {"enabled": True, "attributes": {"interval_month": 4}},
    }
    kms.set_instance_policies(metrics, rotation).succeeds(
        204, requirement="num-collection-resource-err-different-policies"
    )
    for kind in ("metrics", "rotation"):
        kms.get_instance_policies(kind).succeeds(200).shows("resources.0.policy_data.enabled", value=True)


@pytest.mark.parametrize(
    ("code", "total", "kinds"),
    [
        pytest.param(
            "COLLECTION_TOTAL_MISMATCH_ERR", 2, ["rotation"], marks=covers("collection-total-mismatch-err")
        ),
        pytest.param(
            "BODY_QUERY_PARAM_MISMATCH_ERR",
            1,
            ["metrics"],
            marks=covers("body-query-param-mismatch-err-other-policy"),
        ),
        pytest.param(
            "NUM_COLLECTION_RESOURCE_ERR", 2, ["rotation"] * 2, marks=covers("num-collection-resource-err")
        ),
    ],
)
@covers("policy-refused-unchanged")
@instance_policy
@impact("instance")
def test_refused_policy_changes_nothing(kms, code, total, kinds):
    """A refused instance policy leaves the present policy unchanged."""
    kms.set_instance_policy("rotation", interval_month=7).succeeds(204)
    off = [{"policy_type": kind, "policy_data": {"enabled": False}} for kind in kinds]
    row = next(row for row in kms.case.info.covers if row != "policy-refused-unchanged")
    kms.put_instance_policies(kms.policy_body(*off, total=total), "rotation").is_refused(
        code, requirement=row
    )
    shown = kms.get_instance_policies("rotation").succeeds(200)
    shown.shows("resources.0.policy_data.enabled", value=True, requirement="policy-refused-unchanged")
    shown.shows(
        "resources.0.policy_data.attributes.interval_month", 7, requirement="policy-refused-unchanged"
    )


@covers("bad-body-err-attributes")
def test_attributes_where_none_belong(kms):
    """The dualAuthDelete policy with attributes is refused."""
    control = kms.instance_policy_control()
    same = kms.policy_as_it_is("dualAuthDelete")
    body = kms.policy_body(
        {**same, "policy_data": {**same["policy_data"], "attributes": {"interval_month": 3}}}
    )
    kms.put_instance_policies(body, "dualAuthDelete").is_refused("BAD_BODY_ERR", control=control)


@covers("instance-policy-attributes-missing")
@instance_policy
@impact("instance")
def test_attributes_that_are_missing(kms):
    """Enabling the allowedNetwork policy without its attributes is refused."""
    kms.set_instance_policy("allowedNetwork", allowed_network="public-and-private").succeeds(204)
    kms.set_instance_policy("allowedNetwork").is_refused_somehow()


@covers("instance-policy-put-get")
@instance_policy
@impact("instance")
def test_network_policy_goes_off(kms):
    """The allowedNetwork policy is switched off; older services ask for its attributes even then."""
    kms.set_instance_policy("allowedNetwork", allowed_network="public-and-private").succeeds(204)
    off = kms.set_instance_policy("allowedNetwork", enabled=False)
    if not off.ok:
        off = kms.set_instance_policy("allowedNetwork", enabled=False, allowed_network="public-and-private")
    off.succeeds(204)
    shown = kms.get_instance_policies("allowedNetwork").succeeds(200)
    shown.shows("resources.0.policy_data.enabled", value=False)


@covers("instance-policy-attributes-when-off")
@instance_policy
@impact("instance")
def test_attributes_of_a_policy_that_is_off(kms):
    """A disabled policy with attributes is refused; older services accept it."""
    kms.set_instance_policy("rotation", interval_month=3).succeeds(204)
    kms.set_instance_policy("rotation", enabled=False, interval_month=3).is_refused_somehow()


@covers("instance-policy-rotation-inherited", "key-policy-overrides-none")
@instance_policy
@impact("instance")
def test_rotation_is_inherited(kms):
    """A root key inherits the instance's rotation policy, unless it is created with policies of its own."""
    kms.set_instance_policy("rotation", interval_month=6).succeeds(204)
    key = kms.create_root_key()
    inherited = kms.get_policies(key, "rotation").succeeds(200)
    inherited.shows(
        "resources.0.rotation.interval_month", 6, requirement="instance-policy-rotation-inherited"
    )
    other = kms.create_key_with_policies().succeeds(201, requirement="key-policy-overrides-none")[
        "resources.0.id"
    ]
    kms.get_policies(other).succeeds(200).shows(
        "metadata.collectionTotal", 0, requirement="key-policy-overrides-none"
    )


@covers("instance-policy-dual-auth-inherited", "authorizations-not-met")
@needs(identity="approver", capability=("instance_policies", "dual_auth"))
@impact("instance", "litter")
def test_dual_authorisation_is_inherited(kms):
    """A key inherits the instance's dual-authorisation policy; a key created before it does not."""
    before = kms.create_root_key()
    kms.set_instance_policy("dualAuthDelete").succeeds(204)
    key = kms.create_root_key()
    shown = kms.get_policies(key, "dualAuthDelete").succeeds(200)
    shown.shows(
        "resources.0.dualAuthDelete.enabled", value=True, requirement="instance-policy-dual-auth-inherited"
    )
    kms.delete_key(before).succeeds(200, 204)
    kms.delete_key(key).is_refused("AUTHORIZATIONS_NOT_MET", requirement="authorizations-not-met")
