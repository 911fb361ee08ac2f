"""Long sequences of commands to two units: each does what it says, whatever came before."""

from kms_conformance.api import covers, impact, needs


@covers("tke-sequences")
@impact("zeroize")
def test_commands(tke):
    """After each of many commands to two units both hold what the commands have left there."""
    tke.sequence("commands").run()


@covers("tke-sequences")
@needs(control=True)
@impact("zeroize")
def test_beside_another_instance(tke):
    """Many commands to the units of one instance leave those of another instance as they were."""
    tke.sequence("beside", apart=tke.another_instance().units()[:1]).run()
