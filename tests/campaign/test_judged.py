"""A merged campaign judged again: as recorded it has its own exit code, and each edit is refused by file and place."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import run_command

from kms_conformance.campaign import judged
from kms_conformance.campaign.conduct import conclude
from kms_conformance.campaign.judged import CampaignExamination, examine_campaign, is_campaign
from kms_conformance.campaign.merged import RESULTS
from kms_conformance.campaign.plan import Plan, Task
from kms_conformance.campaign.store import PLAN
from kms_conformance.errors import RecordError
from kms_conformance.verification.check import Examination, examine
from kms_reference.server import Server
from kms_reference.target import write_target

PAGE = "campaign.html"
CASES = "credentials.unset or credentials.not_set"
pytestmark = pytest.mark.xdist_group("judged-campaign")
RUNS = {
    "good/seed-1": ("1/1",),
    "good/seed-2": ("1/1",),
    "bad/seed-1": ("1/1",),
    "half/seed-1": ("1/2", "2/2"),
    "dead/seed-1": ("1/1",),
}


@pytest.fixture(name="campaign", scope="module")
def campaign_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a merged campaign of a sound, a broken, a half and a dead endpoint."""
    folder = tmp_path_factory.mktemp("judged")
    tasks = [
        Task(
            f"{run}/{shard.replace('/', '-of-')}",
            run,
            run.partition("/")[0],
            1,
            shard,
            "t",
            (),
            durations=False,
            timeout=1,
        )
        for run, shards in RUNS.items()
        for shard in shards
    ]
    with Server() as sound, Server(defects=["iks-no-credentials-as-200"]) as broken:
        write_target(folder / "good.toml", sound)
        write_target(folder / "half.toml", sound)
        write_target(folder / "bad.toml", broken)
        for task in tasks:
            place = folder / "shards" / task.id
            if task.endpoint == "dead" or task.id.endswith("2-of-2"):
                place.mkdir(parents=True)
                outcome = {"state": "failed", "code": 4, "message": "error: nobody answers"}
                (place / "task.json").write_text(json.dumps(outcome))
                continue
            seed = task.run.rpartition("-")[2]
            words = ["run", "--target", f"{task.endpoint}.toml", "--contract", "iks", "-k", CASES]
            words += ["--shard", task.shard, "--seed", seed, "--report-dir", str(place), "--no-fuzz"]
            assert run_command(folder, *words).code in {1, 3}
    (folder / PLAN).write_text(json.dumps(Plan("night", "d", tuple(tasks), {}).document()))
    conclude(str(folder), folder / "merged")
    return folder / "merged"


@pytest.fixture(name="judged_once", scope="module")
def judged_once_fixture(campaign: Path) -> Callable[[Path], Examination]:
    """Return a function that judges a run as :func:`examine` does, each one of the campaign once."""
    found = {
        name: examine(campaign / name) for name, shards in RUNS.items() if shards and name != "dead/seed-1"
    }
    return lambda place: found["/".join(place.parts[-2:])]


def problems(folder: Path) -> list[str]:
    """Return what is not as recorded, behind the place where it is."""
    told = list(examine_campaign(folder, outcome := CampaignExamination()))
    found = [f"{one.place}: {sentence}" for one in told for sentence in one.problems]
    assert outcome.broken is bool(found)
    return found


def test_as_recorded(campaign: Path) -> None:
    """The command ends as the campaign did, names each run, and says what it takes as recorded."""
    ended = run_command(campaign.parent, "judge", "merged")
    assert ended.code == 1, ended.output
    assert "not as recorded" not in ended.output
    lines = ended.out.splitlines()
    assert lines[0].startswith("good/seed-1: NOT-VERIFIED")
    assert any(line.startswith("bad/seed-1: NON-CONFORMANT") for line in lines)
    assert "note: dead/seed-1: taken as recorded: shard 1/1: failed, error: nobody answers" in lines
    assert lines[-1] == "judged again: each run, the page and its figures are as recorded"


def test_a_shard_of_a_selection(campaign: Path) -> None:
    """One shard of what a selection leaves is judged by itself, too: cases of the other shards are no lack of it."""
    ended = run_command(campaign.parent, "judge", "shards/half/seed-1/1-of-2")
    assert ended.code == 3, ended.output


def test_not_as_recorded(campaign: Path, tmp_path: Path) -> None:
    """The command ends with 6 and names file and place."""
    shutil.copytree(campaign, tmp_path / "merged")
    change(tmp_path / "merged" / RESULTS, lambda record: record.update(exit_code=0))
    ended = run_command(tmp_path, "judge", "merged")
    assert ended.code == 6
    assert "not as recorded: campaign-results.json: exit_code is 0, and the runs give 1" in ended.out


