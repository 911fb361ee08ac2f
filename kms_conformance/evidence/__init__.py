"""What was seen on the wire, redacted and immutable."""
