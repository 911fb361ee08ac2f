"""Reports of cases to pytest and its other plugins, and errors taken from their reports."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest

from kms_conformance.evidence.serialization import from_document, to_document
from kms_conformance.judging.results import CaseResult
from kms_conformance.pytest_plugin.items import RESULT, finding_lines, is_case, report_to_allure
from kms_conformance.run.session import Session


class Reporting:
    """The part of the plugin that fills pytest's reports, without any secret, and reads those of workers."""

    def __init__(
        self, session: Callable[[], Session], clean: Callable[[str], str], worker: str, progress_reporter: Any
    ) -> None:
        self._get_session, self._clean, self._worker, self._progress_reporter = (
            session,
            clean,
            worker,
            progress_reporter,
        )

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, Any, Any]:
        """Yield the report the case's true duration and, for a worker's controller, its result."""
        report = yield
        result = item.stash.get(RESULT, None)
        if result is not None and report.when == "call":
            report.duration, report.start, report.stop = (
                result.duration,
                result.started,
                result.started + result.duration,
            )
            if call.excinfo is not None and not report.skipped:
                report.longrepr = self._without_secrets(result, str(report.longrepr))
            if self._worker:
                report.kms_case = to_document(result)
            report_to_allure(item, result)
        elif is_case(item) and report.failed:
            report.longrepr = self._clean(str(report.longrepr))
            self._get_session().went_wrong(f"{item.name} could not be set up or torn down", if_first=True)
        return report

    def _without_secrets(self, result: CaseResult, text: str) -> str:
        """Return what pytest prints for a failed case, without any secret."""
        if result.findings:
            return "\n".join([f"{result.id}: {result.title}", *map(finding_lines, result.findings)])
        return self._clean(text)

    @pytest.hookimpl(tryfirst=True)  # before other plugins show or keep the texts of a worker
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in a worker's result, and tell the progress line."""
        document = getattr(report, "kms_case", None)
        if document is not None and not self._worker:
            if isinstance(report.longrepr, str):
                report.longrepr = self._clean(report.longrepr)
            report.sections = [(name, self._clean(text)) for name, text in report.sections]
            self._get_session().case_finished(from_document(CaseResult, document))
            # Pytest keeps its reports to the end: the evidence would be in memory twice.
            del report.kms_case
        if self._progress_reporter is not None and report.when == "call":
            self._progress_reporter.case_done(self._get_session().results)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a module that cannot be imported: trouble of the suite, not of the endpoint."""
        if report.failed:
            why = self._clean(str(report.longrepr).strip()).splitlines()[-1]
            self._get_session().went_wrong(f"{report.nodeid} cannot be collected: {why}")
