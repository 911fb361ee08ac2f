"""Cases that are under way at once: how many, what runs alone, in which order they are told, and how they stop."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from commands import Command, start_command
from runs import case_of, run_cases, served_target, session_and_context, target_of, write_case

from kms_conformance.adapters.key_protect.adapter import KeyProtect
from kms_conformance.contract.severity import Verdict
from kms_conformance.evidence.exchange import CLIENT
from kms_conformance.judging.results import CaseResult
from kms_conformance.judging.verdict import Run
from kms_conformance.run.context import CaseInfo
from kms_conformance.run.jobs import jobs_for
from kms_conformance.run.journal import Journal
from kms_conformance.run.schedule import order_of_beginning
from kms_conformance.transport.client import Client, Reply, Request
from kms_reference.server import Server
from kms_reference.target import target_text

INSTANCE = "00000000-0000-4000-8000-0000000000ab"
COUNTED = """
import threading
from pathlib import Path

LOCK = threading.Lock()
NOW = []


def enter(name):
    with LOCK:
        NOW.append(name)
        with Path({notes!r}).open("a") as notes:
            notes.write(" ".join(sorted(NOW)) + "\\n")


def leave(name):
    with LOCK:
        NOW.remove(name)
"""


@pytest.fixture
def server() -> Iterator[Server]:
    """Yield a reference of this test's own."""
    with Server() as running:
        yield running


def name_of(case: CaseResult) -> str:
    """Return a case's name without the path of its file."""
    return case.id.rsplit(".", 1)[-1]


def together(notes: Path) -> list[set[str]]:
    """Return which cases were under way each time that one began."""
    return [set(line.split()) for line in notes.read_text().splitlines()]


def counted(folder: Path, notes: Path, text: str) -> Path:
    """Write a module of cases that note what runs beside them."""
    path = write_case(folder, COUNTED.format(notes=str(notes)) + text)
    path.write_text("import pytest\n" + path.read_text())
    return path


def test_so_many_at_once(server: Server, tmp_path: Path) -> None:
    """Four cases that wait for each other pass with four jobs, and each has an instance of its own."""
    path = write_case(
        tmp_path / "cases",
        '''
import threading

ALL = threading.Barrier(4)
INSTANCES = set()


@covers("list-keys")
@pytest.mark.parametrize("number", range(4))
def test_meeting(kms, number):
    """A case that goes on when three others have come as far."""
    kms.list_keys(limit=1).succeeds(200)
    INSTANCES.add(kms.case.instance)
    ALL.wait(60)
    assert len(INSTANCES) == 4
''',
    )
    path.write_text("import pytest\n" + path.read_text())
    run = run_cases(served_target(server), place=str(path), jobs=4)
    assert [case.verdict for case in run.cases] == [Verdict.PASSED] * 4, [case.message for case in run.cases]


def test_never_more(server: Server, tmp_path: Path) -> None:
    """No more cases are under way than there are jobs."""
    notes = tmp_path / "notes"
    path = counted(
        tmp_path / "cases",
        notes,
        '''
@covers("list-keys")
@pytest.mark.parametrize("number", range(12))
def test_one(kms, number):
    """A case."""
    enter(f"n{number}")
    kms.list_keys(limit=1).succeeds(200)
    leave(f"n{number}")
''',
    )
    run = run_cases(served_target(server), place=str(path), jobs=3)
    assert len(run.cases) == 12
    assert max(len(names) for names in together(notes)) <= 3


def test_clean_up_takes_no_place(server: Server, tmp_path: Path) -> None:
    """A case that only cleans up lets the next one begin, so that two clean-ups can wait for a third case."""
    path = write_case(
        tmp_path / "cases",
        '''
import threading

BEGUN = threading.Event()


@covers("list-keys")
@pytest.mark.parametrize("number", range(3))
def test_one(kms, number):
    """A case whose clean-up goes on when the last case has begun."""
    kms.list_keys(limit=1).succeeds(200)
    if number == 2:
        BEGUN.set()
    else:
        kms.case.clean_up.append(lambda: kms.get_metadata(kms.case.instance) if BEGUN.wait(60) else None)
''',
    )
    path.write_text("import pytest\n" + path.read_text())
    run = run_cases(served_target(server), place=str(path), jobs=2)
    cleaned = [len(case.exchanges) for case in run.cases]
    assert [case.verdict for case in run.cases] == [Verdict.PASSED] * 3, [case.message for case in run.cases]
    assert cleaned == [2, 2, 1]


