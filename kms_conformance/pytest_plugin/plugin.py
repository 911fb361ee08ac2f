"""The active half of the plugin: it runs cases as pytest's items and forms one verdict at the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kms_conformance.contract.case_index import not_among
from kms_conformance.errors import SuiteError
from kms_conformance.judging.results import CaseResult
from kms_conformance.judging.serialization import case_from_json, case_to_json
from kms_conformance.judging.verdict import Profile, Run, headline
from kms_conformance.outputs.baseline import as_documents, read_baseline
from kms_conformance.outputs.files import prepare
from kms_conformance.outputs.shards import NAME, in_shard, write_shard
from kms_conformance.pytest_plugin import command_line
from kms_conformance.pytest_plugin.items import (
    RESULT,
    TOGETHER,
    body_of,
    case_id,
    describe,
    is_case,
    tell_allure,
    tell_pytest,
    told,
)
from kms_conformance.pytest_plugin.log_redaction import Quiet
from kms_conformance.run.context import CaseInfo
from kms_conformance.run.options import Options, as_mapping, from_mapping
from kms_conformance.run.schedule import Overlap, comes_first, may_overlap, order
from kms_conformance.run.session import Session
from kms_conformance.target.target import build_target, read_target

GENERATING = frozenset({"test_live.py", "test_stateful.py"})
STATE = pytest.StashKey["State"]()


def of_options(config: pytest.Config) -> State:
    """Return the plugin for a session that pytest's own command line asks for."""
    return State(lambda: _session(config), command_line.report_dir(config))


def _session(config: pytest.Config) -> Session:
    baseline = config.getoption("kms_baseline")
    options = Options(
        profile=Profile(config.getoption("kms_profile") or "gate"),
        edition=config.getoption("kms_edition") or "page",
        report_dir=command_line.report_dir(config),
        journal=Path(config.getoption("kms_journal") or ".kms-conformance/journal.sqlite"),
        max_wait=config.getoption("kms_max_wait"),
        baseline=read_baseline(Path(baseline)) if baseline else None,
        fuzz=command_line.fuzz_options(config),
        shard=command_line.shard(config),
    )
    path = config.getoption("kms_target")
    target = read_target(path) if path else None
    return Session(replace(options, contracts=command_line.contracts(config, target)), target)


def of_worker(worker: dict[str, Any]) -> State:
    """Return the plugin for a worker of pytest-xdist, from what its controller has sent through the pipe."""
    sent = json.loads(worker["kms"])
    options = replace(from_mapping(sent["options"]), worker=str(worker["workerid"]))
    target = replace(build_target(sent["target"], {}), embedded=sent["embedded"])
    return State(lambda: Session(options, target), None, worker=sent["dist"])


