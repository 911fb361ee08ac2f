"""Requests at the same moment have the effects of one after the other."""

from functools import partial

import pytest

from kms_conformance.api import covers, impact

ACCEPTED = (200, 201, 202, 204)


@covers("iks-at-once")
@impact("account")
@pytest.mark.parametrize("place", ["region", "group"])
def test_credentials_of_two_places(iks, place):
    """Credentials that are set in two places at the same moment are set in both, and unset in one only."""
    elsewhere = iks.in_other_region() if place == "region" else iks.in_other_group()
    mine, other = iks.credential(), iks.credential("other")
    for done in iks.at_once(partial(iks.set_credentials, mine), partial(elsewhere.set_credentials, other)):
        done.succeeds(200, 204)
    iks.get_credentials().succeeds(200).shows("apiUser", mine.user)
    elsewhere.get_credentials().succeeds(200).shows("apiUser", other.user)


@covers("iks-at-once")
@impact("account")
@pytest.mark.parametrize("first", ["set", "reset"])
def test_credentials_and_api_key(iks, first):
    """Credentials that are set while the API key is reset are set."""
    mine = iks.credential()
    requests = [partial(iks.set_credentials, mine), iks.reset_api_key]
    for done in iks.at_once(*(requests if first == "set" else requests[::-1])):
        done.succeeds(200, 204)
    iks.get_credentials().succeeds(200).shows("apiUser", mine.user)


@covers("iks-at-once")
@impact("account")
def test_two_credentials(iks):
    """Of two credentials that are set at the same moment one is there afterwards, until the next one takes its place."""
    mine, other = iks.credential(), iks.credential("other")
    for done in iks.at_once(partial(iks.set_credentials, mine), partial(iks.set_credentials, other)):
        done.succeeds(200, 204)
    iks.get_credentials().succeeds(200).shows("apiUser")
    iks.get_user_config().succeeds(200).shows("storedIaasCredentials", value=True)
    iks.set_credentials(mine).succeeds(200, 204)
    iks.get_credentials().succeeds(200).shows("apiUser", mine.user)


@covers("iks-at-once")
@impact("account", "clusters")
def test_two_workers(iks):
    """Workers that are added at the same moment are all there."""
    cluster = iks.cluster()
    earlier = iks.worker_ids(cluster)
    for done in iks.at_once(partial(iks.add_worker, cluster), partial(iks.add_worker, cluster)):
        done.succeeds(*ACCEPTED)
    listed = iks.list_workers(cluster).succeeds(200).counts("", len(earlier) + 2)
    listed.selects("*.id", earlier, earlier)
