"""Laws: statements about all lists and all operations, kept as data in the contract."""

import pytest

from kms_conformance.api import hold_law, law_cases


@pytest.mark.parametrize("case", law_cases("key_protect", "relations"))
def test_relations(kms, case):
    """A list shows exactly what it is asked for: filtered, sorted, in pages, counted."""
    hold_law(kms, "relations", case)


@pytest.mark.parametrize("case", law_cases("key_protect", "ownership"))
def test_ownership(kms, case):
    """A thing is found, used and changed only where it belongs, and only by whom it may be."""
    hold_law(kms, "ownership", case)


@pytest.mark.parametrize("case", law_cases("key_protect", "concurrency"))
def test_concurrency(kms, case):
    """What is asked at the same moment comes out as if it had been asked one after the other."""
    hold_law(kms, "concurrency", case)


@pytest.mark.parametrize("case", law_cases("key_protect", "effects"))
def test_effects(kms, case):
    """An operation changes what it says and nothing else; what is refused changes nothing."""
    hold_law(kms, "effects", case)


@pytest.mark.parametrize("case", law_cases("key_protect", "limits", "quantity"))
def test_quantity(kms, case):
    """What is bounded is accepted up to its bound and refused beyond it; of many things none is lost."""
    hold_law(kms, "limits", case)


@pytest.mark.parametrize("case", law_cases("key_protect", "limits", "schedules"))
def test_schedules(kms, case):
    """A time rule keeps its time: not before, not left out, and the second time as the first."""
    hold_law(kms, "limits", case)


@pytest.mark.parametrize("case", law_cases("key_protect", "sequences"))
def test_sequences(kms, case):
    """Whatever was asked before, each operation is answered as its own rules say."""
    hold_law(kms, "sequences", case)
