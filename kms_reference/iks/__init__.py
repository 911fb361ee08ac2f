"""The embedded Kubernetes Service endpoint: credentials, permissions, and the clusters that need them."""

from kms_reference.iks.app import IksService, create_app, routes
from kms_reference.iks.defects import DEFECTS, Defect

__all__ = ["DEFECTS", "Defect", "IksService", "create_app", "routes"]
