"""Whether a case may run."""

from __future__ import annotations

from typing import Any

import pytest

from kms_conformance.contract.contract import load_contract
from kms_conformance.errors import AuthorError
from kms_conformance.run.context import CaseInfo
from kms_conformance.run.eligibility import demand_known_names


def case(**declared: Any) -> CaseInfo:
    """Return what a case says of itself."""
    return CaseInfo("own.case", "a case", "key_protect", **{"covers": ("key-deleted-err",), **declared})


@pytest.mark.parametrize(
    ("declared", "sentence"),
    [
        ({"covers": ()}, "it covers no row of the contract"),
        ({"covers": ("key-deletd-err",)}, "no row 'key-deletd-err' (did you mean 'key-deleted-err'?)"),
        ({"identities": ("redaer",)}, "no identity 'redaer' (did you mean 'reader'?)"),
        ({"capabilities": ("kimp",)}, "no capability 'kimp' (did you mean 'kmip'?)"),
        ({"impact": ("the world",)}, "no impact 'the world'"),
    ],
)
def test_markers_name_what_exists(declared: dict[str, Any], sentence: str) -> None:
    """A wrong name in a marker would be ignored: the case would run where it must not, or never."""
    with pytest.raises(AuthorError) as caught:
        demand_known_names(case(**declared), load_contract("key_protect"))
    assert sentence in caught.value.sentence


def test_good_markers() -> None:
    """What the page for authors shows is accepted."""
    declared = {"identities": ("reader",), "capabilities": ("kmip",), "impact": ("import-token",)}
    demand_known_names(case(**declared), load_contract("key_protect"))
