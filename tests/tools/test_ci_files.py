"""What other people's CI takes from here: its inputs are flags, its scripts do what they say, the image runs without root's rights."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from kms_conformance.cli.run import command as run_command

ROOT = Path(__file__).parents[2]
ECHO = '#!/usr/bin/env bash\nprintf "%s\\n" "$@" > "$TOLD"\nexit "${CODE:-0}"\n'


def read(name: str) -> Any:
    """Return a YAML file of the repository."""
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def program(folder: Path) -> Path:
    """Return a program that writes down its arguments, and ends as it is told to."""
    path = folder / "kms-conformance"
    path.write_text(ECHO)
    path.chmod(0o755)
    return path


def test_inputs_are_flags() -> None:
    """Each input of the Action, but the one that names Python, is a flag of `run`."""
    flags = {name for option in run_command.params for name in option.opts}
    action = read("action.yml")
    assert {f"--{name}" for name in action["inputs"] if name != "python"} <= flags
    texts = (ROOT / "action.yml").read_text()
    given = {f"inputs.{name}" for name in action["inputs"]}
    assert all(name in texts for name in given)
    for step in action["runs"]["steps"]:
        assert "${{" not in step["run"], "an input in the place of a command is run as one"


@pytest.mark.parametrize("code", [0, 3])
def test_action_calls_run(tmp_path: Path, code: int) -> None:
    """The Action gives each input that has a value as a flag, and ends with the exit code of the run."""
    step = read("action.yml")["runs"]["steps"][1]
    assert set(step["env"]) == {
        f"KMS_INPUT_{name.replace('-', '_')}" for name in read("action.yml")["inputs"] if name != "python"
    }
    environment = {
        **os.environ,
        **dict.fromkeys(step["env"], ""),
        "KMS_INPUT_profile": "gate",
        "KMS_INPUT_base_url": "https://kms.example.test/$(id)",
        "KMS_CONFORMANCE": str(program(tmp_path)),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "TOLD": str(tmp_path / "told"),
        "CODE": str(code),
    }
    ended = subprocess.run(
        ["bash", "-e", "-c", step["run"]], env=environment, check=False, capture_output=True, text=True
    )
    assert ended.returncode == code, ended.stderr
    assert (tmp_path / "told").read_text().splitlines() == [
        "run",
        "--base-url",
        "https://kms.example.test/$(id)",
        "--profile",
        "gate",
    ]
    assert (tmp_path / "output").read_text() == f"exit-code={code}\n"


def test_gitlab_template() -> None:
    """The template keeps the reports whatever the verdict, and shows JUnit."""
    job = read("ci/gitlab.yml")[".kms-conformance"]
    assert job["artifacts"]["when"] == "always"
    assert job["artifacts"]["reports"]["junit"] == "$KMS_REPORT_DIR/junit.xml"
    assert job["script"][-1].endswith('run --profile "$KMS_CONFORMANCE_PROFILE"')


def git(folder: Path, *words: str) -> str:
    """Run git in a folder."""
    own = ["-c", "user.name=t", "-c", "user.email=t@example.test", "-c", "commit.gpgsign=false"]
    ended = subprocess.run(["git", *own, *words], cwd=folder, check=True, capture_output=True, text=True)
    return ended.stdout.strip()


def check(folder: Path, base: str, tools: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Check what has been submitted since a commit."""
    environment = {
        **os.environ,
        "KMS_CONFORMANCE": str(program(tools)),
        "TOLD": str(tools / "told"),
        "CODE": str(code),
    }
    script = ROOT / "ci" / "check-submission.sh"
    return subprocess.run(
        ["bash", str(script), base], cwd=folder, env=environment, check=False, capture_output=True, text=True
    )


def test_submission(tmp_path: Path) -> None:
    """A submission is checked with the programme's own key and challenge, whatever it brings along; its exit code counts."""
    folder, tools = tmp_path / "programme-repository", tmp_path / "tools"
    tools.mkdir()
    for name, text in (
        ("programme/keys/example-ltd.pub", "the key"),
        ("programme/challenges/example-kms", "the-challenge"),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "base")
    base = git(folder, "rev-parse", "HEAD")
    place = folder / "submissions" / "example-kms"
    place.mkdir(parents=True)
    (place / "bundle.zip").write_bytes(b"x")
    (place / "signer").write_text("example-ltd\n")
    (folder / "programme/challenges/example-kms").write_text("another-challenge")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "submission")
    ended = check(folder, base, tools)
    assert ended.returncode == 0, ended.stderr
    words = (tools / "told").read_text().split()
    assert words[:3] == ["verify", "submissions/example-kms/bundle.zip", "--key"]
    assert words[-2:] == ["--challenge", "the-challenge"]
    assert check(folder, base, tools, code=6).returncode == 6
    (place / "signer").write_text("../../key\n")
    git(folder, "commit", "-qam", "a foreign key")
    ended = check(folder, base, tools)
    assert ended.returncode != 0
    assert "is no name of a key" in ended.stdout
    assert check(folder, "HEAD", tools).returncode != 0


def test_workflow_is_complete() -> None:
    """The ready workflow runs on pull requests with a token that can write nothing, and calls the script."""
    text = (ROOT / "ci" / "check-submission.yml").read_text()
    document = yaml.safe_load(text)
    assert document["permissions"] == {"contents": "read"}
    assert document["jobs"]["check"]["steps"][-1]["run"].startswith("bash programme/check-submission.sh")
    assert "pull_request_target" not in text


def test_image_runs_as_nobody_special() -> None:
    """The last stage of the image has a user of its own, and copies nothing but the installed suite."""
    lines = (ROOT / "Containerfile").read_text().splitlines()
    last = lines[max(place for place, line in enumerate(lines) if line.startswith("FROM ")) :]
    assert "USER 10001" in last
    assert [line for line in last if line.startswith("COPY ")] == [
        "COPY --from=build /opt/kms-conformance /opt/kms-conformance"
    ]
    assert 'ENTRYPOINT ["kms-conformance"]' in last
