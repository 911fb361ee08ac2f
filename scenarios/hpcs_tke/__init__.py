"""Cases of the Trusted Key Entry contract."""
