"""The same shards for queues of others: an indexed Job, a matrix, an array. Pure.

Each index runs one lane of the plan (:func:`~kms_conformance.campaign.plan.lanes`) by ``campaign work``: an endpoint has as
many lanes as shards may be under way against it, so that rates and locks hold without anybody who watches.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from kms_conformance import __version__
from kms_conformance.errors import BadValueError

IMAGE = f"registry.example.com/kms-conformance:{__version__}"
_MOST = {"github": 256, "gitlab": 200, "kubernetes": 100_000, "slurm": 1000}
"""How many jobs the systems take of one matrix, ``parallel``, Job or (as usually set up) array."""


@dataclass(frozen=True, slots=True)
class Emitted:
    """What a job is written from: the campaign's name and file, the place of its results, its lanes, and how many at once."""

    name: str
    file: str
    results: str
    lanes: int
    at_once: int

    @property
    def plan(self) -> str:
        """The command that writes the plan into the results."""
        return shlex.join(
            ["kms-conformance", "campaign", "plan", self.file, "--results", self.results, "--quiet"]
        )

    def work(self, index: str) -> str:
        """Return the command of one index, which a variable of the shell has."""
        return f"kms-conformance campaign work {shlex.quote(self.results)} {index}"

    @property
    def merge(self) -> str:
        """The command that merges what is there."""
        return shlex.join(["kms-conformance", "merge", self.results, "--report-dir", "reports/campaign"])


def emit(kind: str, job: Emitted) -> str:
    """Return the file for a system: ``kubernetes``, ``github``, ``gitlab`` or ``slurm``; :class:`BadValueError` where it is too much."""
    if job.lanes > _MOST[kind]:
        why = f"{kind} takes at most {_MOST[kind]} jobs at a time, and this campaign has {job.lanes} lanes"
        raise BadValueError("--emit", kind, why, "lower at_once of the endpoints, or split the campaign.")
    return EMITTERS[kind](job)


def _kubernetes(job: Emitted) -> str:
    shared = "://" not in job.results or job.results.startswith("file://")
    if shared and not job.results.removeprefix("file://").startswith("/"):
        why = "pods share a folder by its whole path"
        raise BadValueError(
            "results", job.results, why, "write --results /results (a volume), or s3://bucket/folder."
        )
    mounts = [{"name": "campaign", "mountPath": "/etc/kms-campaign", "readOnly": True}]
    volumes: list[dict[str, Any]] = [
        {"name": "campaign", "configMap": {"name": f"{job.name}-campaign"}},
        {"name": "state", "emptyDir": {}},
    ]
    mounts.append({"name": "state", "mountPath": "/state"})
    if shared:
        folder = job.results.removeprefix("file://")
        mounts.append({"name": "results", "mountPath": folder})
        volumes.append({"name": "results", "persistentVolumeClaim": {"claimName": f"{job.name}-results"}})
    work = job.work('"$JOB_COMPLETION_INDEX"')
    container = {
        "name": "shards",
        "image": IMAGE,
        "command": ["/bin/sh", "-c", f"{work} --state /state"],
        "workingDir": "/etc/kms-campaign",
        "envFrom": [{"secretRef": {"name": f"{job.name}-secrets"}}],
        "resources": {"requests": {"cpu": "500m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": mounts,
    }
    document = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": job.name},
        "spec": {
            "completionMode": "Indexed",
            "completions": job.lanes,
            "parallelism": min(job.at_once, job.lanes),
            "backoffLimitPerIndex": 2,
            "maxFailedIndexes": job.lanes,
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "terminationGracePeriodSeconds": 90,
                    "automountServiceAccountToken": False,
                    "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "fsGroup": 10001},
                    "containers": [container],
                    "volumes": volumes,
                }
            },
        },
    }
    head = (
        f"# Before: {job.plan}\n"
        f"#         kubectl create configmap {job.name}-campaign --from-file=.   (the target files)\n"
        f"#         kubectl create secret generic {job.name}-secrets --from-literal=KMS_API_KEY=...\n"
        f"# After:  {job.merge}\n"
    )
    return head + _yaml(document)


