"""A load: what counts as wrong, as an error, and as slow; and a real one against a reference that answers wrongly."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from kms_conformance.campaign.description import read_campaign
from kms_conformance.campaign.load import LoadResult, all_good, settings_of
from kms_conformance.campaign.load_figures import Seen, difference, quantile
from kms_reference.server import Server
from kms_reference.target import write_target

UNWRAP: dict[str, Any] = {"name": "unwrap", "status": 200, "code": "", "equals": {"plaintext": "a"}}
REFUSED: dict[str, Any] = {"name": "refused", "status": 404, "code": "KEY_NOT_FOUND_ERR", "equals": {}}


@pytest.mark.parametrize(
    ("operation", "status", "text", "wrong"),
    [
        (UNWRAP, 200, '{"plaintext": "a"}', ""),
        (UNWRAP, 200, '{"plaintext": "b"}', "200 with another plaintext"),
        (UNWRAP, 200, "<html>", "200 and no JSON"),
        (UNWRAP, 404, "", "404"),
        (REFUSED, 404, '{"code": "KEY_NOT_FOUND_ERR"}', ""),
        (REFUSED, 404, '{"code": "OTHER"}', "404 without that code"),
        (REFUSED, 200, "{}", "200"),
    ],
)
def test_difference(operation: dict[str, Any], status: int, text: str, wrong: str) -> None:
    """An answer is wrong by its status, its code or a value; the value is not repeated."""
    assert difference(operation, status, text) == wrong


def test_overload_is_no_breach() -> None:
    """429, 5xx and silence are errors; the first wrong answer is kept."""
    seen = Seen()
    for status in (429, 503, 0):
        seen.take(UNWRAP, status, "", 0.1)
    assert (seen.document()["errors"], seen.document()["wrong"]) == (3, 0)
    seen.take(REFUSED, 200, "{}", 0.1)
    seen.take(REFUSED, 403, "{}", 0.1)
    first = seen.document()["first_wrong"]
    assert (first["operation"], first["expected"], first["got"]) == (
        "refused",
        "404 KEY_NOT_FOUND_ERR",
        "200",
    )
    assert seen.document()["wrong"] == 2


def test_quantiles() -> None:
    """Percentiles are times that were measured."""
    times = [number / 100 for number in range(100, 0, -1)]
    assert [quantile(times, share) for share in (0.5, 0.95, 0.99)] == [0.51, 0.96, 1.0]
    assert quantile([3.0], 0.99) == 3.0


@pytest.mark.parametrize(
    ("wrong", "requests", "code", "passed", "expected"),
    [(0, 9, 3, 4, 0), (1, 9, 3, 4, 1), (0, 9, 1, 4, 1), (0, 0, 3, 4, 3), (0, 9, 3, 0, 3), (0, 9, 4, 0, 4)],
)
def test_exit_code(wrong: int, requests: int, code: int, passed: int, expected: int) -> None:
    """Green is only what was asked and answered rightly, by the load and by the cases beside it."""
    cases = {"code": code, "counts": {"passed": passed}, "line": "", "seconds": 1.0}
    result = LoadResult("e", 1.0, (), requests, 0, wrong, None, cases)
    assert result.exit_code == expected
    assert not all_good({"passed": 3, "inconclusive": 1})


def test_the_rate_of_the_endpoint_bounds_the_load(campaign_file: Callable[..., Path]) -> None:
    """A load sends no more than the endpoint allows, whatever it asks for."""
    campaign = read_campaign(campaign_file("[load]\nrequests_per_second = 900"))
    assert settings_of(campaign, campaign.endpoints[0]).per_second == 20.0


# Not by importing it: that replaces the sockets of this process.
@pytest.mark.skipif(find_spec("locust") is None, reason="the group `campaign` is not installed")
def test_load_finds_wrong_answers(tmp_path: Path, command: Callable[..., Any]) -> None:
    """Two seconds of load on a reference that unwraps wrongly: the answers are wrong, the run beside it is told, nothing is left."""
    with Server(defects=("unwrap-returns-other-plaintext",)) as server:
        write_target(tmp_path / "target.toml", server)
        (tmp_path / "campaign.toml").write_text(
            'name = "load"\ncontracts = ["key_protect"]\n[load]\nusers = 2\nseconds = 2\nmix = {"list keys" = 0}\n'
            'cases = "delete_twice"\n[[endpoints]]\nname = "one"\ntarget = "target.toml"\n'
        )
        ended = command("campaign", "campaign.toml", "--load")
        assert server.server_state is not None
        keys = [key for one in server.server_state.instances.values() for key in one.keys.values()]
    assert ended.code == 1, ended.output
    assert "unwrap: expected 200, got 200 with another plaintext" in ended.out
    assert "list keys" not in ended.out
    assert " passed; partial run" in ended.out
    assert keys
    assert all(key.state.name == "DESTROYED" for key in keys)
