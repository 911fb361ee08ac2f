"""The plugin: the same run by pytest itself, in several processes, and nothing at all in a foreign session."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from commands import Command, clean_environment
from runs import write_case

from kms_reference.server import Server
from kms_reference.target import write_target

SOME = ("-k", "test_rotation or test_lists or test_delete_twice or test_token_counts_down")
BROKEN = "rotation-unlimited"
# Reversed in the module, so that the module itself does not hold them.
OF_ONE, OF_OTHER = "the first worker knows this"[::-1], "the second worker knows this"[::-1]
VIEWED = re.compile(r"key_protect\.laws\.views\[(.+?)-(\w+)\.(.+)\]")
"""The id of a case under a view: the view, the module and the case's flat name."""
PACKAGE = ("--pyargs", "kms_conformance.scenarios.key_protect")


@pytest.fixture(scope="module")
def broken() -> Iterator[Server]:
    """Yield a reference with one defect."""
    with Server(defects=[BROKEN]) as server:
        yield server


def results(folder: Path) -> dict[str, Any]:
    """Return the verdict object of a report directory."""
    document: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return document


def verdicts(document: dict[str, Any]) -> dict[str, str]:
    """Return the verdict of each case."""
    return {case["id"]: case["verdict"] for case in document["cases"]}


def test_two_workers(command: Command, target_file: Path, tmp_path: Path) -> None:
    """`-n 2` judges the same cases with the same verdicts, on a served reference."""
    one = command("run", "--target", str(target_file), "--report-dir", "one", *SOME)
    two = command("run", "--target", str(target_file), "--report-dir", "two", "-n", "2", *SOME)
    assert one.code == two.code, two.output
    assert verdicts(results(tmp_path / "one")) == verdicts(results(tmp_path / "two"))
    assert one.first_line == two.first_line
    ids = [exchange for case in results(tmp_path / "two")["cases"] for exchange in case["exchanges"]]
    assert len(ids) == len(set(ids)) > 50


def test_two_workers_on_the_embedded_reference(command: Command, tmp_path: Path) -> None:
    """Both workers judge the one reference that the run has started, defect and all."""
    ended = command("run", "--defect", BROKEN, "-n", "2", "--report-dir", "two", *SOME)
    assert ended.code == 1, ended.output
    failed = {name for name, verdict in verdicts(results(tmp_path / "two")).items() if verdict == "failed"}
    assert failed >= {
        "key_protect.rotation.rotate_twice_within_the_hour",
        "key_protect.rotation.rotate_generated_key_twice",
    }
    # The same cases fail under the views that the run has of them, and nothing else does.
    assert {VIEWED.sub(r"key_protect.\2.\3", name).split(".")[1] for name in failed} == {"rotation"}


def test_crash_of_a_worker(command: Command, target_file: Path, tmp_path: Path) -> None:
    """A worker that dies in mid-run leaves no conformant verdict behind, and the verdict line says so."""
    path = write_case(
        tmp_path / "own",
        '@covers("list-keys")\ndef test_good(kms):\n    """A good case."""\n    kms.list_keys().succeeds(200)\n\n\n'
        '@covers("list-keys")\ndef test_crash(kms):\n    """A case that takes its process along."""\n'
        "    import os\n    os._exit(9)\n",
    )
    ended = command(
        "--kms-target", str(target_file), "--kms-report-dir", "report", "-n", "2", "--max-worker-restart", "0",
        "-p", "no:cacheprovider", str(path), module="pytest",
    )  # fmt: skip
    document = results(tmp_path / "report")
    assert ended.code != 0
    assert document["verdict"] == "not-verified"
    assert "crashed" in document["headline"]
    assert "Traceback" not in document["headline"]


def test_same_verdict_by_pytest(command: Command, target_file: Path, tmp_path: Path) -> None:
    """`pytest --kms-target FILE` and `run --target FILE` say the same of an unbroken reference."""
    by_run = command("run", "--target", str(target_file), "--report-dir", "one", *SOME)
    by_pytest = command(
        "--kms-target", str(target_file), "--kms-report-dir", "two", *SOME, *PACKAGE, module="pytest"
    )
    assert verdicts(results(tmp_path / "one")) == verdicts(results(tmp_path / "two"))
    assert results(tmp_path / "two")["headline"] in by_pytest.out
    # `run` leaves out the cases of the fuzzer as well, so it counts more of them.
    assert re.sub(r"\d+ cases were", "cases were", by_run.first_line) == re.sub(
        r"\d+ cases were", "cases were", results(tmp_path / "two")["headline"]
    )
    assert "Traceback" not in by_pytest.output


