"""A shard by a worker: its report, its secrets, its journal, and that it is not run twice."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kms_conformance.campaign.store import FolderStore, open_store
from kms_conformance.campaign.work import Task, run_task, toml_text
from kms_conformance.contract.case_index import listed_cases
from kms_conformance.outputs.shards import NAME
from kms_reference.server import Server


def test_toml_text() -> None:
    """What is written is what TOML reads."""
    document = {
        "a": 'x"\\\n\u00e9',
        "n": 1.5,
        "on": True,
        "t": {"b": "c", "deep er": {"l": ["1", "2"]}},
        "e": {},
    }
    assert tomllib.loads(toml_text(document)) == document


def test_a_folder_appears_as_a_whole(tmp_path: Path) -> None:
    """A second attempt takes the place of the first, and nothing of either is left beside it."""
    store = FolderStore(tmp_path / "results")
    for text in ("first", "second"):
        made = tmp_path / text
        made.mkdir()
        (made / "file").write_text(text)
        store.put_folder("shards/e/1-of-1", made)
    assert store.read("shards/e/1-of-1/file") == b"second"
    assert [path.name for path in (tmp_path / "results/shards/e").iterdir()] == ["1-of-1"]
    assert store.read("shards/e/nothing") is None


def test_a_shard_by_a_worker(
    reference: Server, tmp_path: Path, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two shards, cut by durations: secrets come from the environment, the verdict is that of the whole, nothing runs twice."""
    monkeypatch.chdir(tmp_path)
    key = reference.api_keys["manager"]
    target = (
        f'base_url = "{reference.base_url}"\ncontract = "iks"\n'
        f'[endpoints.target.iam]\nurl = "{reference.iam_url}"\n'
        '[endpoints.target.identities.manager]\napi_key_env = "SECRET_OF_THE_WORKER"\n'
        f'[endpoints.target.iks]\nbase_url = "{reference.base_url}"\naccount = "fresh"\n'
    )
    names = [case.id for case in listed_cases("iks")]
    # Nine seconds in all, which are two shards of five.
    cases = [{"id": name, "duration_s": round(9 / len(names), 3), "waited_s": 0} for name in names]
    (tmp_path / "earlier").mkdir()
    (tmp_path / "earlier/results.json").write_text(
        json.dumps({"target": {"base_url": reference.base_url}, "cases": cases})
    )
    (tmp_path / "campaign.toml").write_text(
        'name = "night"\ncontracts = ["iks"]\nfuzz = false\nearlier = ["earlier"]\nshard_seconds = 5\n'
        '[[endpoints]]\nname = "one"\nat_once = 2\n'
        f"[endpoints.target]\n{target}"
    )
    environment = {"SECRET_OF_THE_WORKER": key, "KMS_BASE_URL": "http://127.0.0.1:9"}
    ended = command("campaign", "campaign.toml", "--local", "2", **environment)
    shards = sorted((tmp_path / "campaign-results/shards/one/seed-1").iterdir())
    assert [shard.name for shard in shards] == ["1-of-2", "2-of-2"], ended.output
    outcomes = [json.loads((shard / "task.json").read_text()) for shard in shards]
    assert [outcome["state"] for outcome in outcomes] == ["complete", "complete"], ended.output
    merged = json.loads((tmp_path / "reports/campaign/campaign-results.json").read_text())
    parts = [json.loads((shard / NAME).read_text()) for shard in shards]
    counted = sum(merged["endpoints"][0]["runs"][0]["counts"].values())
    assert counted == parts[0]["cases_in_all"] == sum(len(part["cases"]) for part in parts)
    assert parts[0]["durations"] == parts[1]["durations"] != ""
    judged = command("judge", "reports/campaign/one/seed-1")
    assert judged.code == 0, judged.output
    assert ended.code == merged["exit_code"] == merged["endpoints"][0]["exit_code"]
    texts = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(key.encode() in text for text in texts)
    plan = json.loads((tmp_path / "campaign-results/campaign.json").read_text())
    again = run_task(plan["tasks"][0], str(tmp_path / "campaign-results"))
    assert again == outcomes[0]
    assert not list((tmp_path / ".kms-conformance/campaign/work").iterdir())


def test_a_wrong_target_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shard that cannot begin leaves the sentence of the run, and no other attempt is made."""
    monkeypatch.chdir(tmp_path)
    place = f"file://{tmp_path}/results"
    task = Task(
        "e/1-of-1", "e", "e", 1, "1/1", "nowhere.toml", ("--shard", "1/1"), durations=False, timeout=60
    )
    outcome = run_task(task.document(), place)
    assert (outcome["state"], outcome["code"]) == ("failed", 2)
    assert "nowhere.toml" in outcome["message"]
    assert open_store(place).read("shards/e/1-of-1/task.json") is not None
