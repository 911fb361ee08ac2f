"""Law 6: bounds and times. A value is accepted up to its bound and refused beyond it; a rule of time takes effect at its time.

``limits.yaml`` holds cases of three kinds. A *bound* sends one request with each value that is the last accepted or the first
refused. *Many* makes a number of things, then reads each of them and lists them all. A *schedule* begins something, looks
shortly before its time and shortly after it, and does so as often as ``times`` says: nothing is early, nothing is left out, and the
second time is as the first. What time does is an operation too: what a schedule ``keeps`` is afterwards as it was before. A span
counts seconds, so it is also begun shortly before the clock's own ``turn`` of a minute, an hour or a day, or on a date
from which months and quarters of the calendar are of another length. It runs from what begins it: nothing that is done ``meanwhile`` moves its end.
And its end is there for whoever asks: each of the questions that are asked ``first`` has a thing of its own, and is the first about it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from kms_conformance.evidence.members import pick
from kms_conformance.laws.concurrency import LATER
from kms_conformance.laws.entries import LawCase
from kms_conformance.laws.limit_values import made, next_date
from kms_conformance.laws.members import check_members
from kms_conformance.laws.request import OperationRequest, System, all_of, demand, filled, request_of
from kms_conformance.laws.snapshot import flat
from kms_conformance.run.answer import Answer
from kms_conformance.run.outcomes import Inconclusive, NotTested

CONTROL = "the same operation succeeds on the other side of the limit"
_TURNS: Mapping[str, float] = {"minute": 60.0, "hour": 3600.0, "day": 86400.0}

_Question = tuple[dict[str, Any], Sequence[Mapping[str, Any]]]
"""The marks of a thing, and what is asked about it."""


class Limits:
    """One case of the law."""

    def __init__(self, system: System, case: LawCase) -> None:
        """Make the subjects."""
        self.system, self.data, self.row = system, case.data, case.rows[0]
        self.marks = self._subjects()
        self.noted = set(_noted(case.data))
        self.latest, self.is_timed = math.inf, False

    def run(self) -> None:
        """Send what the case says, and judge every answer."""
        for kind, ask in (("bound", self._bound), ("many", self._many), ("schedule", self._schedule)):
            if kind in self.data:
                ask(self.data[kind])

    def _subjects(self) -> dict[str, Any]:
        return dict(self.system.subjects(self.data["subjects"]).marks)

    # --- bounds ---------------------------------------------------------------------------------------------------

    def _bound(self, bound: Mapping[str, Any]) -> None:
        """Send each value; the accepted ones come first, because a refusal counts only after a success."""
        all_of(self._values(bound))

    def _values(self, bound: Mapping[str, Any]) -> Iterator[Callable[[], None]]:
        for value in self._listed(bound["accepted"]):
            yield partial(self._value, bound, value, {})
            for step in bound.get("shows", ()):
                yield partial(self._step, step)
        refusal = {"expect": "refusal", **({"code": bound["code"]} if "code" in bound else {})}
        for value in self._listed(bound.get("refused", ())):
            yield partial(self._value, bound, value, refusal)

    def _listed(self, values: Any) -> Sequence[Any]:
        listed = filled(values, self.marks)
        demand(self.system.case, isinstance(listed, list | tuple), f"{values!r} is no list of values")
        return list(listed)

    def _value(self, bound: Mapping[str, Any], value: Any, refusal: Mapping[str, Any]) -> None:
        """Send the request with one value; a value that is an object of ours gives its members their names."""
        if bound.get("fresh"):
            self.marks = self._subjects()
        for name in bound["send"].get("note", {}):
            self.marks.pop(name, None)
        fitted = self.made(value)
        self.marks |= fitted if isinstance(fitted, dict) else {"value": fitted}
        self._step({**bound["send"], **refusal})

    # --- many -----------------------------------------------------------------------------------------------------

    def _many(self, many: Mapping[str, Any]) -> None:
        """Make a number of things, then read each of them and list them all."""
        if many.get("alone") and not self.system.alone:
            raise NotTested("makes too much for an instance that others use: give the run one of its own")
        number = many.get("thorough", many["number"]) if self._is_thorough else many["number"]
        self.marks |= {"of": number, "one_more": number + 1}
        self._steps(many.get("begin", ()))
        common = self.marks
        own = common[many["from"]] if "from" in many else [{}] * number
        each = [
            {**common, **own[count - 1], "number": count, "left": number - count}
            for count in range(1, number + 1)
        ]
        things = list(self._made_each(many, each))
        names = set(_noted(many["each"]))
        self.marks = {**common, **{f"all_{name}": [thing.get(name) for thing in things] for name in names}}
        self._steps(many.get("first", ()))
        whole = self.marks
        questions = [
            partial(self._step_with, {**whole, **thing}, step)
            for thing in things
            for step in many.get("one", ())
        ]
        all_of([*questions, *(partial(self._step_with, whole, step) for step in many.get("all", ()))])

    def _made_each(self, many: Mapping[str, Any], each: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Make the things, those of a group at the same moment, and yield the marks of each."""
        group = many.get("together", 1)
        for begin in range(0, len(each), group):
            if group > 1:
                yield from self._made_together(many["each"][0], each[begin : begin + group])
            else:
                self.marks = each[begin]
                self._steps(many["each"])
                yield self.marks

    def _made_together(
        self, step: Mapping[str, Any], each: Sequence[dict[str, Any]]
    ) -> Iterator[dict[str, Any]]:
        case = self.system.case
        made_before = len(case.clean_up)
        requests = [partial(self.system.send_request, request_of(step, marks)) for marks in each]
        answers = case.at_once(requests)
        case.clean_up_at_once(made_before)
        for marks, answer in zip(each, answers, strict=True):
            self.marks = marks
            self._judge(answer, step)
            yield self.marks

    # --- schedules ------------------------------------------------------------------------------------------------

    def _schedule(self, schedule: Mapping[str, Any]) -> None:
        """Go through the time of the schedule, once or several times."""
        span, early, late = (float(schedule[name]) for name in ("after", "early", "late"))
        again = schedule.get("again")
        if "turn" in schedule:
            self._wait_for_turn(schedule["turn"])
        for number in range(1, schedule.get("times", 1) + 1):
            self.marks |= {"number": number, "next": number + 1, "after_next": number + 2}
            requests_before = len(self.system.case.exchanges)
            self._steps(schedule["begin"] if number == 1 else again or ())
            if number == 1 or again:
                self._note_beginning(requests_before, early if self._moves_the_clock else span)
            elif not self._moves_the_clock:
                self.latest += span
            # A schedule may have run late each time before, so its moments drift away from the first one.
            drift = 0.0 if again or number == 1 else late * (number - 1)
            things = self._things(schedule) if number == 1 else []
            self._pass(span - early - drift, schedule)
            with self._in_time():
                self._steps(schedule.get("not_yet", ()))
                kept = [self._shown(keep) for keep in schedule.get("keeps", ())]
            self.system.wait(early + drift + late, f"{schedule['what']}: it is time")
            all_of(partial(self._steps_with, *one) for one in things)
            self._steps(schedule["then"])
            for keep, members in zip(schedule.get("keeps", ()), kept, strict=True):
                self._is_kept(keep, members)
        self._steps(schedule.get("end", ()))

    def _pass(self, seconds: float, schedule: Mapping[str, Any]) -> None:
        """Let time pass; in the middle of it do what is to change nothing about when it ends."""
        not_yet, meanwhile = f"{schedule['what']}: not yet", schedule.get("meanwhile", ())
        if meanwhile:
            before = seconds // 2
            self.system.wait(before, not_yet)
            self._steps(meanwhile)
            seconds -= before + sum(float(step.get("wait", 0)) for step in meanwhile)
        self.system.wait(seconds, not_yet)

    def _things(self, schedule: Mapping[str, Any]) -> list[_Question]:
        """Make a thing for each of the questions that are to be the first; return its marks and the question."""
        if "first" not in schedule:
            return []
        common = self.marks
        things: list[_Question] = []
        for place, asked in enumerate(schedule["first"]["ask"], 1):
            self.marks = {**common, "place": place}
            self._steps(schedule["first"]["each"])
            things.append((self.marks, asked if isinstance(asked, list) else [asked]))
        self.marks = common
        return things

    @property
    def _is_thorough(self) -> bool:
        return self.system.case.context.thorough

    @property
    def _moves_the_clock(self) -> bool:
        return bool(self.system.case.context.target.control_url)

    def _note_beginning(self, requests_before: int, left: float) -> None:
        """Note until when the first answers count: what requests take is on top of what the case waits."""
        begun = self.system.case.exchanges[requests_before:]
        self.latest = begun[0].started + left if begun else math.inf

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        """Let no answer be judged that came when it may have been time already."""
        self.is_timed = True
        try:
            yield
        finally:
            self.is_timed = False

    def _send(self, request: OperationRequest) -> Answer:
        """Send a request; raise :class:`Inconclusive` where its answer may have come too late to be judged."""
        answer = self.system.send_request(request)
        late = answer.exchange.started + answer.exchange.duration - self.latest if self.is_timed else 0.0
        if late > 0:
            answer.not_judged()
            raise Inconclusive(
                f"{answer.exchange.step}: its answer came {late:.1f} s after the moment up to which it tells that it is not yet time"
            )
        return answer

    def _send_later(self, seconds: float, request: OperationRequest) -> Answer:
        """Send a request shortly after another one, while that is under way."""
        if not self.system.case.is_one_by_one:
            time.sleep(seconds)
        return self._send(request)

    def _wait_for_turn(self, turn: Mapping[str, Any]) -> None:
        """Wait until the instance's clock is shortly before the next full minute, hour or day, or at a date of the year."""
        now = self.system.case.now()
        if "date" in turn:
            left = (next_date(turn["date"], now) - now).total_seconds()
            self.system.wait(left, f"the calendar is to show {turn['date'].lstrip('-')}")
            return
        span = _TURNS[turn["of"]]
        left = span - now.timestamp() % span - float(turn["before"])
        self.system.wait(left % span, f"the clock is about to show another {turn['of']}")

    def _shown(self, keep: Mapping[str, Any]) -> dict[str, Any]:
        """Return the members that an answer shows before the time, as evidence has them, without those that may change."""
        answer = self._send(request_of(self._asked(keep), self.marks))
        answer.succeeds(requirement=keep.get("row", self.row))
        shown = answer.exchange.answer
        members = flat(pick(shown.body, keep["at"]) if shown is not None else None)
        changing = keep.get("but", ())
        return {
            name: value
            for name, value in members.items()
            if not any(name == one or name.startswith(f"{one}.") for one in changing)
        }

    def _is_kept(self, keep: Mapping[str, Any], members: Mapping[str, Any]) -> None:
        """Expect that an answer shows after the time what it showed before it."""
        row = keep.get("row", self.row)
        answer = self.system.send_request(request_of(self._asked(keep), self.marks))
        answer.succeeds(requirement=row)
        place = f"{keep['at']}." if keep["at"] else ""
        lists = {name: value for name, value in members.items() if isinstance(value, list)}
        answer.shows_all(
            {f"{place}{name}": value for name, value in members.items() if name not in lists}, requirement=row
        )
        for name, values in lists.items():
            # No source tells an order of aliases or tags.
            answer.selects(f"{place}{name}.*", values, values, requirement=row)

    @staticmethod
    def _asked(keep: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in keep.items() if name not in {"at", "but"}}

    # --- one request ----------------------------------------------------------------------------------------------

    def _steps(self, steps: Sequence[Mapping[str, Any]]) -> None:
        for step in steps:
            self._step(step)

    def _step_with(self, marks: dict[str, Any], step: Mapping[str, Any]) -> None:
        self._steps_with(marks, [step])

    def _steps_with(self, marks: dict[str, Any], steps: Sequence[Mapping[str, Any]]) -> None:
        """Take steps with marks of their own, which leave no trace for others."""
        common, self.marks = self.marks, marks
        try:
            self._steps(steps)
        finally:
            self.marks = common

    def _step(self, step: Mapping[str, Any]) -> None:
        if "wait" in step:
            self.system.wait(float(step["wait"]), step["why"])
            return
        if any(f"{{{name}}}" in str(step) for name in self.noted - self.marks.keys()):
            return  # it names something that was not made: its creation was refused, and judged
        if "at_once" in step:
            requests = [
                partial(self._send_later, number * LATER, request_of(one, self.marks))
                for number, one in enumerate(step["at_once"])
            ]
            for answer, one in zip(self.system.case.at_once(requests), step["at_once"], strict=True):
                self._judge(answer, one)
            return
        request = {**step, "body": self.made(step["body"])} if "body" in step else step
        self._judge(self._send(request_of(request, self.marks)), step)

    def made(self, value: Any) -> Any:
        """Return data with its objects replaced by the values that they describe."""
        return made(value, self.marks, self.system.case)

    def _judge(self, answer: Answer, step: Mapping[str, Any]) -> None:
        row = step.get("row", self.row)
        if step.get("expect") == "anything":
            answer.not_judged()
            return
        if step.get("expect") != "refusal":
            answer.succeeds(requirement=row)
            self.marks |= {name: answer[path] for name, path in step.get("note", {}).items()}
        elif "code" in step:
            answer.is_refused(step["code"], control=CONTROL, requirement=row)
        else:
            answer.is_refused_somehow(control=CONTROL, requirement=row)
        check_members(answer, step, self.marks, row)


def _noted(data: Any) -> Iterator[str]:
    """Yield every name that a piece of data takes from answers, at any depth."""
    if isinstance(data, dict):
        yield from data.get("note", {})
        for inner in data.values():
            yield from _noted(inner)
    elif isinstance(data, list):
        for inner in data:
            yield from _noted(inner)
