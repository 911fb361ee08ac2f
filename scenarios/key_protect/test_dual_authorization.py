"""Deletion by two users: sections 15 and 26."""

from kms_conformance.api import covers, impact, needs, waits

two_users = needs(identity="approver", capability="dual_auth")


@covers("not-dual-auth-err-set", "not-dual-auth-err")
def test_set_for_deletion_without_policy(kms):
    """A key without the dual-authorisation policy cannot be set for deletion."""
    key = kms.create_root_key()
    control = kms.get_policies(key).succeeds(200)
    kms.set_for_deletion(key).is_refused(
        "NOT_DUAL_AUTH_ERR", control=control, requirement=("not-dual-auth-err-set", "not-dual-auth-err")
    )
    kms.delete_key(key).succeeds()


@covers("not-dual-auth-err-unset")
def test_unset_for_deletion_without_policy(kms):
    """A key without the dual-authorisation policy cannot be unset for deletion."""
    key = kms.create_root_key()
    control = kms.get_policies(key).succeeds(200)
    kms.unset_for_deletion(key).is_refused("NOT_DUAL_AUTH_ERR", control=control)


@covers("dual-auth-disabled-row")
def test_policy_switched_off_before_it_was_on(kms):
    """Disabling the policy on a key that never had it succeeds and leaves a disabled policy."""
    key = kms.create_root_key()
    kms.put_policy(key, dualAuthDelete={"enabled": False}).succeeds(200)
    kms.get_policies(key).succeeds(200).shows("resources.0.dualAuthDelete.enabled", value=False)


def under_two(kms):
    """Return a new key whose deletion needs two users."""
    key = kms.create_root_key()
    kms.put_policy(key, query="dualAuthDelete", dualAuthDelete={"enabled": True}).succeeds(200)
    return key


@covers("authorizations-not-met", "authorizations-not-met-policy-listed")
@needs(capability="dual_auth")
@impact("litter")
def test_delete_without_authorisation(kms):
    """The page's own sequence: the policy is enabled and shown, and one user's deletion is refused."""
    kms.delete_key(kms.create_root_key()).succeeds(200, 204)
    key = under_two(kms)
    shown = kms.get_policies(key).succeeds(200)
    shown.shows(
        "resources.0.dualAuthDelete.enabled", value=True, requirement="authorizations-not-met-policy-listed"
    )
    kms.delete_key(key).is_refused("AUTHORIZATIONS_NOT_MET")
    kms.delete_key(key, force=True).is_refused("AUTHORIZATIONS_NOT_MET")
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 1)


@covers("authorizations-not-met-two-users", "dual-auth-second-user-deletes", "dual-auth-shown")
@two_users
@impact("litter")
def test_second_user_deletes(kms):
    """After one user authorises the deletion, which the key shows, another user can delete the key."""
    key = under_two(kms)
    kms.set_for_deletion(key).succeeds(204)
    shown = kms.get_metadata(key).succeeds(200).shows("resources.0.state", 1, requirement="dual-auth-shown")
    shown.shows("resources.0.dualAuthDelete.keySetForDeletion", value=True, requirement="dual-auth-shown")
    shown.shows("resources.0.dualAuthDelete.authExpiration", requirement="dual-auth-shown")
    kms.as_identity("approver").delete_key(key).succeeds(
        200, 204, requirement=("authorizations-not-met-two-users", "dual-auth-second-user-deletes")
    )
    kms.get_metadata(key).succeeds(200).shows(
        "resources.0.state", 5, requirement="dual-auth-second-user-deletes"
    )


@covers("authorizations-not-met-one-user-twice", "dual-auth-same-user-refused")
@two_users
@impact("litter")
def test_same_user_deletes(kms):
    """The user who authorised the deletion cannot delete the key; a second user can."""
    key = under_two(kms)
    kms.set_for_deletion(key).succeeds(204)
    kms.delete_key(key).is_refused(
        "AUTHORIZATIONS_NOT_MET",
        control="the same request succeeds below",
        requirement=("authorizations-not-met-one-user-twice", "dual-auth-same-user-refused"),
    )
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 1)
    kms.as_identity("approver").delete_key(key).succeeds(
        200, 204, requirement="authorizations-not-met-one-user-twice"
    )


