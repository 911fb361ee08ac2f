"""Where each system's documented requests become methods that a case can call."""
