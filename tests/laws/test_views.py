"""Views: the sample of a gate, the opt-outs, and the data behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_conformance.adapters.key_protect.laws.views import VIEWS
from kms_conformance.contract.case_index import listed_cases
from kms_conformance.contract.contract import load_contract
from kms_conformance.contract.opt_outs import OptOut
from kms_conformance.laws.views import View, chosen_pairs, index_of, requests_of, sample, views_of
from kms_conformance.run.context import CaseInfo

OUTCOMES = st.frozensets(
    st.builds(
        "{}: {} @{}".format,
        st.sampled_from(["wrap key", "rotate key"]),
        st.sampled_from(["200", "409 KEY_ACTION_INVALID_STATE_ERR", "409 KEY_ROTATION_NOT_PERMITTED"]),
        st.sampled_from(["a", "b"]),
    ),
    min_size=1,
)
INDEX = st.dictionaries(st.text("abc", min_size=1, max_size=3), OUTCOMES, min_size=1)


@given(cases=INDEX, seed=st.integers(0, 9), unit=st.sampled_from(["refusals", "outcomes", "statuses"]))
def test_a_sample_has_each_operation_and_status(
    cases: dict[str, frozenset[str]], seed: int, unit: str
) -> None:
    """Each status of each operation is in the sample, and the same seed gives the same one."""
    chosen = sample(cases, unit, seed, {})
    assert chosen == sample(cases, unit, seed, {})
    assert _all(cases, chosen, _status) == _all(cases, cases, _status)


@given(cases=INDEX, seed=st.integers(0, 9))
def test_a_sample_of_sides_has_each_operation_done_and_refused(
    cases: dict[str, frozenset[str]], seed: int
) -> None:
    """The smallest sample leaves out which refusal it is, not that there is one."""
    chosen = sample(cases, "sides", seed, {})
    assert _all(cases, chosen, _side) == _all(cases, cases, _side)


@given(
    cases=INDEX, seed=st.integers(0, 9), unit=st.sampled_from(["refusals", "outcomes", "statuses", "sides"])
)
def test_no_case_of_a_sample_is_superfluous(cases: dict[str, frozenset[str]], seed: int, unit: str) -> None:
    """Each case has something that no other has: its own row, status or operation."""
    chosen = sample(cases, unit, seed, {})
    for case in chosen:
        assert cases[case] - {outcome for other in chosen - {case} for outcome in cases[other]}


def test_a_sample_costs_few_requests() -> None:
    """Of cases that show the same, one that sends fewer requests is taken, whatever the seed."""
    same = frozenset({"wrap key: 200 @a"})
    for seed in range(10):
        assert sample({"dear": same, "cheap": same}, "outcomes", seed, {"dear": 9, "cheap": 4}) == {"cheap"}


def _all(cases: dict[str, frozenset[str]], chosen: Iterable[str], unit: Callable[[str], str]) -> set[str]:
    return {unit(outcome) for case in chosen for outcome in cases[case]}


def _status(outcome: str) -> str:
    return outcome.partition(" @")[0].partition(" KEY")[0]


def _side(outcome: str) -> str:
    return _status(outcome).replace("200", "done").replace("409", "refused")


@given(cases=INDEX, seed=st.integers(0, 9))
def test_a_sample_of_refusals_tells_rows_apart(cases: dict[str, frozenset[str]], seed: int) -> None:
    """Each refusal occurs for each row that has it."""
    chosen = sample(cases, "refusals", seed, {})
    refusals = {outcome for outcomes in cases.values() for outcome in outcomes if ": 409" in outcome}
    assert refusals <= {outcome for case in chosen for outcome in cases[case]}


def test_seeds_rotate_the_sample() -> None:
    """Another seed chooses other cases; all profiles but the gate run every pair."""
    first, second = (chosen_pairs("key_protect", seed, whole=False) for seed in (1, 2))
    everything = chosen_pairs("key_protect", 1, whole=True)
    assert first != second
    assert first < everything
    assert second < everything


def test_each_view_of_the_contract_can_be_asked_for() -> None:
    """The adapter has a way of asking for each view, the contract a row that is no refusal, the index cases."""
    contract = load_contract("key_protect")
    assert set(views_of("key_protect")) == set(VIEWS) == set(index_of("key_protect"))
    for view in views_of("key_protect").values():
        assert contract.requirement(view.row).code is None


def test_a_contract_without_views_has_none() -> None:
    """No file, no law."""
    assert views_of("iks") == {}
    assert chosen_pairs("iks", 1, whole=True) == frozenset()


def test_the_index_says_what_each_case_costs() -> None:
    """The sample is chosen by it."""
    named = {case for cases in index_of("key_protect").values() for case in cases}
    assert named == set(requests_of("key_protect"))
    assert min(requests_of("key_protect").values()) > 0


def test_the_index_names_cases_that_exist() -> None:
    """Each case of the index is one of the contract, and none of them has opted out of the view."""
    case_ids = {case.id.removeprefix("key_protect.") for case in listed_cases("key_protect")}
    for name, cases in index_of("key_protect").items():
        view = views_of("key_protect")[name]
        strangers = {
            case for case in cases if not any(case == id_ or case.startswith(f"{id_}-") for id_ in case_ids)
        }
        assert not strangers, name
        assert not [case for case in cases if view.refuses(case)], name


@pytest.mark.parametrize(
    ("case", "identities", "why"),
    [
        ("aliases.sixth_alias", (), "it counts aliases"),
        ("dual.two_users", ("approver",), "the case uses the identity approver itself"),
        ("states.delete_twice", ("reader",), ""),
    ],
)
def test_a_case_opts_out_with_a_reason(case: str, identities: tuple[str, ...], why: str) -> None:
    """By a pattern of the contract's data, or because it needs the view's identity for itself."""
    view = View(
        "v",
        "another way",
        "row",
        identities=("approver",),
        opt_outs=(OptOut("aliases.*", "it counts aliases"),),
    )
    assert view.refuses(case, identities) == why


def test_what_a_case_declares_under_a_view() -> None:
    """It covers the view's row as well, needs what either needs, and its title says how it asks."""
    view = View(
        "v", "by alias", "law", identities=("approver",), capabilities=("aliases",), impact=("token",)
    )
    info = CaseInfo("c", "A key is deleted once.", "one", ("row",), capabilities=("aliases",))
    changed = view.applied_to(info)
    assert changed.title == "A key is deleted once (by alias)"
    assert changed.covers == ("row", "law")
    assert (changed.identities, changed.capabilities, changed.impact, changed.view) == (
        ("approver",),
        ("aliases",),
        ("token",),
        "v",
    )
