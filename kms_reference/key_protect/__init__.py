"""The embedded Key Protect endpoint."""
