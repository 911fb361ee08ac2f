"""Long sequences of commands to two units: each does what it says, whatever came before."""

import pytest

from kms_conformance.api import covers, impact


@covers("tke-sequences")
@impact("zeroize")
@pytest.mark.parametrize("order", ["first", "second"])
def test_commands(tke, order):
    """After each of many commands to two units both hold what the commands have left there."""
    tke.sequence(order).run()
