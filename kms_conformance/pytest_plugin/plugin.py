"""The active half of the plugin: it runs cases as pytest's items and forms one verdict at the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kms_conformance.contract.corpus import forget_corpora
from kms_conformance.errors import ExitCode, ReportDirError, SuiteError
from kms_conformance.evidence.serialization import from_document, to_document
from kms_conformance.judging.results import CaseResult
from kms_conformance.judging.verdict import Run, headline
from kms_conformance.outputs.baseline import as_documents
from kms_conformance.outputs.files import prepare
from kms_conformance.outputs.shards import NAME, write_shard
from kms_conformance.outputs.writers import write_all
from kms_conformance.pytest_plugin.collection import Collection
from kms_conformance.pytest_plugin.items import RESULT, body_of, case_id, describe, is_case, report_to_pytest
from kms_conformance.pytest_plugin.log_redaction import LogRedaction, redacted_streams
from kms_conformance.pytest_plugin.reporting import Reporting
from kms_conformance.pytest_plugin.session_options import report_dir, session_of
from kms_conformance.pytest_plugin.shared_secrets import Hub, share
from kms_conformance.redaction.redactor import Redactor
from kms_conformance.run.context import CaseInfo
from kms_conformance.run.locks import tell
from kms_conformance.run.memory import few_arenas, fewer_collections, give_back
from kms_conformance.run.options import Options
from kms_conformance.run.parent import end_with_parent
from kms_conformance.run.schedule import comes_first
from kms_conformance.run.session import Session
from kms_conformance.target.target import build_target

STATE = pytest.StashKey["State"]()


def of_options(config: pytest.Config) -> State:
    """Return the plugin for a session that pytest's own command line asks for."""
    return State(lambda: session_of(config), report_dir(config))


def of_worker(worker: dict[str, Any]) -> State:
    """Return the plugin for a worker of pytest-xdist, from what its controller has sent through the pipe."""
    end_with_parent()
    sent = json.loads(worker["kms"])
    options = replace(from_document(Options, sent["options"]), worker=str(worker["workerid"]))
    target = replace(build_target(sent["target"], {}), embedded=sent["embedded"])

    def start() -> Session:
        session = Session(options, target)
        session.also_read(sent["premises"])
        share(session, worker["kms_secrets"])
        return session

    return State(start, None, worker=sent["dist"], workers=int(worker["workercount"]))


