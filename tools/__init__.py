"""Tools of the project that a wheel does not need."""
