"""Long sequences of operations in several places: each does what it says, whatever came before."""

import pytest

from kms_conformance.api import covers, impact, needs

PARTS = pytest.mark.parametrize("part", [(1, 2), (2, 2)], ids=["1", "2"])
"""Two sequences, each with half of the operations: they are sent beside each other where the endpoint is far away."""


@covers("iks-sequences")
@needs(identity=("approver", "reader", "expired"))
@impact("account", "clusters")
@PARTS
def test_operations(iks, part):
    """After each of many operations in three places every place holds what the operations have left there."""
    iks.sequence("operations", part=part).run()


@covers("iks-sequences")
@needs(control=True, identity=("approver", "reader", "expired"))
@impact("account", "clusters")
@PARTS
def test_broken_credentials(iks, part):
    """While credentials break and are replaced, operations succeed or are refused as the ones that count say."""
    iks.sequence("broken", faults=True, part=part).run()
