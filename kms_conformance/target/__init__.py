"""Which endpoint is judged, and as whom."""
