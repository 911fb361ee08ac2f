"""Job files for queues of others: every lane is run once, by the plain command, and nothing secret stands in them."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
import yaml

from kms_conformance.campaign.emit import EMITTERS, Emitted, emit
from kms_conformance.errors import BadValueError

WORK = "kms-conformance campaign work s3://bucket/night"


def job(**changes: Any) -> Emitted:
    """Return a campaign of six lanes."""
    usual = {
        "name": "night",
        "file": "campaign.toml",
        "results": "s3://bucket/night",
        "lanes": 6,
        "at_once": 4,
    }
    return Emitted(**(usual | changes))


def test_kubernetes() -> None:
    """An indexed Job has an index for each lane, takes secrets from a Secret, and runs without root's rights."""
    document = yaml.safe_load(emit("kubernetes", job()))
    spec = document["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 6, 4)
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert container["command"][-1] == f'{WORK} "$JOB_COMPLETION_INDEX" --state /state'
    assert container["envFrom"] == [{"secretRef": {"name": "night-secrets"}}]
    assert pod["securityContext"]["runAsNonRoot"] is True
    named = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == named


def test_kubernetes_folder() -> None:
    """Pods share a folder by its whole path, or not at all."""
    document = yaml.safe_load(emit("kubernetes", job(results="/results")))
    mounts = document["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    assert {"name": "results", "mountPath": "/results"} in mounts
    with pytest.raises(BadValueError):
        emit("kubernetes", job(results="results"))


@pytest.mark.parametrize("results", ["s3://bucket/night", "results"])
def test_github(results: str) -> None:
    """A matrix has an entry for each lane; without object storage, artifacts carry plan and shards."""
    document = yaml.safe_load(emit("github", job(results=results)))
    jobs = document["jobs"]
    assert jobs["shards"]["strategy"]["matrix"]["lane"] == list(range(6))
    assert all("${{" not in step.get("run", "") for one in jobs.values() for step in one["steps"])
    uses = [step.get("uses", "") for step in jobs["shards"]["steps"]]
    assert any("artifact" in use for use in uses) is (results == "results")
    assert jobs["merge"]["if"] == "always()"


def test_gitlab() -> None:
    """GitLab counts from one, the plan from zero."""
    document = yaml.safe_load(emit("gitlab", job()))
    assert document["kms-shards"]["parallel"] == 6
    assert document["kms-shards"]["script"] == [f'{WORK} "$((CI_NODE_INDEX - 1))"']


def test_slurm() -> None:
    """An array has an index for each lane, and bash can read the script."""
    text = emit("slurm", job())
    assert "#SBATCH --array=0-5%4" in text
    assert subprocess.run(["bash", "-n"], input=text, text=True, check=False).returncode == 0


@pytest.mark.parametrize("kind", sorted(EMITTERS))
def test_more_than_a_system_takes(kind: str) -> None:
    """More jobs than a system takes are refused before it refuses them."""
    with pytest.raises(BadValueError):
        emit(kind, job(lanes=1_000_000))
