"""Long sequences of operations in several places: each does what it says, whatever came before."""

from kms_conformance.api import covers, impact, needs


@covers("iks-sequences")
@needs(identity=("approver", "reader", "expired"))
@impact("account", "clusters")
def test_operations(iks):
    """After each of many operations in three places every place holds what the operations have left there."""
    iks.sequence("operations").run()


@covers("iks-sequences")
@needs(control=True, identity=("approver", "reader", "expired"))
@impact("account", "clusters")
def test_broken_credentials(iks):
    """While credentials break and are replaced, operations succeed or are refused as the ones that count say."""
    iks.sequence("broken", faults=True).run()
