"""Law 6: bounds and times. A value is accepted up to its bound and refused beyond it; a rule of time takes effect at its time.

``limits.yaml`` holds cases of three kinds. A *bound* sends one request with each value that is the last accepted or the first
refused. *Many* makes a number of things, then reads each of them and lists them all. A *schedule* begins something, looks
shortly before its time and shortly after it, and does so as often as ``times`` says: nothing is early, nothing is left out, and the
second time is as the first. What time does is an operation too: what a schedule ``keeps`` is afterwards as it was before. A span
counts seconds, so it is also begun shortly before the clock's own ``turn`` of a minute, an hour or a day.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from kms_conformance.evidence.members import pick
from kms_conformance.laws.entries import LawCase
from kms_conformance.laws.members import check_members
from kms_conformance.laws.request import OperationRequest, System, all_of, demand, filled, request_of
from kms_conformance.laws.snapshot import flat
from kms_conformance.run.answer import Answer
from kms_conformance.run.outcomes import Inconclusive, NotTested

CONTROL = "the same operation succeeds on the other side of the limit"
_TURNS: Mapping[str, float] = {"minute": 60.0, "hour": 3600.0, "day": 86400.0}
_YEARS = 9
"""Within so many years each date comes, a leap day too."""


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
        made = self.made(value)
        self.marks |= made if isinstance(made, dict) else {"value": made}
        self._step({**bound["send"], **refusal})

    # --- many -----------------------------------------------------------------------------------------------------

    def _many(self, many: Mapping[str, Any]) -> None:
        """Make a number of things, then read each of them and list them all."""
        if many.get("alone") and not self.system.alone:
            raise NotTested("makes too much for an instance that others use: give the run one of its own")
        number = many["number"]
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
            self._wait_for_turn(schedule["turn"]["of"], float(schedule["turn"]["before"]))
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
            self.system.wait(span - early - drift, f"{schedule['what']}: not yet")
            with self._in_time():
                self._steps(schedule.get("not_yet", ()))
                kept = [self._shown(keep) for keep in schedule.get("keeps", ())]
            self.system.wait(early + drift + late, f"{schedule['what']}: it is time")
            self._steps(schedule["then"])
            for keep, members in zip(schedule.get("keeps", ()), kept, strict=True):
                self._is_kept(keep, members)
        self._steps(schedule.get("end", ()))

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

    def _wait_for_turn(self, of: str, before: float) -> None:
        """Wait until the instance's clock is shortly before the next full minute, hour or day."""
        span = _TURNS[of]
        left = span - self.system.case.now().timestamp() % span - before
        self.system.wait(left % span, f"the clock is about to show another {of}")

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
        self.marks = marks
        self._step(step)

    def _step(self, step: Mapping[str, Any]) -> None:
        if "wait" in step:
            self.system.wait(float(step["wait"]), step["why"])
            return
        if any(f"{{{name}}}" in str(step) for name in self.noted - self.marks.keys()):
            return  # it names something that was not made: its creation was refused, and judged
        if "at_once" in step:
            requests = [partial(self._send, request_of(one, self.marks)) for one in step["at_once"]]
            for answer, one in zip(self.system.case.at_once(requests), step["at_once"], strict=True):
                self._judge(answer, one)
            return
        request = {**step, "body": self.made(step["body"])} if "body" in step else step
        self._judge(self._send(request_of(request, self.marks)), step)

    def _judge(self, answer: Answer, step: Mapping[str, Any]) -> None:
        row = step.get("row", self.row)
        if step.get("expect") != "refusal":
            answer.succeeds(requirement=row)
            self.marks |= {name: answer[path] for name, path in step.get("note", {}).items()}
        elif "code" in step:
            answer.is_refused(step["code"], control=CONTROL, requirement=row)
        else:
            answer.is_refused_somehow(control=CONTROL, requirement=row)
        check_members(answer, step, self.marks, row)

    # --- values ---------------------------------------------------------------------------------------------------

    def made(self, value: Any) -> Any:
        """Return data with its objects replaced by the values that they describe.

        ``{text, to, begin}``: a text of ``to`` characters that begins with ``begin`` and goes on with ``text``; ``{list, of}``:
        so many texts, ``{number}`` in each; ``{octets}``: so many random ones in base64; ``{later}``: the moment so many seconds
        from now by the instance's clock; ``{date, fraction, zone}``: the next such moment of a year (``-02-29T12:00:00``, or
        with its year) in UTC, written with a fraction of its second and as a clock of the zone shows it.
        """
        match value:
            case {"text": str(text), "to": int(length)}:
                begin = str(filled(value.get("begin", ""), self.marks))
                return (begin + text * length)[:length]
            case {"list": str(entry), "of": int(number)}:
                template = filled(
                    entry, {name: mark for name, mark in self.marks.items() if name != "number"}
                )
                return [template.replace("{number}", str(count)) for count in range(1, number + 1)]
            case {"octets": int(size)}:
                return self.system.case.random_secret(size)
            case {"later": int(seconds)}:
                moment = self.system.case.now() + timedelta(seconds=seconds)
                return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
            case {"date": str(date)}:
                return self._date(date, value.get("fraction", ""), value.get("zone", ""))
            case dict():
                return {name: self.made(inner) for name, inner in value.items()}
            case list():
                return [self.made(inner) for inner in value]
        return value

    def _date(self, date: str, fraction: str, zone: str) -> str:
        """Return the next moment with a date in UTC, as a clock of a zone (``+05:30``, ``Z``; none: UTC) shows it."""
        now = self.system.case.now()
        years = [""] if not date.startswith("-") else [f"{now.year + more:04}" for more in range(_YEARS)]
        moments = []
        for year in years:
            try:
                moments.append(datetime.fromisoformat(f"{year}{date}").replace(tzinfo=UTC))
            except ValueError:
                continue  # no leap year
        moment = next(one for one in moments if one > now + timedelta(days=1))
        hours, _, minutes = zone.lstrip("+-Z").partition(":")
        offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0)) * (-1 if zone[:1] == "-" else 1)
        return f"{moment + offset:%Y-%m-%dT%H:%M:%S}{fraction}{zone}"


def _noted(data: Any) -> Iterator[str]:
    """Yield every name that a piece of data takes from answers, at any depth."""
    if isinstance(data, dict):
        yield from data.get("note", {})
        for inner in data.values():
            yield from _noted(inner)
    elif isinstance(data, list):
        for inner in data:
            yield from _noted(inner)
