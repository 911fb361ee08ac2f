"""Long sequences of commands to two units: each does what it says, whatever came before."""

import pytest

from kms_conformance.api import covers, impact, needs

PARTS = pytest.mark.parametrize("part", [(1, 2), (2, 2)], ids=["1", "2"])
"""Two sequences, one to each unit: they are sent beside each other where the endpoint is far away."""


@covers("tke-sequences", "tke-foreign-signer", "tke-signature-invalid")
@impact("zeroize")
@PARTS
def test_commands(tke, part):
    """After each of many commands to two units both hold what the commands have left there."""
    tke.sequence("commands", part=part).run()


@covers("tke-sequences", "tke-foreign-signer", "tke-signature-invalid")
@needs(control=True)
@impact("zeroize")
@PARTS
def test_beside_another_instance(tke, part):
    """Many commands to the units of one instance, one for failover among them, leave those of another instance as they were."""
    apart = tke.another_instance().units()[:1]
    tke.sequence("beside", apart=apart, part=part, kind="failover_hsms").run()
