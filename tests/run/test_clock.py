"""Waiting: free with the control protocol, overlapping with the real clock, refused with none."""

from __future__ import annotations

import json
import re
import threading
import time
from pathlib import Path

import pytest
from commands import Command
from runs import run_cases, served_target, target_of, write_case

from kms_conformance.contract.severity import Verdict
from kms_conformance.errors import UnreachableError
from kms_conformance.judging.results import CaseResult
from kms_conformance.judging.verdict import Run, RunVerdict
from kms_conformance.run.clock import Cancelled, ControlledClock, NoClock, RealClock, TooLong, choose_clock
from kms_conformance.run.context import CaseInfo
from kms_conformance.run.schedule import may_overlap, order
from kms_reference.server import Server
from kms_reference.target import write_target

INSTANCE = "00000000-0000-4000-8000-00000000000c"
# Rules without a contract behind them: the reference answers at once, the case waits on its own account.
WAITERS = '''
@covers("list-keys")
@waits({wait})
@pytest.mark.parametrize("number", range(6))
def test_waiting(kms, number):
    """A case that waits."""
    kms.list_keys(limit=1).succeeds(200)
    kms.wait({wait}, "the test wants it")
    kms.list_keys(limit=1).succeeds(200)


@covers("list-keys")
def test_quick(kms):
    """A case that does not."""
    kms.list_keys(limit=1).succeeds(200)


@covers("list-keys")
@impact("instance")
@waits({wait})
def test_alone(kms):
    """A case that must have the instance to itself, and waits."""
    kms.wait({wait}, "the test wants it")
    kms.list_keys(limit=1).succeeds(200)
'''


@pytest.fixture(scope="module")
def waiters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a module of cases that wait a second."""
    path = write_case(tmp_path_factory.mktemp("cases"), WAITERS.format(wait=1))
    path.write_text("import pytest\n" + path.read_text())
    return path


@pytest.fixture(scope="module")
def overlapping(reference: Server, waiters: Path) -> Run:
    """Return a run of these cases with the real clock, on one shared instance."""
    target = served_target(
        reference, control=False, instance=INSTANCE, allow={"instance_policies": True}, max_wait=5
    )
    return run_cases(target, place=str(waiters))


def name_of(case: CaseResult) -> str:
    """Return the last part of a case's id."""
    return case.id.rsplit(".", 1)[-1]


def intervals(run: Run, name: str) -> list[tuple[float, float]]:
    """Return begin and end of the cases with this name."""
    return [
        (case.started, case.started + case.duration) for case in run.cases if name_of(case).startswith(name)
    ]


def test_real_waits_overlap(overlapping: Run) -> None:
    """All waiting cases are under way at one moment, so the run takes about its longest wait and not their sum."""
    waiting = intervals(overlapping, "waiting")
    assert len(waiting) == 6
    assert max(begin for begin, _ in waiting) < min(end for _, end in waiting)
    assert all(case.verdict is Verdict.PASSED for case in overlapping.cases)


def test_quick_cases_run_beside_them(overlapping: Run) -> None:
    """A quick case does not wait for the waiting ones."""
    ((_, quick_end),) = intervals(overlapping, "quick")
    assert quick_end < min(end for _, end in intervals(overlapping, "waiting"))


def test_durations_are_their_own(overlapping: Run) -> None:
    """Each waiting case has its own duration and wait, although the first that pytest reports has waited for all."""
    for case in overlapping.cases:
        if name_of(case).startswith("waiting"):
            assert case.waited == 1
            assert 1 <= case.duration < 3
        elif name_of(case) == "quick":
            assert case.waited == 0
            assert case.duration < 1


def test_alone_is_alone(overlapping: Run) -> None:
    """A case with impact on the instance overlaps none."""
    ((begin, end),) = intervals(overlapping, "alone")
    others = [interval for name in ("waiting", "quick") for interval in intervals(overlapping, name)]
    assert all(other_end <= begin or end <= other_begin for other_begin, other_end in others)


def test_control_clock_costs_nothing(reference: Server, tmp_path: Path) -> None:
    """With the control protocol thirty days pass at once, and only for the instance that waits."""
    target = served_target(reference)
    clock = choose_clock(target)
    assert isinstance(clock, ControlledClock)
    assert not clock.overlaps
    other = INSTANCE.replace("0c", "0d")
    before, before_other = clock.now(INSTANCE), clock.now(other)
    clock.wait(INSTANCE, 30 * 86400)
    assert (clock.now(INSTANCE) - before).days == 30
    assert (clock.now(other) - before_other).days == 0
    clock.close()
    path = write_case(tmp_path / "cases", WAITERS.format(wait=86400))
    path.write_text("import pytest\n" + path.read_text())
    run = run_cases(target, "-k", "waiting", place=str(path))
    assert {case.verdict for case in run.cases} == {Verdict.PASSED}
    assert {case.waited for case in run.cases} == {86400}
    assert sum(case.duration for case in run.cases) < 60


def test_no_wait_allowed(reference: Server, waiters: Path) -> None:
    """Without any wait, waiting cases are not tested, say what to add, and the others run."""
    run = run_cases(served_target(reference, max_wait=0), place=str(waiters))
    waiting = [case for case in run.cases if name_of(case) != "quick"]
    assert {case.verdict for case in waiting} == {Verdict.NOT_TESTED}
    assert all("max_wait" in case.missing and "needs a wait of 1 s" in case.missing for case in waiting)
    assert [case.verdict for case in run.cases if name_of(case) == "quick"] == [Verdict.PASSED]
    assert run.verdict is RunVerdict.NOT_VERIFIED or not run.interrupted


