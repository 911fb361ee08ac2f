"""The Trusted Key Entry cases' ``tke``."""

from kms_conformance.api import case_fixture

tke = case_fixture("hpcs_tke", "tke")
