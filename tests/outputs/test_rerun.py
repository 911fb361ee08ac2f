"""The command line that runs one case again."""

from __future__ import annotations

import pytest

from kms_conformance.judging.verdict import Profile, Run
from kms_conformance.outputs.rerun import rerun_command


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "kms-conformance run -k rotate_twice"),
        (
            [
                "kms-conformance",
                "run",
                "--target",
                "t.toml",
                "--report-dir",
                "out",
                "-k",
                "body",
                "-x",
                "-n",
                "2",
                "--shard=1/3",
            ],
            "kms-conformance run --target t.toml -k rotate_twice",
        ),
        (
            ["kms-conformance", "run", "--target", "my file.toml", "--edition", "service"],
            "kms-conformance run --target 'my file.toml' --edition service -k rotate_twice",
        ),
    ],
)
def test_same_target_one_case(words: list[str], expected: str) -> None:
    """What names the endpoint stays; what chose cases, processes or another folder goes."""
    run = Run(Profile.GATE, (), (), meta={"command_line": words})
    assert rerun_command(run, "key_protect.rotation.rotate_twice") == expected


@pytest.mark.parametrize(
    ("case", "name"),
    [
        ("iks.permissions.missing_permission[api-key]", "'missing_permission[api-key]'"),
        ("iks.permissions.missing_permission[a.b]", "'missing_permission[a.b]'"),
        ("iks.permissions.missing_permission[not x]", "missing_permission"),
    ],
)
def test_parameters_where_k_reads_them(case: str, name: str) -> None:
    """Parameters stay in the name unless pytest's -k would take them for operators."""
    assert rerun_command(Run(Profile.GATE, (), ()), case) == f"kms-conformance run -k {name}"