class State:
    """The plugin's active half, registered only where cases are asked for.

    ``start`` makes the session; ``worker`` says how cases are shared out to the process that this is, ``""`` in no
    worker, ``workers`` how many there are; ``run_ended`` (of the command line) receives the verdict object.
    """

    is_kms_session = True

    def __init__(
        self,
        start: Callable[[], Session],
        report_dir: Path | None,
        *,
        worker: str = "",
        workers: int = 1,
        progress_reporter: Any = None,
    ) -> None:
        self._start, self._report_dir, self._worker, self._progress_reporter = (
            start,
            report_dir,
            worker,
            progress_reporter,
        )
        self._session: Session | None = None
        self._collection = Collection(lambda: self.session, worker, progress_reporter, workers)
        self._hub = Hub(lambda: self.session)
        self._streams = ExitStack()
        self.run: Run | None = None
        self.is_stopped_by_hand = False
        self.unwritten: ReportDirError | None = None

    @property
    def chosen(self) -> list[CaseInfo]:
        """The cases that were collected and chosen, in no certain order."""
        return list(self._collection.infos.values())

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
        plugins = session.config.pluginmanager
        plugins.register(LogRedaction(self._clean, session.config), "kms-log-redaction")
        self._streams.enter_context(redacted_streams(self._without_secrets))
        plugins.register(self._collection, "kms-collection")
        plugins.register(
            Reporting(lambda: self.session, self._clean, self._worker, self._progress_reporter),
            "kms-reporting",
        )
        try:
            if self._report_dir is not None:
                prepare(self._report_dir)
            self.session  # noqa: B018 - starts it
            if not self._worker and self._progress_reporter is None:
                self.session.check(mends=not session.config.option.collectonly)
                if not session.config.option.collectonly:
                    for line in self.session.recover():
                        tell(f"could not remove what a killed run has left: {line}")
            if not self._worker and not session.config.option.collectonly:
                self.session.read_premises()
        except SuiteError as error:
            pytest.exit(str(error), returncode=error.exit_code)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Hand the session to a worker: through its pipe, never by the disk."""
        node.workerinput["kms"] = json.dumps(
            {
                "options": to_document(replace(self.session.options, jobs=self.session.jobs)),
                "target": self.session.target.document(),
                "embedded": self.session.target.embedded,
                "premises": self.session.premises,
                "dist": str(node.config.getoption("dist")),
            }
        )
        node.workerinput["kms_secrets"] = self._hub.connect(node.gateway.newchannel())

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Generator[None, Any, Any]:
        """Run the cases without going through all evidence again and again."""
        few_arenas()
        with fewer_collections():
            return (yield)

    # --- one case -------------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """Run a case's body, or collect the result of the thread it runs in."""
        if not is_case(pyfuncitem):
            return None
        info = self._collection.infos.get(case_id(pyfuncitem)) or describe(pyfuncitem)
        overlapping = self._collection.overlapping
        assert overlapping is not None
        result: CaseResult | None
        if overlapping.knows(info.id):
            result = overlapping.collect(info.id, self._show_progress, self._collection.together(info.id))
        else:
            if not self.session.alone(info) and not comes_first(info) and not self._worker:
                overlapping.launch()
            result = self.session.run_case(self.session.open(info), body_of(pyfuncitem))
        if result is None:
            pytest.fail("the case was lost", pytrace=False)  # why is in the report
        pyfuncitem.stash[RESULT] = result
        report_to_pytest(result, self.session.accepts(result))
        return True

    def _show_progress(self, number: int, until: float) -> None:
        """Tell, while one case is waited for, which others have finished, and how many wait as their rules demand."""
        if self._progress_reporter is not None:
            self._progress_reporter.case_done(self.session.results)
            self._progress_reporter.waiting(number, until)

    # --- the end -----------------------------------------------------------------------------------------------------

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Note that the run was stopped: by hand, or by pytest itself."""
        self.is_stopped_by_hand = type(excinfo.value) is KeyboardInterrupt
        if self._session is not None:  # else the session could not be started, which has been reported
            why = "stopped by hand" if self.is_stopped_by_hand else str(excinfo.value) or "stopped by pytest"
            self._session.cut_short(why)

    @pytest.hookimpl(tryfirst=True)
    def pytest_internalerror(self, excrepr: Any, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Note an error of pytest or of the suite itself; its traceback is printed without local variables."""
        text = self._clean(str(excinfo.getrepr(style="short", showlocals=False)))
        excrepr.toterminal = lambda terminal: terminal.line(text)
        if self._session is not None:
            self._session.went_wrong(text.strip().splitlines()[-1])

    @property
    def _redactor(self) -> Redactor | None:
        return self._session.redactor if self._session is not None else None

    def _clean(self, text: str) -> str:
        """Return a text without the secrets that the session knows."""
        return text if self._redactor is None else self._redactor.scrub(text)

    def _without_secrets(self, text: str) -> str:
        return text if self._redactor is None else self._redactor.without_secrets(text)

    @pytest.hookimpl(wrapper=True, trylast=True)  # inside of the terminal's own, which reports afterwards
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """End the waits; then, once no worker is at work any more, clean up, form the verdict and write the reports."""
        self._end_waits(session)
        result = yield
        if self._session is not None and not self._worker:
            self._conclude(session)
        return result

    def _end_waits(self, session: pytest.Session) -> None:
        if self._session is None:
            return
        if session.shouldstop or session.shouldfail:
            self.session.cut_short(str(session.shouldfail or session.shouldstop), if_first=True)
        if self._collection.overlapping is not None:
            self._collection.overlapping.stop()
        if self._worker:
            self._collection.hand_over(session.config)
            self.session.close()

    def _conclude(self, session: pytest.Session) -> None:
        if not session.config.option.collectonly:  # a list of cases is no run, and has no verdict
            self._tidy()
            give_back()
            self.run = self.session.outcome()
            forget_corpora()
            if self._report_dir is not None:
                try:
                    write_all(self.run, self._report_dir)
                    self._leave_shard(self.run, self._report_dir)
                except (ReportDirError, OSError) as error:
                    self.unwritten = _of_report(error, self._report_dir)
            if self._progress_reporter is not None:
                self._progress_reporter.stop()
            if session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED} and self.exit_code:
                # As `run` ends: what is not verified is no success, not even where all that was selected has passed.
                session.exitstatus = self.exit_code

    @property
    def exit_code(self) -> int:
        """The exit code for the shell: of the verdict, or, where that is 0, of a missing report."""
        assert self.run is not None
        return int(self.run.exit_code or (ExitCode.USAGE if self.unwritten is not None else 0))

    def _tidy(self) -> None:
        """Remove what cases have left nevertheless."""
        try:
            self.session.tidy()
        except (KeyboardInterrupt, SuiteError):
            self.session.left = ["some things: the clean-up at the end was cut short"]

    def pytest_unconfigure(self) -> None:
        """Close everything."""
        self._streams.close()
        if self._session is not None and not self._worker:
            self._session.close()

    def _leave_shard(self, run: Run, directory: Path) -> None:
        """Write what merging the shards needs; an old file of an earlier shard goes."""
        options = self.session.options
        if not options.shard:
            (directory / NAME).unlink(missing_ok=True)
            return
        baseline = None if options.baseline is None else as_documents(options.baseline)
        write_shard(
            run,
            directory,
            shard=options.shard,
            cases_in_all=self._collection.in_all,
            left_out=self._collection.deselected,
            baseline=baseline,
            durations=options.shard_durations,
        )

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say the verdict where pytest itself reports."""
        if self.run is not None:
            terminalreporter.section("KMS conformance")
            terminalreporter.write_line(headline(self.run))
        if self.unwritten is not None:
            terminalreporter.write_line(f"error: {self.unwritten.sentence}")


def _of_report(error: Exception, folder: Path) -> ReportDirError:
    if isinstance(error, ReportDirError):
        return error
    why = error.strerror if isinstance(error, OSError) else None
    return ReportDirError(str(folder), why or type(error).__name__)


def open_case(request: pytest.FixtureRequest, contract: str) -> Iterator[str]:
    """Stand in for the system until the body runs; outside an active session, say how to start one."""
    if STATE not in request.config.stash:
        pytest.fail("cases run under --kms-target FILE or --pyargs kms_conformance.scenarios", pytrace=False)
    if not is_case(request.node):
        pytest.fail(
            "a case says by @covers(ROW, ...) which rows of the contract it puts to the test", pytrace=False
        )
    yield contract
