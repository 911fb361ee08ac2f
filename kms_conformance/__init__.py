"""Contract and conformance tests for any KMS endpoint that speaks IBM Key Protect's API."""
