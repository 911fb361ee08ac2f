"""Faults of this system that a good suite finds, one folder away from the rules that they break."""

from kms_reference.hpcs_tke.defects.rules import DEFECTS

__all__ = ["DEFECTS"]
