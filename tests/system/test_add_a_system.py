"""A fourth system, built from docs/add-a-system.md alone: no line of the engine is touched for it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent))

from sealbox_server import DEFECTS, TOKENS, running

PAGE = Path(__file__).parents[2] / "docs" / "add-a-system.md"
BLOCK = re.compile(r"^`([\w./-]+)`\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILES = dict(BLOCK.findall(PAGE.read_text(encoding="utf-8")))
TARGET = FILES.pop("target.toml")

Command = Callable[..., Any]


def install(source: Path, files: dict[str, str], into: Path) -> None:
    """Write a package and install it into a folder, with its metadata."""
    for name, text in files.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.run(
        [*pip, "--no-build-isolation", "--target", str(into), str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the page's package installed."""
    folder = tmp_path_factory.mktemp("sealbox")
    install(folder / "source", FILES, folder / "site")
    return folder / "site"


@pytest.fixture
def judged(command: Command, installed: Path, tmp_path: Path) -> Callable[..., tuple[Any, Any]]:
    """Return a function that runs the suite with the package and returns how it ended and what it reports."""

    def run(target: str, *arguments: str) -> tuple[Any, Any]:
        (tmp_path / "target.toml").write_text(target, encoding="utf-8")
        ended = command("run", "--target", "target.toml", *arguments, PYTHONPATH=str(installed))
        results = tmp_path / "reports" / "out" / "results.json"
        return ended, json.loads(results.read_text()) if results.is_file() else None

    return run


def target_of(url: str) -> str:
    """Return the page's target file, with the address of a server."""
    return TARGET.replace("http://127.0.0.1:8090", url)


def test_the_page_holds_the_whole_package() -> None:
    """Every file of the package stands on the page."""
    assert {Path(name).suffix for name in FILES} == {".toml", ".py", ".yaml", ".json"}
    assert len(FILES) == 12


def test_alone(judged: Callable[..., Any], tmp_path: Path) -> None:
    """A right server is conformant; its keys are gone afterwards, and no report holds a token or a plaintext."""
    with running() as server:
        ended, report = judged(target_of(server.url))
        assert ended.first_line.startswith("CONFORMANT: 4 passed"), ended.output
        assert server.keys == {}
        assert {caller for _, _, caller in server.seen} == {"operator", "auditor"}
    assert [case["id"] for case in report["cases"]] == [
        "sealbox.sealing.auditor",
        "sealbox.sealing.deleted_key",
        "sealbox.sealing.disabled_key",
        "sealbox.sealing.round_trip",
    ]
    assert report["target"]["instance"] == "team-a"
    files = [path for path in (tmp_path / "reports" / "out").rglob("*") if path.is_file()]
    text = "".join(path.read_text(errors="replace") for path in files)
    assert not [secret for secret in (*TOKENS, "a text of some length that nobody") if secret in text]


@pytest.mark.parametrize("defect", DEFECTS)
def test_broken(judged: Callable[..., Any], defect: str) -> None:
    """A server that is broken in one way fails the row of that promise."""
    with running(defect) as server:
        ended, report = judged(target_of(server.url))
    failed = {row["id"] for row in report["requirements"] if row["verdict"] == "failed"}
    assert (ended.code, failed >= {DEFECTS[defect]}) == (1, True), ended.output
    assert failed <= {DEFECTS[defect], *(set(DEFECTS.values()) if defect == "plain-errors" else ())}
    findings = [finding for case in report["cases"] for finding in case["findings"]]
    assert any('-H "x-sealbox-token: $KMS_TOKEN"' in finding["curl"] for finding in findings)


def test_beside_another_system(judged: Callable[..., Any], target_file: Path, reference: Any) -> None:
    """One target file has both systems; each is judged with its own identities and its own instance."""
    with running() as server:
        beside = f'[sealbox]\nbase_url = "{server.url}"\nnamespace = "team-a"\n'
        identities = TARGET[TARGET.index("[identities.operator]") :]
        ended, report = judged(
            f"{target_file.read_text()}\n{identities}\n{beside}",
            *("--contract", "key_protect,sealbox", "-k", "sealing or rotate_twice_within_the_hour"),
        )
        assert server.keys == {}
    verdicts = {case["id"]: case["verdict"] for case in report["cases"]}
    assert set(verdicts.values()) == {"passed"}, ended.output
    assert {name.partition(".")[0] for name in verdicts} == {"key_protect", "sealbox"}
    assert report["target"]["sealbox"] == {"base_url": server.url, "namespace": "team-a"}
    assert reference is not None