def test_reads_are_shared(server: Server, tmp_path: Path) -> None:
    """What only reads is sent by several clients where several cases are under way, and its answers keep their order."""
    path = write_case(
        tmp_path / "cases",
        '''
from functools import partial


@covers("list-keys")
def test_reads(kms):
    """A case that reads ten lists."""
    answers = kms.case.read([partial(kms.list_keys, limit=limit) for limit in range(1, 11)])
    for answer in answers:
        answer.succeeds(200)
    assert [answer.exchange.sent.url.rpartition("=")[2] for answer in answers] == [str(n) for n in range(1, 11)]
''',
    )
    clients = {
        jobs: [exchange.notes.get(CLIENT, "") for exchange in case.exchanges]
        for jobs in (1, 2)
        for case in run_cases(served_target(server), place=str(path), jobs=jobs).cases
        if case.verdict is Verdict.PASSED
    }
    assert clients[1] == [""] * 10
    assert sorted(clients[2]) == sorted("1112223344")


def test_order_of_reports(server: Server, tmp_path: Path) -> None:
    """However cases end, pytest is told of them in the order in which it has collected them."""
    reports = tmp_path / "reports"
    path = write_case(
        tmp_path / "cases",
        '''
import threading

LAST = threading.Event()


@covers("list-keys")
@pytest.mark.parametrize("number", range(3))
def test_one(kms, number):
    """A case that ends after the ones behind it."""
    kms.list_keys(limit=1).succeeds(200)
    if number == 2:
        LAST.set()
    assert LAST.wait(60)
''',
    )
    path.write_text("import pytest\n" + path.read_text())
    with (tmp_path / "cases" / "conftest.py").open("a") as conftest:
        conftest.write(f"""

def pytest_runtest_logreport(report):
    if report.when == "call":
        with open({str(reports)!r}, "a") as notes:
            notes.write(report.nodeid.rpartition("::")[2] + "\\n")
""")
    run = run_cases(served_target(server), place=str(path), jobs=3)
    assert {case.verdict for case in run.cases} == {Verdict.PASSED}
    assert reports.read_text().split() == [f"test_one[{number}]" for number in range(3)]


def test_exit_at_the_first_failure(server: Server, tmp_path: Path) -> None:
    """With -x no case begins once one has failed; those under way end, and the failed one is told."""
    path = write_case(
        tmp_path / "cases",
        '''
@covers("list-keys")
@pytest.mark.parametrize("number", range(30))
def test_one(kms, number):
    """A case; the third one fails."""
    kms.list_keys(limit=1).succeeds(200 if number != 2 else 201)
''',
    )
    path.write_text("import pytest\n" + path.read_text())
    run = run_cases(served_target(server), "-x", place=str(path), jobs=2)
    failed = [name_of(case) for case in run.cases if case.verdict is Verdict.FAILED]
    assert failed == ["one[2]"]
    assert len(run.cases) < 30
    assert "stopping after 1 failures" in run.interrupted


