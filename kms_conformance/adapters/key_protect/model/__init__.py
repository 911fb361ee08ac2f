"""The executable specification of one Key Protect instance, written from the sources and apart from the reference.

``apply(state, operation, now)`` says which answers are allowed and what a success does to the state;
``observe(state, operation, now, answer)`` judges an answer and returns the state after it. States are immutable and
hashable, so that a checker of concurrent histories may memoise on them. What no source fixes is allowed either way.
"""

from kms_conformance.adapters.key_protect.model.kmip import with_object
from kms_conformance.adapters.key_protect.model.machine import OPERATIONS, Observed, apply, observe
from kms_conformance.adapters.key_protect.model.operation import (
    APPROVER,
    MANAGER,
    OUTSIDER,
    PURGER,
    READER,
    SERVICE,
    Answer,
    Caller,
    Ciphertext,
    Operation,
    Packing,
)
from kms_conformance.adapters.key_protect.model.prediction import Prediction, Refusal, Success
from kms_conformance.adapters.key_protect.model.state import Instance, Key, Timing

__all__ = [
    "APPROVER",
    "MANAGER",
    "OPERATIONS",
    "OUTSIDER",
    "PURGER",
    "READER",
    "SERVICE",
    "Answer",
    "Caller",
    "Ciphertext",
    "Instance",
    "Key",
    "Observed",
    "Operation",
    "Packing",
    "Prediction",
    "Refusal",
    "Success",
    "Timing",
    "apply",
    "observe",
    "with_object",
]
