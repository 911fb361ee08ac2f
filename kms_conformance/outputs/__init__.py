"""One module per report format; each takes the run and writes one thing. :mod:`.write` writes them all."""
