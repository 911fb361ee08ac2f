"""JSON Schema (2020-12) of everything the suite reads or writes."""