def change(path: Path, edit: Callable[[Any], object]) -> None:
    """Edit a JSON file as somebody would who keeps its form."""
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document, indent=1) + "\n")


def in_results(edit: Callable[[Any], object]) -> Callable[[Path], None]:
    """Return an edit of a folder that edits its ``campaign-results.json``."""
    return lambda folder: change(folder / RESULTS, edit)


def in_page(old: str, new: str) -> Callable[[Path], None]:
    """Return an edit of a folder that replaces a text of its page."""

    def edit(folder: Path) -> None:
        text = (folder / PAGE).read_text()
        assert old in text
        (folder / PAGE).write_text(text.replace(old, new, 1))

    return edit


def left_out(folder: Path) -> None:
    """Leave the broken endpoint out of page and figures, as a merge without it would have made them."""
    change(folder / RESULTS, lambda record: record["endpoints"].pop(1))


def renamed(folder: Path) -> None:
    """Put the sound run in the place of the broken one."""
    shutil.rmtree(folder / "bad/seed-1")
    shutil.copytree(folder / "good/seed-1", folder / "bad/seed-1")


def exchanged(folder: Path) -> None:
    """Put each of the sound runs in the place of the other."""
    (folder / "good/seed-1").rename(folder / "aside")
    (folder / "good/seed-2").rename(folder / "good/seed-1")
    (folder / "aside").rename(folder / "good/seed-2")


def first_cell(record: Any) -> dict[str, Any]:
    """Return the first cell of the broken endpoint that failed."""
    cells = (line["cells"].get("bad") for line in record["sections"])
    found: dict[str, Any] = next(cell for cell in cells if cell and cell["verdict"] == "failed")
    return found


EDITS: dict[str, tuple[Callable[[Path], None], str]] = {
    "a verdict": (
        in_results(lambda record: record["endpoints"][1].update(verdict="not-verified")),
        'campaign-results.json: endpoints[1].verdict is "not-verified"',
    ),
    "a run's verdict": (
        in_results(
            lambda record: record["endpoints"][1]["runs"][0].update(verdict="conformant", exit_code=0)
        ),
        "campaign-results.json: endpoints[1].runs[0].exit_code is 0, and the runs give 1",
    ),
    "a headline": (
        in_results(lambda record: record["endpoints"][0]["runs"][1].update(headline="CONFORMANT: 11 passed")),
        "campaign-results.json: endpoints[0].runs[1].headline",
    ),
    "a count": (
        in_results(lambda record: record["endpoints"][1]["runs"][0]["counts"].update(failed=0)),
        "campaign-results.json: endpoints[1].runs[0].counts.failed is 0",
    ),
    "a cell": (
        in_results(lambda record: first_cell(record).update(verdict="passed")),
        'cells.bad.verdict is "passed", and the runs give "failed"',
    ),
    "a cell's figure": (
        in_results(lambda record: first_cell(record).update(good=first_cell(record)["applicable"])),
        "cells.bad.good is",
    ),
    "a cell left out": (
        in_results(lambda record: record["sections"][0]["cells"].clear()),
        "campaign-results.json: sections[0].cells.good is missing",
    ),
    "a finding left out": (
        in_results(lambda record: record["findings"].pop(0)),
        "campaign-results.json: findings has",
    ),
    "a finding's row": (
        in_results(lambda record: record["findings"][0]["rows"].append("KP-NONE-01")),
        "campaign-results.json: findings[0].rows has",
    ),
    "evidence elsewhere": (
        in_results(lambda record: record["findings"][0]["endpoints"].update(bad="bad/seed-1/report.html")),
        "campaign-results.json: findings[0].endpoints.bad is",
    ),
    "an endpoint left out": (left_out, "bad/seed-1 holds a run that campaign-results.json does not tell of"),
    "an endpoint's name": (
        in_results(lambda record: record["endpoints"][1].update(name="worse")),
        "campaign-results.json: bad/seed-1 is no run of the endpoint worse",
    ),
    "the order": (
        in_results(lambda record: record["sections"].reverse()),
        "campaign-results.json: sections[0].anchor is",
    ),
    "what is missing": (
        in_results(lambda record: record["endpoints"][2]["runs"][0]["missing"].clear()),
        "campaign-results.json: half/seed-1 has no shard 2/2, and missing does not say so",
    ),
    "what is not missing": (
        in_results(
            lambda record: record["endpoints"][0]["runs"][0]["missing"].append("shard 1/1 has not been run")
        ),
        "missing says that shard 1/1 has not been run, and it is there",
    ),
    "why it is missing": (
        in_results(lambda record: record["endpoints"][3]["runs"][0].update(missing=["all is well"])),
        "campaign-results.json: dead/seed-1: no merge says 'all is well' of a shard",
    ),
    "a dead endpoint": (
        in_results(lambda record: record["endpoints"][3].update(verdict="conformant", exit_code=0)),
        'campaign-results.json: endpoints[3].verdict is "conformant", and the runs give "not-verified"',
    ),
    "a dead run's code": (
        in_results(lambda record: record["endpoints"][3]["runs"][0].update(exit_code=0)),
        "campaign-results.json: dead/seed-1 has no report, and exit code 0",
    ),
    "the form": (
        lambda folder: change_text(folder / RESULTS, lambda text: text.replace("\n", "\n ")),
        "campaign-results.json is not written the way that a merge writes it",
    ),
    "the page": (in_page('badge failed">non-conformant', 'badge passed">conformant'), "campaign.html, line "),
    "the page's end": (
        lambda folder: change_text(folder / PAGE, lambda text: text + "<!-- -->\n"),
        "campaign.html, line ",
    ),
    "the day": (in_page("Merged 20", "Merged 19"), "campaign.html: it was merged on 19"),
    "no day": (in_page("Merged ", "Made "), "campaign.html does not say when it was merged"),
    "no page": (lambda folder: (folder / PAGE).unlink(), "campaign.html cannot be read"),
    "a run's evidence": (
        lambda folder: change_text(
            folder / "bad/seed-1/transcript.har", lambda text: text.replace('"status": 200', '"status": 401')
        ),
        "bad/seed-1: ",
    ),
    "a run's figures": (
        lambda folder: change(folder / "bad/seed-1/results.json", lambda record: record.update(exit_code=0)),
        "bad/seed-1: results.json: ",
    ),
    "a run taken away": (
        lambda folder: shutil.rmtree(folder / "bad/seed-1"),
        "bad/seed-1: The run in ",
    ),
    "a run copied": (renamed, "bad/seed-1: results.json: it is run "),
    "runs exchanged": (exchanged, "good/seed-1: results.json: command_line has the seed 2"),
    "a run more": (
        lambda folder: shutil.copytree(folder / "good/seed-1", folder / "good/seed-3"),
        "good/seed-3 holds a run that campaign-results.json does not tell of",
    ),
}


