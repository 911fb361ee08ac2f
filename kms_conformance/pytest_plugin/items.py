"""Cases as pytest's items: an item describes its case, and reports the result to pytest."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kms_conformance.contract.case_index import prefix_of
from kms_conformance.contract.severity import Verdict
from kms_conformance.outputs.allure import add_steps
from kms_conformance.run.context import CaseInfo
from kms_conformance.system import systems

if TYPE_CHECKING:
    from kms_conformance.judging.results import CaseResult, Finding
    from kms_conformance.laws.views import View

CONTRACT = "kms_contract"
TOGETHER = "kms-waits"
RESULT = pytest.StashKey["CaseResult"]()
VIEW: pytest.StashKey[View] = pytest.StashKey()
"""The view under which an item runs its case; no item of the usual way has one."""


def is_case(item: pytest.Item) -> bool:
    """Tell whether an item is a case: it has the ``covers`` marker."""
    return item.get_closest_marker("covers") is not None


def case_id(item: pytest.Item) -> str:
    """Return a case's id: ``contract.states.delete_twice``, ``contract.laws.views[alias-states.delete_twice]``."""
    assert isinstance(item, pytest.Function)
    view = item.stash.get(VIEW, None)
    if view is None:
        return usual_id(item)
    contract, _, name = usual_id(item).partition(".")
    return f"{contract}.laws.views[{view.id}-{view.flat(name)}]"


def usual_id(item: pytest.Function) -> str:
    """Return the id of an item's case without any view, made of its path below ``scenarios`` and its name."""
    name = item.module.__name__
    tail = name.rpartition("scenarios.")[2]
    packages = {package: system.id for system in systems().values() for package in system.scenarios}
    home = next((package for package in packages if name.startswith(f"{package}.")), "")
    if home:
        tail = f"{prefix_of(home, packages[home])}.{name.removeprefix(f'{home}.')}"
    elif "scenarios." not in name:
        # Somebody's own case: the name of such a module may hold the whole path of this machine.
        tail = ".".join(item.path.with_suffix("").parts[-2:])
    path = ".".join(step.removeprefix("test_") for step in tail.split("."))
    name = item.name.removeprefix("test_")
    if VIEW in item.stash:
        name = name.removesuffix(f"by {item.stash[VIEW].id}]").removesuffix("-").removesuffix("[")
        name += "]" if "[" in name else ""
    return f"{path}.{name}"


def describe(item: pytest.Item) -> CaseInfo:
    """Return what a case declares about itself."""
    assert isinstance(item, pytest.Function)
    rule = (item.function.__doc__ or "").strip()
    needs = [marker.kwargs for marker in item.iter_markers("needs")]
    info = CaseInfo(
        id=case_id(item),
        title=_title(item, rule),
        contract=contract_of(item),
        covers=tuple(row for marker in item.iter_markers("covers") for row in marker.args),
        rule=rule,
        identities=tuple(name for need in needs for name in need["identity"]),
        capabilities=tuple(name for need in needs for name in need["capability"]),
        control=any(need["control"] for need in needs),
        impact=_impact(item, where_allowed=False),
        perhaps=_impact(item, where_allowed=True),
        waits=sum(marker.args[0] for marker in item.iter_markers("waits")),
        slack=min(
            (marker.kwargs.get("slack", math.inf) for marker in item.iter_markers("waits")), default=math.inf
        ),
        nodeid=_without_group(item),
        file=file_of(item),
        line=(item.location[1] or 0) + 1,
    )
    return info if VIEW not in item.stash else item.stash[VIEW].applied_to(info)


def _without_group(item: pytest.Item) -> str:
    """Return an item's node id without the name of its group, which xdist appends."""
    group = item.get_closest_marker("xdist_group")
    return item.nodeid.removesuffix(f"@{group.args[0]}") if group is not None and group.args else item.nodeid


def _title(item: pytest.Function, rule: str) -> str:
    """Return the first line of a case's rule, with the id of its parameters where it has some.

    One function with many parameters makes many cases: each has a title of its own.
    """
    title = rule.splitlines()[0].strip() if rule else item.name.removeprefix("test_").replace("_", " ")
    return f"{title.removesuffix('.')} [{item.callspec.id}]" if hasattr(item, "callspec") else title


def file_of(item: pytest.Function) -> str:
    """Return the file of a case: as its module is named where it came with a package, else below the current folder.

    A report does not show the whole path of the machine that made it.
    """
    module = str(item.module.__name__)
    if "." in module:
        return f"{module.replace('.', '/')}.py"
    here = Path.cwd()
    return str(item.path.relative_to(here)) if item.path.is_relative_to(here) else item.path.name


def _impact(item: pytest.Item, *, where_allowed: bool) -> tuple[str, ...]:
    markers = item.iter_markers("impact")
    return tuple(
        kind
        for marker in markers
        if marker.kwargs.get("where_allowed", False) is where_allowed
        for kind in marker.args
    )


def contract_of(item: pytest.Function) -> str:
    """Return the contract that a case belongs to: the one whose fixture it asks for."""
    for definitions in item._fixtureinfo.name2fixturedefs.values():  # noqa: SLF001 - pytest has no public way
        contract = getattr(definitions[-1].func, CONTRACT, None)
        if contract is not None:
            return str(contract)
    raise pytest.UsageError(
        f"{item.nodeid} has the covers marker but gets no system; let it ask for one such as kms, which conftest.py "
        "or the file itself makes: from kms_conformance.api import case_fixture; kms = case_fixture(CONTRACT)"
    )


def body_of(item: pytest.Item) -> Callable[[Any], None]:
    """Return a case's body as a function of its system alone."""
    assert isinstance(item, pytest.Function)
    params = dict(item.callspec.params) if hasattr(item, "callspec") else {}
    names = [name for name in item._fixtureinfo.argnames if name not in params]  # noqa: SLF001 - pytest has no public way
    function = item.obj

    def body(system: Any) -> None:
        function(**dict.fromkeys(names, system), **params)

    return body


def report_to_pytest(result: CaseResult, accepted: str) -> None:
    """Turn a verdict into what pytest understands; a failure that a baseline accepts is no failure to pytest."""
    match result.verdict:
        case Verdict.PASSED | Verdict.WARNED:
            return
        case Verdict.NOT_TESTED | Verdict.NOT_APPLICABLE:
            pytest.skip(f"{result.verdict}: {result.message}")
        case Verdict.FAILED if accepted:
            pytest.skip(f"{result.verdict}, accepted by the baseline: {accepted}")
        case _:
            pytest.fail(f"{result.verdict}: {result.message}", pytrace=False)


def finding_lines(finding: Finding) -> str:
    """Return a finding as pytest prints it."""
    return f"  {finding.requirement}: expected {finding.expected}, got {finding.got}\n    {finding.curl}"


def report_to_allure(item: pytest.Item, result: CaseResult) -> None:
    """Where allure-pytest writes too, give it the case's steps and true times."""
    if item.config.getoption("allure_report_dir", None):
        add_steps(item, result)