class State:
    """The plugin's active half, registered only where cases are asked for.

    ``start`` makes the session; ``worker`` says how cases are shared out to the process that this is, ``""`` in no
    worker; ``run_ended`` (of the command line) receives the verdict object.
    """

    is_kms_session = True

    def __init__(
        self,
        start: Callable[[], Session],
        report_dir: Path | None,
        *,
        worker: str = "",
        watcher: Any = None,
    ) -> None:
        self._start, self._report_dir, self._worker, self._watcher = start, report_dir, worker, watcher
        self._session: Session | None = None
        self._overlap: Overlap | None = None
        self._infos: dict[str, CaseInfo] = {}
        self._deselected = self._in_all = 0
        self.run: Run | None = None
        self.left: list[str] = []

    @property
    def session(self) -> Session:
        """The session, started on first use."""
        if self._session is None:
            self._session = self._start()
        return self._session

    # --- the pytest session ---------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Start the embedded reference, or check the target, before anything is collected."""
        session.config.stash[STATE] = self
        session.config.pluginmanager.register(Quiet(self._clean, session.config), "kms-quiet")
        try:
            if self._report_dir is not None:
                prepare(self._report_dir)
            self.session  # noqa: B018 - starts it
            if not self._worker and self._watcher is None:
                self.session.check()
        except SuiteError as wrong:
            pytest.exit(str(wrong), returncode=wrong.exit_code)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Hand the session to a worker: through its pipe, never by the disk."""
        node.workerinput["kms"] = json.dumps(
            {
                "options": as_mapping(self.session.options),
                "target": self.session.target.document(),
                "embedded": self.session.target.embedded,
                "dist": str(node.config.getoption("dist")),
            }
        )

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """Count what ``-k`` and its like leave out: such a run is not complete."""
        self._deselected += sum(is_case(item) for item in items)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Order the cases; with a real clock, note those whose waits overlap."""
        cases = {info.id: (item, info) for item in items if is_case(item) for info in [describe(item)]}
        judged = self.session.options.contracts
        cases = {case_id: case for case_id, case in cases.items() if case[1].contract in judged}
        if self._watcher is None and not self._deselected:
            # One file of ours, or one case by its name, is a part as much as what -k leaves is.
            unasked = () if self.session.options.fuzz.generate else GENERATING
            self._deselected = not_among(cases, judged, without=unasked)
        cases = self._own(cases)
        self._infos = {case_id: info for case_id, (_, info) in cases.items()}
        # Workers share the cases: all that wait go to one of them, where they are kept together, else to any.
        self._overlap = Overlap(self.session, one_by_one=self._worker not in {"", "loadgroup"})
        contracts = {info.contract for info in self._infos.values()}
        real_time = any(self.session.overlaps(contract) for contract in contracts)
        others = [item for item in items if not is_case(item)]
        items[:] = others + [cases[case_id][0] for case_id in order(self._infos, cases, real_time=real_time)]
        if not real_time:
            return
        for item, info in cases.values():
            if may_overlap(info) and self.session.overlaps(info.contract):
                self._overlap.add(info, body_of(item))

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Keep the cases whose waits overlap in one process; xdist reads the mark before cases are put in order."""
        if self._worker and is_case(item):
            info = describe(item)
            judged = info.contract in self.session.options.contracts
            if judged and may_overlap(info) and self.session.overlaps(info.contract):
                item.add_marker(pytest.mark.xdist_group(TOGETHER))

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """Leave out the fuzz cases that make requests during the run, unless they are asked for."""
        generating = collection_path.parent.name == "fuzz" and collection_path.name in GENERATING
        return True if generating and not self.session.options.fuzz.generate else None

    def _own(self, cases: dict[str, tuple[pytest.Item, CaseInfo]]) -> dict[str, tuple[pytest.Item, CaseInfo]]:
        """Return the cases of this shard."""
        self._in_all = len(cases)
        shard = self.session.options.shard
        if not shard:
            return cases
        own = in_shard(cases, shard)
        return {case_id: case for case_id, case in cases.items() if case_id in own}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note how many cases are to run."""
        self.session.expected = sum(is_case(item) for item in session.items)
        if self._deselected:
            self.session.interrupted = self._left_out()
        if self._watcher is not None:
            self._watcher.start(self.session.expected)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Take the number of cases from what a worker has collected."""
        self.session.expected = len(ids)
        if self._watcher is not None:
            self._watcher.start(len(ids))

    # --- one case -------------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """Run a case's body, or collect the result of the thread it runs in."""
        if not is_case(pyfuncitem):
            return None
        info = self._infos.get(case_id(pyfuncitem)) or describe(pyfuncitem)
        overlap = self._overlap
        assert overlap is not None
        if overlap.knows(info.id):
            result = overlap.collect(info.id, self._beat)
        else:
            if not comes_first(info) and not self._worker:
                overlap.launch()
            result = self.session.run_case(self.session.open(info), body_of(pyfuncitem))
        pyfuncitem.stash[RESULT] = result
        tell_pytest(result, self.session.accepts(result))
        return True

    def _beat(self, number: int, until: float) -> None:
        if self._watcher is not None:
            self._watcher.waiting(number, until)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, Any, Any]:
        """Give the report the case's true duration and, for a worker's controller, its result."""
        report = yield
        result = item.stash.get(RESULT, None)
        if result is not None and report.when == "call":
            report.duration, report.start, report.stop = (
                result.duration,
                result.started,
                result.started + result.duration,
            )
            if call.excinfo is not None and not report.skipped:
                report.longrepr = self._scrubbed(result, str(report.longrepr))
            if self._worker:
                report.kms_case = case_to_json(result)
            tell_allure(item, result)
        elif is_case(item) and report.failed:
            report.longrepr = self._clean(str(report.longrepr))
            self.session.trouble = self.session.trouble or f"{item.name} could not be set up or torn down"
        return report

    def _scrubbed(self, result: CaseResult, text: str) -> str:
        """Return what pytest prints for a failed case, without any secret."""
        if result.findings:
            return "\n".join(
                [f"{result.id}: {result.title}", *(told(finding) for finding in result.findings)]
            )
        return self._clean(text)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in a worker's result, and tell the progress line."""
        told = getattr(report, "kms_case", None)
        if told is not None and not self._worker:
            result = case_from_json(told)
            self.session.results[result.id] = result
        if self._watcher is not None and report.when == "call":
            self._watcher.case_done(self.session.results)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a module that cannot be imported: trouble of the suite, not of the endpoint."""
        if report.failed:
            why = self._clean(str(report.longrepr).strip()).splitlines()[-1]
            self.session.trouble = f"{report.nodeid} cannot be collected: {why}"

    def _left_out(self) -> str:
        """Say how many cases the selection has left out."""
        if not self.session.expected:
            return f"the selection matches none of {self._deselected} cases"
        return f"{self._deselected} {'case was' if self._deselected == 1 else 'cases were'} left out by the selection"

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Note that the run was stopped: by hand, or by pytest itself."""
        if self._session is not None:  # else the session could not be started, which has been told
            by_hand = type(excinfo.value) is KeyboardInterrupt
            self._session.interrupted = (
                "stopped by hand" if by_hand else str(excinfo.value) or "stopped by pytest"
            )

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object | None) -> None:
        """Take in what a worker has left out, and note one that crashed."""
        told = getattr(node, "workeroutput", {})
        self._in_all = max(self._in_all, told.get("kms_in_all", 0))
        self._deselected = max(self._deselected, told.get("kms_deselected", 0))
        if self._deselected and not self.session.interrupted:
            self.session.interrupted = self._left_out()
        if error:
            self.session.interrupted = f"worker {node.gateway.id} crashed"

    @pytest.hookimpl(tryfirst=True)
    def pytest_internalerror(self, excrepr: Any, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Note an error of pytest or of the suite itself; whoever prints it prints no local variables."""
        told = self._clean(str(excinfo.getrepr(style="short", showlocals=False)))
        excrepr.toterminal = lambda terminal: terminal.line(told)
        if self._session is not None:
            self._session.trouble = told.strip().splitlines()[-1]

    def _clean(self, text: str) -> str:
        """Return a text without the secrets that the session knows."""
        redactor = self._session.redactor if self._session is not None else None
        return redactor.scrub(text) if redactor is not None else text

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """End the waits, form the verdict, write the reports."""
        if self._session is None:
            return
        if session.shouldstop or session.shouldfail:
            self.session.interrupted = self.session.interrupted or str(
                session.shouldfail or session.shouldstop
            )
        if self._overlap is not None:
            self._overlap.stop()
        if self._worker:
            session.config.workeroutput["kms_in_all"] = self._in_all  # type: ignore[attr-defined]  # xdist's
            session.config.workeroutput["kms_deselected"] = self._deselected  # type: ignore[attr-defined]  # xdist's
        elif not session.config.option.collectonly:  # a list of cases is no run, and has no verdict
            self.run = self.session.outcome()
            if self._report_dir is not None:
                from kms_conformance.outputs import write_all  # noqa: PLC0415 - templates are loaded when there is something to write

                write_all(self.run, self._report_dir)
                self._leave_shard(self.run, self._report_dir)
            if self._watcher is not None:
                self._watcher.stop()
            if session.exitstatus == pytest.ExitCode.OK and not self._is_green(self.run):
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if self._worker:
            self.session.close()

    def pytest_unconfigure(self) -> None:
        """Remove what cases have left nevertheless, once no worker is alive any more, and let go of everything."""
        if self._session is None or self._worker:
            return
        try:
            self.left = self._session.tidy()
        except (KeyboardInterrupt, SuiteError):
            self.left = ["some things: the clean-up at the end was cut short"]
        finally:
            self._session.close()

    def _is_green(self, run: Run) -> bool:
        """Tell whether pytest itself may end with 0: conformant, or a selection of which something passed."""
        return not run.exit_code or (self._deselected > 0 and run.counts["passed"] > 0)

    def _leave_shard(self, run: Run, directory: Path) -> None:
        """Write what merging the shards needs; an old file of an earlier shard goes."""
        options = self.session.options
        if not options.shard:
            (directory / NAME).unlink(missing_ok=True)
            return
        baseline = None if options.baseline is None else as_documents(options.baseline)
        write_shard(run, directory, shard=options.shard, cases_in_all=self._in_all, baseline=baseline)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say the verdict where pytest itself reports."""
        if self.run is not None:
            terminalreporter.section("KMS conformance")
            terminalreporter.write_line(headline(self.run))


def open_case(request: pytest.FixtureRequest, contract: str) -> Iterator[str]:
    """Stand in for the system until the body runs; outside an active session, say how to start one."""
    if STATE not in request.config.stash:
        pytest.fail("cases run under --kms-target FILE or --pyargs kms_conformance.scenarios", pytrace=False)
    if not is_case(request.node):
        pytest.fail(
            "a case says by @covers(ROW, ...) which rows of the contract it puts to the test", pytrace=False
        )
    yield contract
