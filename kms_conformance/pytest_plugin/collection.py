"""Which of the collected items are cases of this run, in which order they run, and which of them run beside others."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from kms_conformance.contract.case_index import not_among
from kms_conformance.judging.verdict import Profile
from kms_conformance.outputs.shards import in_shard
from kms_conformance.pytest_plugin.items import TOGETHER, body_of, case_id, describe, is_case
from kms_conformance.pytest_plugin.views import ViewItems
from kms_conformance.run.context import CaseInfo
from kms_conformance.run.schedule import OverlappingCases, may_overlap, order
from kms_conformance.run.session import Session

GENERATING = frozenset({"test_live.py", "test_stateful.py"})
PART = "kms-part-"
PARTS = 3
"""Parts that the cases are split into for each process that runs them."""


class Collection:
    """The part of the plugin that chooses and orders the cases.

    ``session`` returns the session; ``worker`` is as in :class:`~kms_conformance.pytest_plugin.plugin.State`, and
    ``workers`` how many there are. ``deselected`` counts the cases that the selection has left out, ``in_all`` those of all shards.
    """

    def __init__(
        self, session: Callable[[], Session], worker: str, progress_reporter: Any, workers: int = 1
    ) -> None:
        self._get_session, self._worker, self._progress_reporter = session, worker, progress_reporter
        self._workers = workers
        self._groups: dict[str, str] = {}
        self.deselected = self.in_all = 0
        self.infos: dict[str, CaseInfo] = {}
        self.overlapping: OverlappingCases | None = None
        self._views: ViewItems | None = None

    @property
    def _session(self) -> Session:
        return self._get_session()

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """Leave out the fuzz cases that make requests during the run, unless they are asked for."""
        generating = collection_path.parent.name == "fuzz" and collection_path.name in GENERATING
        return True if generating and not self._session.options.fuzz.generate else None

    @pytest.hookimpl(wrapper=True)
    def pytest_pycollect_makeitem(self) -> Generator[None, Any, Any]:
        """Add the items in which a case runs again under a view."""
        made = yield
        if not isinstance(made, list):
            return made
        if self._views is None:
            options = self._session.options
            whole = options.profile is not Profile.GATE
            self._views = ViewItems(options.fuzz.seed, whole=whole)
        return self._views.beside(made)

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Let ``-k`` take a case's id; keep cases that overlap in one process.

        xdist reads the mark before cases are put in order.
        """
        if is_case(item):
            item.extra_keyword_matches.add(case_id(item))
        if not self._worker or not is_case(item):
            return
        info = describe(item)
        if info.contract not in self._session.options.contracts:
            return
        session = self._session
        if self._waits_beside_others(info) or session.alone(info) or session.shares_the_clock(info):
            group = TOGETHER
        elif session.jobs > 1:
            # Some parts for each process, so that one that is done early has something left to do.
            group = f"{PART}{len(self._groups) % (PARTS * self._workers)}"
        else:
            return
        self._groups[info.id] = group
        item.add_marker(pytest.mark.xdist_group(group))

    def _waits_beside_others(self, info: CaseInfo) -> bool:
        """Tell whether a case's waits are real and may overlap those of others."""
        return may_overlap(info) and self._session.overlaps(info.contract)

    def together(self, case_id: str) -> set[str] | None:
        """Return the cases that this process is given together with one; ``None``: all."""
        if not self._worker:
            return None
        group = self._groups.get(case_id)
        return {other for other, of in self._groups.items() if of == group} if group else {case_id}

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """Count what ``-k`` and its like leave out: such a run is not complete."""
        self.deselected += sum(is_case(item) for item in items)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Order the cases, and note those that run beside others."""
        session = self._session
        cases = {info.id: (item, info) for item in items if is_case(item) for info in [describe(item)]}
        judged = session.options.contracts
        cases = {case_id: case for case_id, case in cases.items() if case[1].contract in judged}
        if self._progress_reporter is None and not self.deselected:
            # One file of ours, or one case by its name, is a part as much as what -k leaves is.
            unasked = () if session.options.fuzz.generate else GENERATING
            self.deselected = not_among(cases, judged, without=unasked)
        cases = self._of_shard(cases)
        self.infos = {case_id: info for case_id, (_, info) in cases.items()}
        # Workers share the cases: all that wait go to one of them, where they are kept together, else to any.
        self.overlapping = OverlappingCases(
            session,
            jobs=session.jobs,
            one_by_one=self._worker not in {"", "loadgroup"},
            failures=config.getvalue("maxfail"),
        )
        contracts = {info.contract for info in self.infos.values()}
        real_time = any(session.overlaps(contract) for contract in contracts)
        others = [item for item in items if not is_case(item)]
        if not self._worker:
            session.plan_requests(self.infos)
        in_order = order(
            self.infos,
            cases,
            real_time=real_time,
            alone=session.alone,
            moves_clock=session.shares_the_clock,
        )
        items[:] = others + [cases[case_id][0] for case_id in in_order]
        # With -x the first failure is the first in the usual order.
        stops_early = bool(config.getvalue("maxfail"))
        for item, info in (cases[name] for name in in_order):
            if session.alone(info) or (stops_early and session.shares_the_clock(info)):
                continue
            # Hypothesis changes warning filters and random seeds of the whole process: what uses it stays in one thread.
            quick = session.jobs > 1 and item.path.name not in GENERATING
            if quick or self._waits_beside_others(info):
                self.overlapping.add(info, body_of(item), requests=session.requests_of(info.id))

    def _of_shard(
        self, cases: dict[str, tuple[pytest.Item, CaseInfo]]
    ) -> dict[str, tuple[pytest.Item, CaseInfo]]:
        """Return the cases of this shard."""
        self.in_all = len(cases)
        shard = self._session.options.shard
        if not shard:
            return cases
        chosen = in_shard(cases, shard, self._session.options.shard_durations)
        return {case_id: case for case_id, case in cases.items() if case_id in chosen}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note how many cases are to run; --lf leaves some out when everybody else has ordered them."""
        chosen = {case_id(item) for item in session.items if is_case(item)}
        if self.overlapping is not None:
            self.overlapping.keep(chosen)
        expected = sum(is_case(item) for item in session.items)
        self._expect(expected)
        if self.deselected:
            self._leave_out(expected)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Take the number of cases from what a worker has collected."""
        self._expect(len(ids))

    def _expect(self, number: int) -> None:
        self._session.expects(number)
        if self._progress_reporter is not None:
            self._progress_reporter.start(number)

    def _leave_out(self, expected: int) -> None:
        """Note how many cases the selection has left out; ``expected`` are to run."""
        left_out = f"{self.deselected} {'case was' if self.deselected == 1 else 'cases were'} left out by the selection"
        reason = left_out if expected else f"the selection matches none of {self.deselected} cases"
        self._session.leaves_out(self.deselected, reason)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object | None) -> None:
        """Take in what a worker has left out, and note one that crashed."""
        output = getattr(node, "workeroutput", {})
        self.in_all = max(self.in_all, output.get("kms_in_all", 0))
        self.deselected = max(self.deselected, output.get("kms_deselected", 0))
        if self.deselected:
            self._leave_out(1)
        if "kms_seen" in output:
            self._session.also_seen(json.loads(output["kms_seen"]))
        if error:
            self._session.cut_short(f"worker {node.gateway.id} crashed")

    def hand_over(self, config: pytest.Config) -> None:
        """Send what this worker has left out, and what it has seen of the wire, to its controller."""
        config.workeroutput["kms_seen"] = json.dumps(self._session.seen())  # type: ignore[attr-defined]  # xdist's
        config.workeroutput["kms_in_all"] = self.in_all  # type: ignore[attr-defined]  # xdist's
        config.workeroutput["kms_deselected"] = self.deselected  # type: ignore[attr-defined]  # xdist's
