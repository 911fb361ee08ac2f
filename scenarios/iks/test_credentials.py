"""Manual credentials: set, shown, unset, each in its own region and resource group (message 9)."""

import pytest

from kms_conformance.api import covers, impact


@covers("iks-01", "iks-01-status")
@impact("account")
def test_not_set(iks):
    """Asking for credentials that are not set is answered with code and text; once set, they are shown."""
    nothing = iks.get_credentials()
    nothing.is_refused("E0051", control=iks.get_user_config().needed(200), requirement="iks-01")
    nothing.is_refused_somehow(404, control=iks.get_user_config().needed(200), requirement="iks-01-status")
    iks.set_credentials(iks.credential()).succeeds(200, 204)
    iks.get_credentials().succeeds(200)


@covers("iks-02", "iks-no-secret")
@impact("account")
def test_set_and_shown(iks):
    """Credentials are shown with their user, and no answer contains their key."""
    credential = iks.credential()
    done = iks.set_credentials(credential).succeeds(200, 204)
    done.hides("infrastructure key", credential.key, requirement="iks-no-secret")
    shown = iks.get_credentials().succeeds(200).shows("apiUser", credential.user).lacks("apiKey")
    shown.hides("infrastructure key", credential.key, requirement="iks-no-secret")
    for other in (iks.get_permissions(), iks.get_user_config(), iks.list_clusters(), iks.unset_credentials()):
        other.hides("infrastructure key", credential.key, requirement="iks-no-secret")
    iks.get_credentials().hides("infrastructure key", credential.key, requirement="iks-no-secret")


@covers("iks-03", "iks-02")
@impact("account")
def test_unset(iks):
    """Credentials that were unset are not shown any more, and can be set again."""
    credential = iks.credential()
    for _ in range(2):
        iks.set_credentials(credential).succeeds(200, 204)
        iks.get_credentials().succeeds(200).shows("apiUser", credential.user, requirement="iks-02")
        iks.unset_credentials().succeeds()
        iks.get_credentials().is_refused("E0051")


@covers("iks-unset-twice", "iks-03")
@impact("account")
def test_unset_twice(iks):
    """Unsetting credentials that are not set changes nothing."""
    iks.set_credentials(iks.credential()).succeeds(200, 204)
    iks.unset_credentials().succeeds()
    iks.unset_credentials().succeeds(requirement="iks-unset-twice")
    control = iks.get_user_config().needed(200)
    iks.get_credentials().is_refused("E0051", control=control, requirement="iks-03")


@covers("iks-set-last-wins")
@impact("account")
def test_last_wins(iks):
    """Setting credentials twice keeps the second ones; setting the same ones again changes nothing."""
    first, second = iks.credential(), iks.credential("other")
    for credential in (first, second, second):
        iks.set_credentials(credential).succeeds(200, 204)
    iks.get_credentials().succeeds(200).shows("apiUser", second.user)


@covers("iks-04", "iks-03")
@impact("account")
@pytest.mark.parametrize("place", ["region", "group"])
def test_one_place(iks, place):
    """Credentials of one region or resource group are neither shown nor unset in another."""
    elsewhere = iks.in_other_region() if place == "region" else iks.in_other_group()
    mine, other = iks.credential(), iks.credential("other")
    iks.set_credentials(mine).succeeds(200, 204)
    iks.get_credentials().succeeds(200)
    elsewhere.get_credentials().is_refused("E0051", requirement="iks-04")
    elsewhere.get_user_config().succeeds(200).shows("storedIaasCredentials", value=False)
    elsewhere.set_credentials(other).succeeds(200, 204)
    iks.get_credentials().succeeds(200).shows("apiUser", mine.user)
    elsewhere.unset_credentials().succeeds()
    iks.get_credentials().succeeds(200).shows("apiUser", mine.user)
    elsewhere.get_credentials().is_refused("E0051", requirement=("iks-04", "iks-03"))


@covers("iks-04", "iks-02")
@impact("account")
@pytest.mark.parametrize("place", ["region", "group", "account"])
def test_one_user_in_two_places(iks, place):
    """One user's credentials are set and unset in one place, and stay in another one where they are set as well."""
    places = {"region": iks.in_other_region, "group": iks.in_other_group, "account": iks.in_other_account}
    mine, elsewhere = iks.credential(), places[place]()
    elsewhere.set_credentials(mine).succeeds(200, 204)
    for _ in range(2):
        iks.set_credentials(mine).succeeds(200, 204)
        iks.unset_credentials().succeeds()
        elsewhere.get_credentials().succeeds(200).shows("apiUser", mine.user)
    iks.set_credentials(iks.credential("other")).succeeds(200, 204)
    elsewhere.get_credentials().succeeds(200).shows("apiUser", mine.user, requirement=("iks-04", "iks-02"))
    elsewhere.unset_credentials().succeeds()
    iks.get_credentials().succeeds(200).shows("apiUser", iks.credential("other").user)


@covers("iks-04")
@impact("account")
def test_one_account(iks):
    """Credentials of one account are neither shown nor unset in another."""
    mine, elsewhere = iks.credential(), iks.in_other_account()
    iks.set_credentials(mine).succeeds(200, 204)
    iks.get_credentials().succeeds(200)
    elsewhere.get_credentials().is_refused("E0051")
    elsewhere.set_credentials(iks.credential("other")).succeeds(200, 204)
    iks.get_credentials().succeeds(200).shows("apiUser", mine.user)
    elsewhere.unset_credentials().succeeds()
    iks.get_credentials().succeeds(200).shows("apiUser", mine.user)


@covers("iks-05")
@impact("account")
def test_stored(iks):
    """The user configuration says whether manual credentials are stored."""
    iks.get_user_config().succeeds(200).shows("storedIaasCredentials", value=False)
    iks.set_credentials(iks.credential()).succeeds(200, 204)
    iks.get_user_config().succeeds(200).shows("storedIaasCredentials", value=True)
    iks.unset_credentials().succeeds()
    iks.get_user_config().succeeds(200).shows("storedIaasCredentials", value=False)
