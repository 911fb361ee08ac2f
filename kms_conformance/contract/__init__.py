"""Promises as data: contracts, schemas, the index of cases, the fuzz corpus, and finding a documented text."""
