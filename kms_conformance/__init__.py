"""Contract and conformance tests for KMS endpoints."""

__version__ = "0.1.0"
