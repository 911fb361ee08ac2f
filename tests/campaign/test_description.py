"""The campaign file: what it may hold, and that it holds no secret."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kms_conformance.campaign.description import read_campaign
from kms_conformance.campaign.errors import CampaignFileError

Write = Callable[..., Path]

INLINE = """
[[endpoints]]
name = "one"
[endpoints.target]
base_url = "https://one.example.test"
instance = "7f1d1c4e-0000-4000-8000-000000000000"
[endpoints.target.identities.manager]
"""


def test_defaults(campaign_file: Write) -> None:
    """An endpoint with instances of its own takes several shards at once, any other one; a strange rate is bounded."""
    campaign = read_campaign(campaign_file())
    assert [(one.name, one.at_once, one.rate) for one in campaign.endpoints] == [
        ("one", 4, 20.0),
        ("two", 4, 20.0),
    ]
    shared = read_campaign(campaign_file(endpoints=INLINE + 'token_env = "KMS_TOKEN"\n'))
    assert [one.at_once for one in shared.endpoints] == [1]


@pytest.mark.parametrize("member", ["token", "api_key"])
def test_secrets_are_refused(campaign_file: Write, member: str) -> None:
    """A secret in the file would travel with the plan; the sentence does not repeat it."""
    path = campaign_file(endpoints=f'{INLINE}{member} = "sesame-sesame"\n')
    with pytest.raises(CampaignFileError) as refused:
        read_campaign(path)
    assert member in refused.value.sentence
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize(
    "more",
    ["seed = [1]", "seeds = []", 'profile = "other"', 'example_database = "redis://:word@host"', "name ="],
)
def test_wrong_files_are_refused(campaign_file: Write, more: str) -> None:
    """An unknown key, a value of the wrong kind and what is no TOML end in one sentence and exit code 2."""
    with pytest.raises(CampaignFileError) as refused:
        read_campaign(campaign_file(more))
    assert refused.value.exit_code == 2
    assert "word@" not in str(refused.value)


def test_missing_target_file(campaign_file: Write) -> None:
    """A target file that is not there is told by its path."""
    path = campaign_file(endpoints='[[endpoints]]\nname = "x"\ntarget = "nowhere.toml"\n')
    with pytest.raises(CampaignFileError, match="nowhere"):
        read_campaign(path)


def test_another_campaign_has_another_digest(campaign_file: Write) -> None:
    """What is judged makes a campaign, and where its results go does not."""
    first = read_campaign(campaign_file()).digest
    assert read_campaign(campaign_file('results = "elsewhere"')).digest == first
    assert read_campaign(campaign_file("seeds = [1, 2]")).digest != first
