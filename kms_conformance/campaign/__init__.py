"""Campaigns: many endpoints, seeds and groups of cases, in shards, on one machine or many.

``description`` reads what is wanted, ``plan`` cuts it into tasks, ``dispatch`` hands them to workers (``local``, or
``remote`` by Dask), ``work`` runs one as a plain ``kms-conformance run``, ``store`` keeps what came out, ``merged`` makes
one verdict for each endpoint of it. ``emit`` writes the same tasks for queues of others.
"""
