"""What a law needs of a system: subjects, and any operation of its contract sent with given parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from kms_conformance.errors import AuthorError
from kms_conformance.run.outcomes import ConformanceFailure

if TYPE_CHECKING:
    from kms_conformance.run.answer import Answer
    from kms_conformance.run.case import CaseRun


@dataclass(frozen=True, slots=True)
class OperationRequest:
    """A request by the name of its operation; ``path`` holds the parameters of the path, not yet encoded.

    ``usual_path`` holds the same parameters in their usual form, where ``path`` names a thing in another way.
    """

    operation: str
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    identity: str = ""
    step: str = ""
    usual_path: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Subjects:
    """The things of a case: ``entries`` as each one's own reply shows it, ``marks`` the values of ``{name}`` in the data."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    marks: dict[str, Any] = field(default_factory=dict)


class System(Protocol):
    """A system as a law sees it. What a request makes is journalled before it is sent and removed when the case ends."""

    case: CaseRun

    @property
    def alone(self) -> bool:
        """Whether nobody but this case uses the instance."""

    @property
    def name_mark(self) -> str:
        """A text that the names of all things of this case have in them."""

    def subjects(self, what: str) -> Subjects:
        """Make the subjects of this name; the case is inconclusive when that fails."""

    def send_request(self, request: OperationRequest) -> Answer:
        """Send a request."""

    def wait(self, seconds: float, why: str) -> None:
        """Let time pass."""


def filled(value: Any, marks: Mapping[str, Any]) -> Any:
    """Return data with its ``{names}`` replaced by their values; a text that is one name becomes the value itself."""
    match value:
        case dict():
            return {filled(key, marks): filled(inner, marks) for key, inner in value.items()}
        case list():
            return [filled(inner, marks) for inner in value]
        case str() if "{" in value:
            name = value[1:-1]
            if value == f"{{{name}}}" and name in marks:
                return marks[name]
            for mark_name, mark in marks.items():
                value = value.replace(f"{{{mark_name}}}", str(mark))
            return value
    return value


def request_of(data: Mapping[str, Any], marks: Mapping[str, Any], **more: Any) -> OperationRequest:
    """Return the request that data describes; ``more`` is merged into its path, query and headers, or replaces the rest."""
    recipe = filled({**data}, marks)
    merged = {
        name: {**recipe.get(name, {}), **filled(more.get(name) or {}, marks)}
        for name in ("path", "query", "headers")
    }
    return OperationRequest(
        operation=recipe["do"],
        **merged,
        body=filled(more["body"], marks) if "body" in more else recipe.get("body"),
        identity=more.get("as") or recipe.get("as", ""),
        step=recipe.get("step", ""),
    )


def all_of(questions: Iterable[Callable[[], None]]) -> None:
    """Run every step, so that one broken row does not hide another; raise the first failure at the end."""
    _raise_first([_failure(question) for question in questions])


def all_read(case: CaseRun, questions: Iterable[Callable[[], None]]) -> None:
    """Run every question like :func:`all_of`; as none changes anything, several clients may share them."""
    _raise_first(case.read([partial(_failure, question) for question in questions]))


def _failure(question: Callable[[], None]) -> ConformanceFailure | None:
    try:
        question()
    except ConformanceFailure as failure:
        return failure
    return None


def _raise_first(failures: Iterable[ConformanceFailure | None]) -> None:
    for failure in failures:
        if failure is not None:
            raise failure


def demand(case: CaseRun, condition: object, why: str) -> None:
    """Raise :class:`AuthorError` where the data of a law do not fit its subjects."""
    if not condition:
        raise AuthorError(case.info.id, why)