def test_alone_on_a_shared_instance(server: Server, tmp_path: Path) -> None:
    """What touches the whole instance runs alone, what uses an instance-wide thing takes turns; the clock is moved together.

    A case that moves the clock, and for which time must not go on by itself, runs alone as well.
    """
    notes = tmp_path / "notes"
    path = counted(
        tmp_path / "cases",
        notes,
        '''
@covers("list-keys")
@pytest.mark.parametrize("number", range(6))
def test_quick(kms, number):
    """A quick case."""
    enter(f"quick{number}")
    kms.list_keys(limit=1).succeeds(200)
    leave(f"quick{number}")


@covers("list-keys")
@impact("import-token")
@pytest.mark.parametrize("number", range(4))
def test_turns(kms, number):
    """A case with an instance-wide thing."""
    enter(f"turns{number}")
    kms.list_keys(limit=1).succeeds(200)
    leave(f"turns{number}")


@covers("list-keys")
@impact("instance")
@pytest.mark.parametrize("number", range(2))
def test_whole(kms, number):
    """A case about the instance."""
    enter(f"alone{number}")
    kms.list_keys(limit=1).succeeds(200)
    leave(f"alone{number}")


@covers("list-keys")
@waits(5, slack=6)
def test_exact(kms):
    """A case that moves the clock, and wants it to be exact."""
    enter("alone-clock")
    kms.wait(5, "the test wants it")
    kms.list_keys(limit=1).succeeds(200)
    leave("alone-clock")


ALL = threading.Barrier(3)


@covers("list-keys")
@waits(129600)
@pytest.mark.parametrize("number", range(3))
def test_clock(kms, number):
    """A case that moves the clock, when others that do so have come as far."""
    ALL.wait(60)
    enter(f"clock{number}")
    before = kms.case.now()
    kms.wait(3600 * 6**number, "the test wants it")
    passed = (kms.case.now() - before).total_seconds() - 3600 * 6**number
    assert 0 <= passed < 600, passed
    kms.list_keys(limit=1).succeeds(200)
    leave(f"clock{number}")
''',
    )
    allow = {"import_token": True, "instance_policies": True}
    run = run_cases(served_target(server, instance=INSTANCE, allow=allow), place=str(path), jobs=6)
    assert [case.message for case in run.cases if case.verdict is not Verdict.PASSED] == []
    for names in together(notes):
        assert len(names) == 1 or not any(name.startswith("alone") for name in names), names
        assert len({name.startswith("clock") for name in names}) == 1, names
        assert sum(name.startswith("turns") for name in names) <= 1, names


def test_what_takes_longest_begins_first() -> None:
    """Cases that take turns for one thing follow one another: together they may be longer than any other case."""
    expected: list[tuple[int, tuple[str, ...]]] = [
        (8, ()),
        (30, ()),
        (9, ("token",)),
        (12, ("token",)),
        (8, ()),
    ]
    assert order_of_beginning(expected) == [1, 3, 2, 0, 4]
    assert order_of_beginning([*expected, (10, ("token", "other"))]) == [3, 5, 2, 1, 0, 4]


def test_one_verdict_whatever_the_jobs(server: Server) -> None:
    """The cases of a folder come to the same on fresh instances and on a shared one, eight at once."""
    chosen = ("-k", "aliases or key_rings or import_token or policies")
    runs: list[Run] = [
        run_cases(served_target(server), *chosen, jobs=1),
        run_cases(served_target(server), *chosen, jobs=8),
        run_cases(
            served_target(
                server,
                instance=INSTANCE,
                allow=dict.fromkeys(("import_token", "instance_policies", "dual_auth_litter"), True),
            ),
            *chosen,
            jobs=8,
        ),
    ]
    verdicts = [{case.id: case.verdict for case in run.cases} for run in runs]
    assert len(verdicts[0]) > 20
    assert verdicts[1] == verdicts[0]
    assert {
        case_id for case_id, verdict in verdicts[2].items() if verdict is not verdicts[0][case_id]
    } == set()


def test_names_of_cases_of_one_name(server: Server) -> None:
    """Two cases whose functions are called the same make things of different names on one instance."""
    session, context = session_and_context(served_target(server, instance=INSTANCE))
    try:
        names = set()
        for place in ("keys", "rings"):
            case = case_of(context, instance=INSTANCE)
            case.info = CaseInfo(
                f"key_protect.{place}.{'long' * 30}", "a case", "key_protect", ("list-keys",)
            )
            names |= {KeyProtect(case).name(), KeyProtect(case).short_name("key")}
        assert len(names) == 4
    finally:
        session.close()


