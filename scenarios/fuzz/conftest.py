"""The fuzz cases' ``kms``."""

from kms_conformance.api import case_fixture

kms = case_fixture("key_protect")
