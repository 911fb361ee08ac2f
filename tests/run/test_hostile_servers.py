"""A hostile server costs a bounded amount of memory and time, and never ends a run as an error of the suite."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commands import clean_environment, fork_server
from hostile_servers import MODES, OF_ISSUERS
from null_servers import serving
from runs import write_case

from kms_reference.server import Server

PEAK = 300
"""Mebibytes."""
CASES = """
@covers("list-keys")
def test_list(kms):
    kms.list_keys(limit=1).succeeds(200)

@covers("list-keys")
def test_thing(kms):
    kms.send("GET", "/api/v2/keys/7f1d1c4e-0000-4000-8000-000000000000").shows("resources.0.id")

@covers("create-standard-key")
def test_make(kms):
    kms.create_key().succeeds(201)
"""

WAITS = """
@covers("list-keys")
@waits(30)
def test_wait(kms):
    kms.list_keys(limit=1).succeeds(200)
    kms.wait(30, "nothing")
"""


def ended(tmp_path: Path, place: str, judged: str, expression: str, **target: Any) -> dict[str, Any]:
    """Run cases in a process of their own and return how that ended."""
    limits = {"timeout": 1.5, "patience": 0.5, "max_wait": 0}
    document = {"limits": limits, **target}
    words = (str(tmp_path / "report"), place, judged, expression, json.dumps(document))
    done = fork_server().start(tmp_path, "hostile_run", words, clean_environment())
    try:
        code = done.wait(120)
    finally:
        done.kill()
        done.wait()
    out, err = done.printed()
    assert code == 0, err[-2000:]
    report: dict[str, Any] = json.loads(out.splitlines()[-1])
    return report


def key_protect(tmp_path: Path, url: str) -> dict[str, Any]:
    """Run three cases of the first system."""
    place = write_case(tmp_path / "own", CASES)
    manager = {"manager": {"token": "a-token-of-nobody"}}
    return ended(tmp_path, str(place), "key_protect", "", base_url=url, instance="fresh", identities=manager)


@pytest.mark.parametrize("mode", MODES)
def test_endpoint(tmp_path: Path, mode: str) -> None:
    """Whatever an endpoint sends, memory is bounded, every report is written, and the verdict is the right one."""
    behaviour, code = MODES[mode]
    with serving(behaviour()) as server:
        report = key_protect(tmp_path, server.url)
    assert report["exit_code"] == code, report
    assert report["counts"]["error"] == 0, report
    assert report["peak_mib"] < PEAK
    assert json.loads((tmp_path / "report" / "results.json").read_text(encoding="utf-8"))["cases"]
    assert (tmp_path / "report" / "junit.xml").exists()


OTHERS = (
    "gzip-gzip-bomb",
    "many-objects",
    "long-text",
    "without-end",
    "header-without-end",
    "half-a-surrogate",
    "hang",
)


@pytest.mark.parametrize("mode", OTHERS)
@pytest.mark.parametrize("system", ["hpcs_tke", "iks"])
def test_other_systems(tmp_path: Path, system: str, mode: str) -> None:
    """The bounds are those of the engine: they hold for every system."""
    behaviour, _ = MODES[mode]
    with serving(behaviour()) as server:
        report = ended(
            tmp_path,
            f"kms_conformance.scenarios.{system}",
            system,
            "",
            base_url=server.url,
            contract=system,
            identities={"manager": {"token": "a-token-of-nobody"}},
            **({"instance": "7f1d1c4e-0000-4000-8000-000000000000"} if system == "hpcs_tke" else {}),
        )
    assert report["exit_code"] in {1, 3}, report
    assert report["counts"]["passed"] == 0
    assert report["peak_mib"] < PEAK


@pytest.mark.parametrize("mode", OF_ISSUERS)
@pytest.mark.parametrize("which", ["iam", "control"])
def test_issuers_and_control_protocols(tmp_path: Path, reference: Server, which: str, mode: str) -> None:
    """A token issuer or a control protocol that means harm is no fault of the endpoint, nor of the suite."""
    behaviour, _ = MODES[mode]
    place = write_case(tmp_path / "own", WAITS)
    urls = {"iam": reference.iam_url, "control": reference.control_url}
    with serving(behaviour()) as server:
        urls[which] = server.url
        report = ended(
            tmp_path,
            str(place),
            "key_protect",
            "",
            base_url=reference.base_url,
            instance="fresh",
            identities={"manager": {"api_key": reference.api_keys["manager"]}},
            **{name: {"url": url} for name, url in urls.items()},
            limits={"timeout": 1.5, "patience": 0.5, "max_wait": 60},
        )
    assert report["exit_code"] == 3, report
    assert report["counts"]["inconclusive"] + report["counts"]["not-tested"] == 1, report
    assert report["peak_mib"] < PEAK
