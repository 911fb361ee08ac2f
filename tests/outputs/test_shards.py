"""Shards: each case in one of them, and one run out of all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from campaign_shards import shard_run

from kms_conformance.errors import BadValueError
from kms_conformance.judging.verdict import Run
from kms_conformance.outputs.shards import in_shard, merge, read_shard, write_shard

IDS = [f"key_protect.a.case_{number}" for number in range(10)]


def run_of(case_ids: set[str], shard: str, *, failed: str = "") -> Run:
    """Return a part of a run of these cases."""
    return shard_run(shard, case_ids, contract_id="key_protect", row="bad-body-err", failed=failed)


def written(folder: Path, total: int, *, failed: str = "") -> list[Path]:
    """Write all shards of a run."""
    places = []
    for number in range(1, total + 1):
        shard = f"{number}/{total}"
        place = folder / str(number)
        place.mkdir()
        write_shard(
            run_of(in_shard(IDS, shard), shard, failed=failed), place, shard=shard, cases_in_all=len(IDS)
        )
        places.append(place)
    return places


@pytest.mark.parametrize("total", [1, 2, 3, 7, 12])
def test_each_case_is_in_one_shard(total: int) -> None:
    """Shards share nothing and leave nothing out."""
    parts = [in_shard(IDS, f"{number}/{total}") for number in range(1, total + 1)]
    assert sorted(case for part in parts for case in part) == IDS


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/2", "1/2/3"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    """A part that is no part of a whole ends in one sentence."""
    with pytest.raises(BadValueError):
        read_shard(text)


@pytest.mark.parametrize("failed", ["", IDS[3]])
def test_merged_run_has_the_verdict_of_one(tmp_path: Path, failed: str) -> None:
    """All shards make the verdict, the cases and the rows that one run has."""
    whole = run_of(set(IDS), "1/1", failed=failed)
    merged = merge(written(tmp_path, 3, failed=failed))
    assert merged.counts == whole.counts
    assert [(case.id, case.verdict) for case in merged.cases] == [
        (case.id, case.verdict) for case in whole.cases
    ]
    assert [result.verdict for result in merged.requirements] == [
        result.verdict for result in whole.requirements
    ]
    assert merged.incomplete == ""
    names = [exchange.id for case in merged.cases for exchange in case.exchanges]
    assert len({name for case in merged.cases for name in [exchange.id for exchange in case.exchanges]}) == 3
    assert len(names) == len(IDS)
    for case in merged.cases:
        assert {finding.exchange for finding in case.findings} <= {exchange.id for exchange in case.exchanges}


def test_missing_and_foreign_shards_are_refused(tmp_path: Path) -> None:
    """A shard that is missing, comes twice, or is of another run ends in one sentence."""
    places = written(tmp_path, 3)
    with pytest.raises(BadValueError):
        merge(places[:2])
    with pytest.raises(BadValueError):
        merge([places[0], places[0], places[1]])
    with pytest.raises(BadValueError):
        merge([tmp_path])
    text = (places[2] / "shard.json").read_text()
    (places[2] / "shard.json").write_text(
        text.replace('"edition": "page", "contracts"', '"edition": "service", "contracts"')
    )
    with pytest.raises(BadValueError):
        merge(places)


def test_shard_that_was_cut_short_is_no_verdict(tmp_path: Path) -> None:
    """A case that did not run in its shard is missing in the whole."""
    places = written(tmp_path, 2)
    short = run_of({IDS[0]}, "1/2")
    write_shard(short, places[0], shard="1/2", cases_in_all=len(IDS))
    assert "did not run" in merge(places).interrupted


def test_shards_and_the_whole_are_judged_again(command: Callable[..., Any]) -> None:
    """A part is judged by its number, the merged run with the target of each part."""
    for part in ("1", "2"):
        command("run", "--contract", "iks", "--shard", f"{part}/2", "--report-dir", f"part{part}")
        judged = command("judge", f"part{part}")
        assert "not as recorded" not in judged.out, judged.out
    assert command("merge", "part1", "part2", "--report-dir", "whole").code == 0
    judged = command("judge", "whole")
    assert (judged.code, judged.out.splitlines()[-1]) == (
        0,
        "judged again: the same verdict, findings and counts as recorded",
    )