OF_A_RUN = {name for name in EDITS if name.startswith(("a run", "runs")) and name != "a run's verdict"}
"""Those after which a run has to be judged itself; the others leave every run as it was."""


def change_text(path: Path, edit: Callable[[str], str]) -> None:
    """Edit a file as a text."""
    text = path.read_text()
    assert edit(text) != text
    path.write_text(edit(text))


@pytest.fixture(name="copy")
def copy_fixture(campaign: Path, tmp_path: Path) -> Iterator[Path]:
    """Yield a copy of the campaign."""
    shutil.copytree(campaign, tmp_path / "merged")
    yield tmp_path / "merged"
    shutil.rmtree(tmp_path / "merged")


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_is_refused(
    edit: str, copy: Path, judged_once: Callable[[Path], Examination], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is refused by a sentence that names file and place."""
    if edit not in OF_A_RUN:
        monkeypatch.setattr(judged, "examine", judged_once)
    change_it, sentence = EDITS[edit]
    change_it(copy)
    found = problems(copy)
    assert any(sentence in line for line in found), found


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "is not JSON"),
        ("[]", "is not what a merge writes"),
        ('{"name": "night"}', "is not what a merge writes"),
    ],
)
def test_unreadable(text: str, why: str, tmp_path: Path) -> None:
    """What is no merged campaign is said to be none, with exit code 2."""
    (tmp_path / RESULTS).write_text(text)
    with pytest.raises(RecordError) as caught:
        problems(tmp_path)
    assert why in caught.value.sentence
    assert caught.value.exit_code == 2


def test_a_run_outside(campaign: Path, tmp_path: Path) -> None:
    """A name that leads out of the folder is followed nowhere."""
    (tmp_path / RESULTS).write_text((campaign / RESULTS).read_text().replace('"good/seed-1"', '"../seed-1"'))
    with pytest.raises(RecordError, match="no folder below it"):
        problems(tmp_path)


def test_results_that_are_not_merged(campaign: Path) -> None:
    """The place of the shards is no merged campaign: the hint is to merge it."""
    assert is_campaign(campaign.parent)
    with pytest.raises(RecordError, match="kms-conformance merge"):
        problems(campaign.parent)
