"""Faults of this system that a good suite finds, one folder away from the rules that they break."""

from kms_reference.iks.defects.rules import DEFECTS

__all__ = ["DEFECTS"]
