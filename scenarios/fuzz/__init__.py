"""Fuzzing as cases: requests of any shape, and what must hold of every answer."""
