"""Loads the plugin, for a checkout that is not installed."""

pytest_plugins = ["kms_conformance.pytest_plugin"]