def test_one_case_is_no_conformance(command: Command, target_file: Path, tmp_path: Path) -> None:
    """A case that is asked for by its file and name is a part, as one that -k has left over is."""
    case = "kms_conformance.scenarios.key_protect.test_rotation::test_rotate_twice_within_the_hour"
    ended = command(
        "--kms-target", str(target_file), "--kms-report-dir", "report", "--pyargs", case, module="pytest"
    )
    document = results(tmp_path / "report")
    # The case, and the views that pytest selects with it: they have one name and differ in the brackets.
    run = verdicts(document)
    assert run.pop("key_protect.rotation.rotate_twice_within_the_hour") == "passed", ended.output
    assert all(name.endswith("-rotation.rotate_twice_within_the_hour]") for name in run)
    assert set(run.values()) <= {"passed"}
    assert document["verdict"] == "not-verified"
    left = document["not_run"]
    assert f"partial run: {left} cases were left out by the selection" in document["headline"]
    assert ended.code == document["exit_code"] == 3  # as `run -k` ends: not verified


def test_broken_by_pytest(command: Command, broken: Server, tmp_path: Path) -> None:
    """A broken reference gives pytest a non-zero exit code, real failures in its own JUnit file, and steps in Allure."""
    target = tmp_path / "target.toml"
    write_target(target, broken)
    ended = command(
        "--kms-target", str(target), "--kms-report-dir", "report", "--junitxml", "own.xml", "--alluredir", "allure",
        "-k", "(test_rotate_twice_within_the_hour or test_list_shows_the_key) and not by",  # without the views
        *PACKAGE, module="pytest",
    )  # fmt: skip
    assert ended.code == 1, ended.output
    root = ET.fromstring((tmp_path / "own.xml").read_text())
    failures = root.findall(".//failure")
    assert len(root.findall(".//testcase")) == 2
    assert len(failures) == 1
    assert "key-rotation-not-permitted" in (failures[0].text or "")
    assert "curl" in (failures[0].text or "")
    assert "def test_rotate" not in (failures[0].text or "")
    entries = [json.loads(path.read_text()) for path in (tmp_path / "allure").glob("*-result.json")]
    live = {entry["name"]: entry for entry in entries}
    failed = live["test_rotate_twice_within_the_hour"]
    assert failed["status"] == "failed"
    # Create, rotate, rotate; afterwards the clean-up of a server that is not ours alone.
    assert len(failed["steps"]) >= 3
    assert any("attachments" in step for step in failed["steps"])
    for step in failed["steps"]:
        assert step["start"] <= step["stop"]
        assert failed["start"] - 1000 <= step["start"] <= failed["stop"] + 1000
        assert all(
            (tmp_path / "allure" / attached["source"]).exists() for attached in step.get("attachments", ())
        )
        assert len(step.get("attachments", ())) in {0, 2}


def test_durations_in_junit(command: Command, target_file: Path, tmp_path: Path) -> None:
    """The report of pytest itself has the true duration of each case."""
    command(
        "--kms-target", str(target_file), "--kms-report-dir", "report", "--junitxml", "own.xml",
        "-k", "test_rotation", *PACKAGE, module="pytest",
    )  # fmt: skip
    flat = str.maketrans({"[": "-", "]": None})
    times = {
        str(case.get("name")).translate(flat): float(case.get("time") or 0)
        for case in ET.fromstring((tmp_path / "own.xml").read_text()).findall(".//testcase")
    }
    for case in results(tmp_path / "report")["cases"]:
        viewed = VIEWED.fullmatch(case["id"])
        own = f"{viewed[3]}-by {viewed[1]}" if viewed else case["id"].partition(".")[2].partition(".")[2]
        name = f"test_{own}".translate(flat)
        # pytest adds what it takes to set a case up and to tear it down.
        assert abs(times[name] - case["duration_s"]) < 0.5


def test_module_that_cannot_be_imported(command: Command, target_file: Path, tmp_path: Path) -> None:
    """A case file with an error in it is trouble of the suite: no verdict of the endpoint comes of it."""
    good = write_case(
        tmp_path / "own",
        '@covers("list-keys")\ndef test_good(kms):\n    """A good case."""\n    kms.list_keys().succeeds(200)\n',
    )
    (tmp_path / "own" / "test_bad.py").write_text("from kms_conformance.api import nothing_of_the_kind\n")
    ended = command(
        "--kms-target", str(target_file), "--kms-report-dir", "report", str(good.parent), module="pytest"
    )
    assert ended.code != 0
    assert results(tmp_path / "report")["verdict"] == "not-verified"
    assert results(tmp_path / "report")["exit_code"] in {3, 5}


