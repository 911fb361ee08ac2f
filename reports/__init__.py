"""Report templates, and where a run's reports land."""
