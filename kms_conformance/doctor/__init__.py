"""What stands in the way of a run, told before it: symptom, cause and resolution of each finding."""
