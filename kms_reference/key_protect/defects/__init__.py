"""Faults of Key Protect that a good suite finds, one folder away from the rules that they break."""
