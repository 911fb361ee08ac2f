"""Laws: statements about all operations of a system, kept as data in its contract and turned into cases."""
