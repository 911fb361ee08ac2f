"""The pure core: from an exchange and an expectation to findings and verdicts."""
