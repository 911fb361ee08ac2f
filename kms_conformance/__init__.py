"""Contract and conformance tests for any KMS endpoint that speaks IBM Key Protect's API."""

__version__ = "0.1.0"
