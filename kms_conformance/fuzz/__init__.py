"""Fuzzing: many requests that no page describes.

Three tiers share one set of checks (``checks``): a corpus made once (``generate``) and replayed at wire speed (``replay``),
Schemathesis during a run (``live``), and sequences of actions compared with a model (``stateful``). What a system needs for it (things in every state, the names of placeholders) comes from its adapter,
which the contract names under ``fuzz``.
"""
