"""Keeps secrets out of everything that a run writes."""
