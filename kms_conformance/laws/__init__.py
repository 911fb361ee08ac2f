"""Laws: statements about all operations of a system, kept as data in its contract and turned into cases.

A system without the data has no laws. Nothing in here knows a system: its adapter makes the subjects and sends the requests.
"""
