"""One run: its cases, clock, journal, locks, clean-up and options."""
