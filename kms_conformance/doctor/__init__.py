"""What would stop a run, reported before it starts: symptom, cause and resolution of each finding."""
