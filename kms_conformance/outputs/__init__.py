"""One module per report format; each takes the run and writes one thing. ``writers`` calls all of them."""