@covers("dual-auth-withdrawn")
@two_users
@impact("litter")
def test_authorisation_is_withdrawn(kms):
    """Once the authorisation is withdrawn, the second user is refused until it is given again."""
    key, second = under_two(kms), kms.as_identity("approver")
    kms.set_for_deletion(key).succeeds(204)
    kms.unset_for_deletion(key).succeeds(204)
    second.delete_key(key).is_refused("AUTHORIZATIONS_NOT_MET", control="the same request succeeds below")
    kms.set_for_deletion(key).succeeds(204)
    second.delete_key(key).succeeds(200, 204, requirement="dual-auth-withdrawn")


@covers("dual-auth-window-lapses")
@two_users
@impact("litter")
@waits(604860)
def test_authorisation_lapses(kms):
    """An authorisation expires after seven days; a new one allows the deletion."""
    key, second = under_two(kms), kms.as_identity("approver")
    kms.set_for_deletion(key).succeeds(204)
    kms.wait(604860, "an authorisation expires after seven days")
    second.delete_key(key).is_refused("AUTHORIZATIONS_NOT_MET", control="the same request succeeds below")
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 1)
    kms.set_for_deletion(key).succeeds(204)
    second.delete_key(key).succeeds(200, 204, requirement="dual-auth-window-lapses")


@covers("dual-auth-six-days", "authorizations-not-met-two-users")
@two_users
@impact("litter")
@waits(518400)
def test_authorisation_stands(kms):
    """An authorisation is still valid after six days."""
    key = under_two(kms)
    kms.set_for_deletion(key).succeeds(204)
    kms.wait(518400, "the seven days are not over", within=604800)
    kms.as_identity("approver").delete_key(key).succeeds(
        200, 204, requirement=("dual-auth-six-days", "authorizations-not-met-two-users")
    )


@covers("dual-auth-not-revocable", "dual-auth-stays")
@two_users
@impact("litter")
def test_policy_cannot_be_taken_off(kms):
    """The dual-authorisation policy of a key cannot be disabled once it was enabled."""
    key = under_two(kms)
    kms.put_policy(key, query="dualAuthDelete", dualAuthDelete={"enabled": False}).is_refused_somehow()
    shown = kms.get_policies(key).succeeds(200)
    shown.shows("resources.0.dualAuthDelete.enabled", value=True, requirement="dual-auth-stays")


@covers("key-policies-empty")
def test_key_without_policies(kms):
    """A new key has no policies, unless its instance gives it some."""
    kms.demand_no_inherited_policies()
    kms.get_policies(kms.create_root_key()).succeeds(200).shows("metadata.collectionTotal", 0)


@covers("key-policy-rotation", "law-relations-policies")
def test_rotation_policy(kms):
    """A rotation policy is set and read back, and not shown where the other policy is asked for."""
    key = kms.create_root_key()
    kms.put_policy(key, query="rotation", rotation={"interval_month": 3}).succeeds(200)
    kms.get_policies(key, "rotation").succeeds(200).shows("resources.0.rotation.interval_month", 3)
    other, row = kms.get_policies(key, "dualAuthDelete").succeeds(200), "law-relations-policies"
    other.lists_not("resources.*.rotation.interval_month", 3, requirement=row)


@covers("invalid-field-err-interval")
def test_rotation_interval_out_of_range(kms):
    """A rotation policy with an interval of 0 or 13 months is refused."""
    key = kms.create_root_key()
    kms.put_policy(key, query="rotation", rotation={"interval_month": 12}).succeeds(200)
    refused = kms.put_policy(key, query="rotation", rotation={"interval_month": 13})
    refused.is_refused("INVALID_FIELD_ERR", target=("field", "interval_month"))