def test_errors_by_pytest(command: Command, tmp_path: Path) -> None:
    """A bad target ends pytest as it ends the command line: a sentence, a hint, the exit code, no traceback."""
    (tmp_path / "bad.toml").write_text('base_url = "kms"\n')
    ended = command("--kms-target", "bad.toml", *PACKAGE, module="pytest")
    assert ended.code == 2
    assert "base_url is 'kms': that is no http or https URL." in ended.output
    assert "hint: " in ended.output
    assert "Traceback" not in ended.output


def test_nothing_selected(command: Command, tmp_path: Path) -> None:
    """A selection of no case is not verified, whatever else."""
    ended = command("run", "--report-dir", "report", "-k", "no_case_has_this_name")
    assert ended.code == 3
    assert ended.first_line.startswith("NOT-VERIFIED: no case ran")


FOREIGN = """
import sys
def test_inert(request):
    plugin = request.config.pluginmanager.get_plugin("kms_conformance.pytest_plugin")
    assert plugin is not None
    own = {"kms_conformance.pytest_plugin", "kms_conformance.pytest_plugin.command_line"}
    own |= {"kms_conformance.run", "kms_conformance.run.option_table"}
    assert {name for name in sys.modules if name.startswith("kms_conformance.")} == own
    heavy = {"httpx", "yaml", "cryptography", "jsonschema_rs", "sqlite3", "uvicorn", "starlette", "kms_reference"}
    assert not heavy & set(sys.modules)
    assert not [plugin for plugin in request.config.pluginmanager.get_plugins() if type(plugin).__name__ == "State"]
"""


def test_inert_in_a_foreign_session(tmp_path: Path) -> None:
    """Where nobody asks for cases the plugin does nothing, and loads nothing but itself."""
    (tmp_path / "test_foreign.py").write_text(FOREIGN)
    only = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "kms_conformance.pytest_plugin",
            "-q",
            "-W",
            "error",
            "--strict-markers",
        ],
        cwd=tmp_path,
        env=clean_environment(**only),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
    assert "KMS" not in done.stdout
    assert sorted(
        path.name for path in tmp_path.iterdir() if not path.name.startswith((".pytest", "__"))
    ) == ["test_foreign.py"]


def test_options_are_there(command: Command) -> None:
    """The help of pytest lists what the plugin adds."""
    ended = command("--help", module="pytest")
    assert all(
        f"--kms-{name}" in ended.out for name in ("target", "report-dir", "profile", "edition", "max-wait")
    )


def test_case_outside_a_session(command: Command, tmp_path: Path) -> None:
    """A case that is collected where nobody has named a target says how to run it."""
    path = write_case(
        tmp_path / "own",
        '@covers("list-keys")\ndef test_good(kms):\n    """A good case."""\n    kms.list_keys()\n',
    )
    ended = command(str(path), module="pytest")
    assert ended.code == 1
    assert "cases run under --kms-target FILE" in ended.out


def test_workers_know_the_secrets_of_each_other(command: Command, target_file: Path, tmp_path: Path) -> None:
    """A worker takes a secret out of what it shows that only another worker was told; nothing of it lies on the disk."""
    path = write_case(
        tmp_path / "own",
        f'''
@covers("list-keys")
@pytest.mark.xdist_group("one")
def test_tells(kms):
    """A case holds a secret, and stays until the other has ended."""
    kms.case.context.redactor.remember({OF_ONE!r}[::-1], "payload")
    await_secret(kms, {OF_OTHER!r}[::-1])


@covers("list-keys")
@pytest.mark.xdist_group("two")
def test_hears(kms):
    """Another case throws the secret of the first."""
    await_secret(kms, {OF_ONE!r}[::-1])
    kms.case.context.redactor.remember({OF_OTHER!r}[::-1], "payload")
    raise RuntimeError("it is " + {OF_ONE!r}[::-1])


def await_secret(kms, secret):
    for _ in range(400):
        if kms.case.context.redactor.tokens_in(secret):
            return
        time.sleep(0.05)
    raise RuntimeError("the other worker's secret is not known here")
''',
    )
    path.write_text("import time\nimport pytest\n" + path.read_text())
    ended = command(
        "--kms-target", str(target_file), "-n", "2", "--dist", "loadgroup", "--kms-report-dir", "report",
        "-p", "no:cacheprovider", str(path), module="pytest",
    )  # fmt: skip
    assert "is not known here" not in ended.output
    assert "RuntimeError: it is <payload:" in ended.output
    shown = [
        path for path in tmp_path.rglob("*") if path.is_file() and OF_ONE[::-1].encode() in path.read_bytes()
    ]
    assert (shown, OF_ONE[::-1] in ended.output) == ([], False)