def test_command_line_without_waits(command: Command, tmp_path: Path) -> None:
    """`--max-wait 0` prints how many cases were not tested and what to add."""
    ended = command(
        "run",
        "--max-wait",
        "0",
        "--report-dir",
        "report",
        "-k",
        "((test_enable_too_early and not again) or test_list_shows) and not views",
    )
    assert "1 not-tested, 1 passed" in ended.first_line
    assert "not-tested 1 case: needs a wait of " in " ".join(ended.out.split())
    assert "max_wait" in ended.out
    counts = json.loads((tmp_path / "report" / "results.json").read_text())["counts"]
    assert (counts["passed"], counts["not-tested"]) == (1, 1)


def test_wait_that_is_too_long(reference: Server) -> None:
    """A wait beyond max_wait is refused before it begins."""
    clock = choose_clock(served_target(reference, control=False, max_wait=2))
    assert isinstance(clock, RealClock)
    assert clock.overlaps
    with pytest.raises(TooLong):
        clock.wait(INSTANCE, 3)


def test_cancel_ends_a_wait(reference: Server) -> None:
    """A real wait ends at once when the run is stopped, and so does every later one."""
    clock = RealClock(served_target(reference, control=False))
    ended = threading.Event()

    def wait() -> None:
        with pytest.raises(Cancelled):
            clock.wait(INSTANCE, 60)
        ended.set()

    thread = threading.Thread(target=wait)
    thread.start()
    clock.cancel()
    assert ended.wait(5)
    thread.join()
    with pytest.raises(Cancelled):
        clock.wait(INSTANCE, 60)


def test_none_allowed_beats_control(reference: Server) -> None:
    """max_wait 0 means that nobody waits, not even for free."""
    clock = choose_clock(served_target(reference, max_wait=0))
    assert isinstance(clock, NoClock)
    with pytest.raises(TooLong):
        clock.wait(INSTANCE, 0.1)


def test_skew_is_learned() -> None:
    """The endpoint's Date header corrects our clock, but only where it differs by more than it can tell."""
    target = target_of("http://127.0.0.1:9")
    clock = RealClock(target)
    clock.learn("Thu, 01 Jan 2099 00:00:00 GMT")
    assert clock.now(INSTANCE).year == 2099
    for header in (None, "", "yesterday", time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())):
        other = RealClock(target)
        other.learn(header)
        assert abs(other.now(INSTANCE).timestamp() - time.time()) < 2


def test_broken_control_protocol(reference: Server) -> None:
    """A control protocol that does not move the clock is named, with its address."""
    for url in (f"{reference.base_url}/nothing", "http://127.0.0.1:9"):
        clock = ControlledClock(served_target(reference, control_url=url))
        with pytest.raises(UnreachableError, match="did not move the clock"):
            clock.wait(INSTANCE, 1)
        clock.close()


def test_control_that_fails_in_mid_run(reference: Server, waiters: Path) -> None:
    """Then the cases that need it are inconclusive: it is not the suite's fault, and nothing was proved."""
    run = run_cases(served_target(reference, control_url=f"{reference.base_url}/nothing"), place=str(waiters))
    assert {case.verdict for case in run.cases if name_of(case) != "quick"} == {Verdict.INCONCLUSIVE}
    assert run.verdict is RunVerdict.NOT_VERIFIED


def test_order() -> None:
    """With real time those that run alone come first, then the turn-takers, then the quick; the longest wait is last."""
    infos = {
        name: CaseInfo(name, name, "key_protect", ("r",), impact=impact, waits=waits)
        for name, impact, waits in (
            ("long", (), 60), ("quick", (), 0), ("alone", ("instance",), 0), ("turns", ("import-token",), 0),
            ("short", ("import-token",), 30), ("alone-waits", ("allowed-ip",), 5),
        )
    }  # fmt: skip
    assert order(infos, infos, real_time=True) == ["alone", "alone-waits", "turns", "quick", "short", "long"]
    assert [name for name, info in infos.items() if may_overlap(info)] == ["long", "short"]


@pytest.mark.parametrize("dist", [("--dist", "loadgroup"), ()], ids=["kept-together", "any"])
def test_workers_run_a_waiting_case_once(
    command: Command, reference: Server, tmp_path: Path, dist: tuple[str, ...]
) -> None:
    """Of several processes one runs a waiting case: two would make things of one name on a shared instance."""
    noted = tmp_path / "noted"
    path = write_case(
        tmp_path / "own",
        f'''
def note(name):
    with open({str(noted)!r}, "a") as notes:
        notes.write(name + "\\n")


@covers("list-keys")
@waits(1)
@pytest.mark.parametrize("number", range(4))
def test_waiting(kms, number):
    """A case that waits."""
    note(f"begin{{number}}")
    kms.list_keys(limit=1).succeeds(200)
    kms.wait(1, "the test wants it")
    note(f"end{{number}}")


@covers("list-keys")
@pytest.mark.parametrize("number", range(6))
def test_quick(kms, number):
    """A case that does not."""
    kms.list_keys(limit=1).succeeds(200)
''',
    )
    path.write_text("import pytest\n" + path.read_text())
    target = tmp_path / "target.toml"
    write_target(target, reference)
    text = target.read_text().replace('instance = "fresh"', f'instance = "{INSTANCE}"')
    target.write_text(re.sub(r"\[control\]\n.*\n", "", text))
    ended = command(
        "--kms-target", str(target), "-n", "2", *dist, "-p", "no:cacheprovider", str(path), module="pytest"
    )
    assert ended.code == 0, ended.output
    assert "10 passed" in ended.out, ended.output
    notes = noted.read_text().split()
    assert sorted(notes) == [f"{what}{number}" for what in ("begin", "end") for number in range(4)]
    if dist:
        assert all(note.startswith("begin") for note in notes[:4]), "waits do not overlap"
