"""Checks a report that somebody else made."""