def test_silence_at_the_same_moment_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four requests that got no answer while they waited together are one of a row, one after the other they are four."""
    session, context = session_and_context(target_of("http://127.0.0.1:9"))
    request = Request("GET", "/api/v2/keys")
    meeting = threading.Barrier(4)

    def silent(client: Client, built: httpx.Request) -> Reply:
        meeting.wait(60)
        raise httpx.ReadTimeout("silence")

    try:
        monkeypatch.setattr(Client, "_read", silent)
        threads = [threading.Thread(target=context.client.send, args=(request, "test")) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert context.client.silent == 1
        meeting = threading.Barrier(1)
        for _ in range(3):
            context.client.send(request, "test")
        assert context.client.silent == 4
        assert context.client.sent == 7
    finally:
        session.close()


def test_stopped_by_hand(server: Server, tmp_path: Path) -> None:
    """Ctrl-C while cases overlap: each removes what it has made, no further one begins, and the report says so."""
    text = re.sub(r"\[control\]\nurl = .*\n", "", target_text(server)).replace("fresh", INSTANCE, 1)
    (tmp_path / "target.toml").write_text(text)
    arguments = ("--target", "target.toml", "--jobs", "8", "--no-fuzz", "--contract", "key_protect")
    running = start_command(tmp_path, "run", *arguments, "--journal", "j.sqlite")
    session, context = session_and_context(served_target(server))

    def keys() -> int:
        header = {"bluemix-instance": INSTANCE}
        reply, _ = context.client.send(Request("GET", "/api/v2/keys?limit=5000", header), "test")
        assert reply is not None
        return len(reply.body.get("resources", []))

    try:
        until = time.monotonic() + 120
        while keys() < 3:
            assert time.monotonic() < until, "no case has begun"
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=240)
        assert running.returncode == 3, out + err
        assert "stopped by hand" in out.splitlines()[0]
        assert keys() == 0
        with closing(Journal(tmp_path / "j.sqlite", "later")) as journal:
            assert journal.left_over() == []
    finally:
        running.kill()
        running.wait()
        session.close()


def test_with_workers(command: Command, server: Server, tmp_path: Path) -> None:
    """Two processes with three cases at once each run every case once."""
    path = write_case(
        tmp_path / "own",
        '''
@covers("list-keys")
@pytest.mark.parametrize("number", range(24))
def test_quick(kms, number):
    """A case."""
    kms.list_keys(limit=1).succeeds(200)
''',
    )
    path.write_text("import pytest\n" + path.read_text())
    (tmp_path / "target.toml").write_text(target_text(server))
    ended = command(
        "--kms-target", "target.toml", "--kms-jobs", "3", "-n", "2", "--dist", "loadgroup", "-p", "no:cacheprovider",
        str(path), module="pytest",
    )  # fmt: skip
    assert ended.code == 0, ended.output
    assert "24 passed" in ended.out, ended.output
    assert "24 passed" in ended.out.rpartition("KMS conformance")[2], ended.output


def test_as_users_of_pytest_expect(command: Command, server: Server, tmp_path: Path) -> None:
    """With several jobs, -x tells the failure that one job tells, --maxfail counts, and --lf runs what has failed."""
    path = write_case(
        tmp_path / "own",
        '''
@covers("list-keys")
@pytest.mark.parametrize("number", range(20))
def test_one(kms, number):
    """A case; three of them fail."""
    kms.list_keys(limit=1).succeeds(201 if number in {4, 9, 14} else 200)
''',
    )
    path.write_text("import pytest\n" + path.read_text())
    (tmp_path / "target.toml").write_text(target_text(server))

    def outcome(*arguments: str, jobs: int) -> tuple[list[str], dict[str, int]]:
        ended = command(
            "--kms-target", "target.toml", "--kms-jobs", str(jobs), "-rf", *arguments, str(path), module="pytest"
        )  # fmt: skip
        failed = re.findall(r"^FAILED .*test_one\[(\d+)\]", ended.out, re.MULTILINE)
        ran = {
            word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|deselected)", ended.out)
        }
        return failed, ran

    assert outcome("-x", jobs=4) == outcome("-x", jobs=1) == (["4"], {"failed": 1, "passed": 4})
    assert outcome("--maxfail", "2", jobs=4)[0] == ["4", "9"]
    assert outcome(jobs=4)[0] == ["4", "9", "14"]
    failed, ran = outcome("--lf", jobs=4)
    assert (failed, ran["failed"]) == (["4", "9", "14"], 3)
    assert "passed" not in ran
    assert outcome("--lf", "-x", jobs=4)[0] == ["4"]


@pytest.mark.parametrize(
    ("round_trip", "per_second", "jobs"),
    [
        (0.0, None, 1),
        (0.02, None, 21),
        (0.08, None, 32),
        (2.0, None, 48),
        (0.08, 10, 3),
        (0.08, 1, 2),
    ],
)
def test_default_number(round_trip: float, per_second: float | None, jobs: int) -> None:
    """As many cases as the round trip asks for, and under a rate limit no more than keep it full."""
    assert jobs_for(round_trip, per_second) == jobs
