"""What the laws need of Key Protect: other ways of asking, and things to ask about."""
