"""Fuzzing: what no page describes, put to an endpoint in bulk.

Three tiers share one set of checks (``checks``): a corpus made once and replayed at wire speed (``corpus``, ``build``,
``flight``, ``replay``), Schemathesis at work during a run (``live``), and sequences of actions held against a model
(``stateful``). What a system needs for it (things in every state, the names of placeholders) comes from its adapter,
which the contract names under ``fuzz``.
"""
