"""The command line as it may be shown."""

from __future__ import annotations

import pytest

from kms_conformance.run.circumstances import command_line, environment


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (["/usr/bin/kms-conformance", "run", "-k", "a or b"], ["kms-conformance", "run", "-k", "a or b"]),
        (["kms-conformance", "run", "--token", "abc"], ["kms-conformance", "run", "--token", "<token>"]),
        (["kms-conformance", "run", "--api-key=abc"], ["kms-conformance", "run", "--api-key=<api-key>"]),
        (
            ["kms-conformance", "run", "--base-url", "https://me:secret@kms.example.test/x?y=z"],
            ["kms-conformance", "run", "--base-url", "https://kms.example.test/x?y=z"],
        ),
        (
            ["kms-conformance", "run", "--base-url=https://me:secret@kms.example.test"],
            ["kms-conformance", "run", "--base-url=https://kms.example.test"],
        ),
        (["kms-conformance", "run", "-k", "http://["], ["kms-conformance", "run", "-k", "http://["]),
        (["kms-conformance", "run", "--token"], ["kms-conformance", "run", "--token"]),
        ([], []),
    ],
)
def test_no_secret_is_shown(given: list[str], shown: list[str]) -> None:
    """Values of secret options, and user and password of an address, never reach a report."""
    assert command_line(given) == shown


def test_known_secrets_are_taken_out() -> None:
    """What the run knows as a secret is replaced wherever it stands."""
    assert command_line(["x", "-k", "hunter2"], lambda text: text.replace("hunter2", "<token>")) == [
        "x",
        "-k",
        "<token>",
    ]


def test_a_module_is_called_by_its_name(tmp_path: object) -> None:
    """`python -m kms_conformance` is shown so, in three words that a shell takes, without the path of this machine."""
    program, *words = command_line([f"{tmp_path}/kms_conformance/__main__.py", "run"])
    assert words == ["-m", "kms_conformance", "run"]
    assert "/" not in program


def test_environment_names_python_and_platform() -> None:
    """Both are told, and nothing empty."""
    assert set(environment()) == {"python", "platform"}
    assert all(environment().values())
