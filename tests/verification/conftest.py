"""Bundles that are made once for all tests of this folder."""

from __future__ import annotations

import pytest
from bundles import DEFECT, PRODUCT, Made, certified

from kms_conformance.outputs import results
from kms_conformance.outputs.write import write_all
from kms_conformance.verification import bundle
from kms_conformance.verification.keys import make_pair, read_signer
from kms_conformance.verification.product import product_of


@pytest.fixture(scope="session", name="made")
def made_fixture(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Make both runs once, and sign them."""
    folder = tmp_path_factory.mktemp("bundles")
    made = Made(folder, folder / "sound", folder / "broken", product_of(PRODUCT))
    make_pair(folder / "vendor")
    make_pair(folder / "other")
    for place, defect in ((made.sound, ""), (made.broken, DEFECT)):
        run = certified(defect, made.product)
        write_all(run, place)
        assert bundle.missing(results.render(run)) == []
        bundle.write(place, results.render(run), made.product, read_signer(folder / "vendor.key"))
    return made
