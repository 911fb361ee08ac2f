"""The pytest plugin: cases are ordinary items."""
