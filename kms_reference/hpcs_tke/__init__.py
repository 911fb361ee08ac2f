"""The embedded Trusted Key Entry endpoint: crypto units behind two HTTP operations."""

from kms_reference.hpcs_tke.app import TkeService, create_app, routes
from kms_reference.hpcs_tke.defects import DEFECTS, Defect

__all__ = ["DEFECTS", "Defect", "TkeService", "create_app", "routes"]
