"""Cases: one function per documented sequence."""
