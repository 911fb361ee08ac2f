"""The system that laws are held against: requests by name, and every kind of subject."""

from __future__ import annotations

from kms_conformance.adapters.key_protect.laws.asking import Asking
from kms_conformance.adapters.key_protect.laws.listed import MAKERS as LISTED
from kms_conformance.adapters.key_protect.laws.owned import MAKERS as OWNED
from kms_conformance.laws.asking import Subjects


class KeyProtectLaws(Asking):
    """Key Protect as :class:`kms_conformance.laws.asking.System`."""

    def subjects(self, what: str) -> Subjects:
        """Make the subjects of this name."""
        return {**LISTED, **OWNED}[what](self)