def _github(job: Emitted) -> str:
    setup = [
        {"uses": "actions/checkout@v4"},
        {"uses": "actions/setup-python@v5", "with": {"python-version": "3.13"}},
        {"run": f"pip install 'kms-conformance[campaign]=={__version__}'"},
    ]
    local = "://" not in job.results

    def download(pattern: str) -> list[dict[str, Any]]:
        into = {"pattern": pattern, "path": job.results, "merge-multiple": True}
        return [{"uses": "actions/download-artifact@v4", "with": into}] if local else []

    def upload(name: str, path: str) -> dict[str, Any]:
        return {
            "uses": "actions/upload-artifact@v4",
            "if": "always()",
            "with": {"name": name, "path": path},
        }

    document = {
        "name": f"KMS campaign {job.name}",
        "on": {"schedule": [{"cron": "17 1 * * *"}], "workflow_dispatch": {}},
        "permissions": {"contents": "read"},
        "concurrency": f"kms-campaign-{job.name}",
        "jobs": {
            "plan": {
                "runs-on": "ubuntu-latest",
                "steps": [*setup, {"run": job.plan}, *([upload("plan", job.results)] if local else [])],
            },
            "shards": {
                "needs": "plan",
                "runs-on": "ubuntu-latest",
                "timeout-minutes": 350,
                "strategy": {
                    "fail-fast": False,
                    "max-parallel": min(job.at_once, job.lanes),
                    "matrix": {"lane": list(range(job.lanes))},
                },
                "steps": [
                    *setup,
                    *download("plan"),
                    {
                        "run": job.work('"$LANE"'),
                        "env": {
                            "LANE": "${{ matrix.lane }}",
                            "KMS_API_KEY": "${{ secrets.KMS_API_KEY }}",
                        },
                    },
                    *([upload("shards-${{ matrix.lane }}", job.results)] if local else []),
                ],
            },
            "merge": {
                "needs": "shards",
                "if": "always()",
                "runs-on": "ubuntu-latest",
                "steps": [
                    *setup,
                    *download("plan"),
                    *download("shards-*"),
                    {"run": job.merge},
                    upload("report", "reports/campaign"),
                ],
            },
        },
    }
    return _yaml(document)


def _gitlab(job: Emitted) -> str:
    local = "://" not in job.results
    keep: Mapping[str, Any] = {"artifacts": {"when": "always", "paths": [f"{job.results}/"]}} if local else {}
    document = {
        "stages": ["plan", "shards", "merge"],
        "default": {
            "image": "python:3.13-slim",
            "before_script": [f"pip install --quiet 'kms-conformance[campaign]=={__version__}'"],
        },
        "kms-plan": {"stage": "plan", "script": [job.plan], **keep},
        "kms-shards": {
            "stage": "shards",
            "parallel": max(job.lanes, 2),
            "timeout": "6h",
            "script": [job.work('"$((CI_NODE_INDEX - 1))"')],
            **keep,
        },
        "kms-merge": {
            "stage": "merge",
            "when": "always",
            "script": [job.merge],
            "artifacts": {"when": "always", "paths": ["reports/campaign/"]},
        },
    }
    return _yaml(document)


def _slurm(job: Emitted) -> str:
    """Return a batch script; the file system is shared, as usual there."""
    work = job.work('"$SLURM_ARRAY_TASK_ID"')
    return "\n".join(
        [
            "#!/bin/bash",
            f"#SBATCH --job-name={job.name}",
            f"#SBATCH --array=0-{job.lanes - 1}%{min(job.at_once, job.lanes)}",
            "#SBATCH --cpus-per-task=1",
            "#SBATCH --mem=1G",
            "#SBATCH --time=06:00:00",
            "#SBATCH --signal=TERM@90",
            f"# Before: {job.plan}",
            f'# After:  sbatch --dependency=afterany:$JOB --wrap="{job.merge}"',
            "set -eu",
            f"exec {work}",
            "",
        ]
    )


def _yaml(document: Mapping[str, Any]) -> str:
    return yaml.dump(document, Dumper=_Plain, sort_keys=False, width=110)


class _Plain(yaml.SafeDumper):
    """Writes no references: a reader of a job file wants to see what is there."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the signature of PyYAML
        return True


EMITTERS: Mapping[str, Callable[[Emitted], str]] = {
    "kubernetes": _kubernetes,
    "github": _github,
    "gitlab": _gitlab,
    "slurm": _slurm,
}
