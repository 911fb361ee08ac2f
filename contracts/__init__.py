"""The promises of each documented system, as data."""
