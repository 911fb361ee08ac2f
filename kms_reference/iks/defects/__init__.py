"""Faults of this system that a good suite finds: they replace or wrap the rules that the folder above states."""

from kms_reference.iks.defects.rules import DEFECTS

__all__ = ["DEFECTS"]