@pytest.mark.parametrize(
    ("old", "new", "says", "hint"),
    [
        ('"team-a"', '"Team A"', "that is not the name of a namespace", "give the name of a namespace"),
        ('"team-a"', '"fresh"', "sealbox makes no instances on first use", "give the name of a namespace"),
        ("identities.auditor", "identities.auditer", "'identities.auditer'", "'identities.auditor'"),
        (
            "[identities.operator]",
            "[capabilities]\ndisablin = true\n[identities.operator]",
            "disablin",
            "disabling",
        ),
        ('contract = "sealbox"', 'contract = "sealbx"', "there is no such contract", "'sealbox'"),
    ],
)
def test_wrong_targets(judged: Callable[..., Any], old: str, new: str, says: str, hint: str) -> None:
    """What the system says of targets is checked like everything else, with the nearest known name."""
    ended, _ = judged(target_of("http://127.0.0.1:9").replace(old, new))
    assert ended.code == 2
    error, advice = ended.err.splitlines()[:2]
    assert says in error
    assert hint in advice


def test_commands_know_it(command: Command, installed: Path) -> None:
    """`explain` finds its codes in any case; without a target there is nothing to judge it by."""
    explained = command("explain", "keydisabled", PYTHONPATH=str(installed))
    assert explained.out.startswith("KeyDisabled  HTTP 409  (Sealbox, documented)")
    assert "sealbox.sealing.disabled_key" in explained.out
    ended = command("run", "--contract", "sealbox", PYTHONPATH=str(installed))
    assert (ended.code, "the embedded reference does not serve it" in ended.err) == (2, True)


def test_killed_runs_are_cleaned_up(command: Command, installed: Path, tmp_path: Path) -> None:
    """What the journal says of a dead run is removed by the system's adapter, whatever system comes first."""
    with running() as server:
        (tmp_path / "target.toml").write_text(target_of(server.url))
        server.keys["k1"] = {"id": "k1", "name": "kmsct-dead-1", "state": "enabled"}
        script = (
            "from pathlib import Path\n"
            "from kms_conformance.run.journal import Journal\n"
            "journal = Journal(Path('journal.sqlite'), 'dead')\n"
            f"row = journal.intend({server.url!r}, 'team-a', 'sealbox:key', 'kmsct-dead-1')\n"
            "journal.created(row, 'k1')\n"
        )
        subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
        ended = command(
            *("sweep", "--yes", "--target", "target.toml", "--journal", "journal.sqlite"),
            PYTHONPATH=str(installed),
        )
        assert (ended.code, server.keys) == (0, {}), ended.output


def metadata(folder: Path, name: str, value: str, package: str) -> None:
    """Write the metadata of an installed distribution that registers a system."""
    info = folder / f"{package}-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[kms_conformance.systems]\n{name} = {value}\n")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("sealbox", "no_such_module_anywhere:SYSTEM", "loading no_such_module_anywhere:SYSTEM failed"),
        ("sealbox", "json:dumps", "is no System object"),
        ("other", "kms_conformance.adapters.iks:SYSTEM", "has the id 'iks'"),
    ],
)
def test_broken_entry_points(command: Command, tmp_path: Path, name: str, value: str, says: str) -> None:
    """A package that registers something else than a system is named, with what to do about it."""
    metadata(tmp_path / "site", name, value, "somebodys-package")
    ended = command("explain", "KEY_DELETED_ERR", PYTHONPATH=str(tmp_path / "site"))
    assert ended.code == 2
    error, hint = ended.err.splitlines()[:2]
    assert (says in error, "'somebodys-package'" in error) == (True, True), error
    assert "uninstall somebodys-package" in hint


def test_one_id_twice(command: Command, installed: Path, tmp_path: Path) -> None:
    """Two packages with one id end in a sentence that names both."""
    metadata(tmp_path / "site", "sealbox", "twin:SYSTEM", "twin")
    (tmp_path / "site" / "twin.py").write_text(FILES["sealbox_conformance/__init__.py"])
    ended = command("explain", "KEY_DELETED_ERR", PYTHONPATH=f"{tmp_path / 'site'}:{installed}")
    assert ended.code == 2
    assert "registered twice, by 'kms-conformance-sealbox' and by 'twin'" in ended.err
