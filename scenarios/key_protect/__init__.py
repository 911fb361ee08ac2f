"""Cases of the Key Protect contract."""
