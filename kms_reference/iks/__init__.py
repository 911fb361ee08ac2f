"""The embedded Kubernetes Service endpoint: credentials, permissions, and the clusters that need them."""

from kms_reference.iks.app import IksService, create_app, routes

__all__ = ["IksService", "create_app", "routes"]
