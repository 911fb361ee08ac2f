"""The embedded Trusted Key Entry endpoint: crypto units behind two HTTP operations."""

from kms_reference.hpcs_tke.app import TkeService, create_app, routes

__all__ = ["TkeService", "create_app", "routes"]
