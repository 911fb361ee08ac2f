"""The Kubernetes Service cases' ``iks``."""

from kms_conformance.api import case_fixture

iks = case_fixture("iks", "iks")
