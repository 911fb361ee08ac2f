"""Without the optional packages: one sentence that names what to install, and exit code 2."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from kms_conformance.campaign import load
from kms_conformance.campaign.description import read_campaign
from kms_conformance.campaign.remote import DaskWorkers
from kms_conformance.campaign.store import open_store
from kms_conformance.errors import MissingExtraError


def test_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler needs distributed."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError) as missing:
        DaskWorkers("tcp://127.0.0.1:1", "results", "")
    assert missing.value.exit_code == 2
    assert "kms-conformance[campaign]" in missing.value.hint


def test_object_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Object storage needs fsspec and what belongs to it; a folder needs nothing."""
    monkeypatch.setitem(sys.modules, "fsspec", None)
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(MissingExtraError, match="s3fs"):
        open_store("s3://bucket/night")
    assert open_store("file:///tmp/a%20b").place == "/tmp/a b"


def test_load(monkeypatch: pytest.MonkeyPatch, campaign_file: Callable[..., Path], tmp_path: Path) -> None:
    """A load needs Locust."""
    monkeypatch.setattr(load, "find_spec", lambda name: None if name == "locust" else find_spec(name))
    campaign = read_campaign(campaign_file())
    with pytest.raises(MissingExtraError, match=r"kms-conformance\[load\]"):
        load.load_endpoint(campaign, campaign.endpoints[0], tmp_path / "load", lambda _: None)
    assert not (tmp_path / "load").exists()
