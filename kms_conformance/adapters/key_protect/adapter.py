"""Key Protect's documented requests as methods; what a case of its contract calls ``kms``.

Every method that can create something writes it to the journal before the request leaves, and registers how to
remove it. Method names follow the API reference; each returns an :class:`Answer` unless its name says otherwise.
"""

from __future__ import annotations

from kms_conformance.adapters.key_protect.base import View
from kms_conformance.adapters.key_protect.import_tokens import ImportTokens
from kms_conformance.adapters.key_protect.keys import Key
from kms_conformance.adapters.key_protect.kmip import Kmip
from kms_conformance.adapters.key_protect.left_over import LeftOver
from kms_conformance.adapters.key_protect.names import Names
from kms_conformance.adapters.key_protect.registrations import Registrations

__all__ = ["Key", "KeyProtect", "View"]


class KeyProtect(LeftOver, Names, ImportTokens, Registrations, Kmip):
    """The ``kms`` of a case: one instance, seen by one identity."""
