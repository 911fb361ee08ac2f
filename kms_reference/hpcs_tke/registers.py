"""The two master-key registers of a domain and what moves keys between them.

New: empty -> uncommitted (import, or random when the current one is full) -> committed -> empty, its value then
being the current key. Current: empty or valid. A refused command leaves both as they were.
"""

import secrets

from kms_reference.hpcs_tke import codes
from kms_reference.hpcs_tke.codes import Pair, Refusal
from kms_reference.hpcs_tke.key_parts import KEY_LENGTH, verification_pattern
from kms_reference.rules import Rules, rule

COMPARED = 28
"""Octets of a verification pattern that count; newer modules print zeros behind them."""

_CURRENT_PRESENT = 0x02
_NEW_PRESENT = 0x04
_NEW_COMMITTED = 0x08
_DOMAIN_BITS = 0x80000001


class MasterKeyRegisters:
    """Current and new master key of one domain."""

    def __init__(self, rules: Rules) -> None:
        self.current: bytes | None = None
        self.new: bytes | None = None
        self.committed = False
        self.rules = rules

    @rule
    def load(self, key: bytes) -> bytes:
        """Put a key into the new register, not committed yet; answer its pattern.

        Raises:
            Refusal: 80/53 while a committed key waits there (this reference's choice).
        """
        if self.new is not None and self.committed:
            raise Refusal(codes.REGISTERS_FULL)
        self.new, self.committed = key, False
        return self.pattern(key)

    def load_random(self) -> bytes:
        """Make a key: into the current register if that is empty, else into the new one; answer its pattern.

        Raises:
            Refusal: 80/53 when both registers are full.
        """
        key = secrets.token_bytes(KEY_LENGTH)
        if self.current is None:
            self.current = key
            return self.pattern(key)
        self.check_room()
        return self.load(key)

    @rule
    def check_room(self) -> None:
        """A random key does not overwrite another one.

        Raises:
            Refusal: 80/53 when the new register is full.
        """
        if self.new is not None:
            raise Refusal(codes.REGISTERS_FULL)

    @rule
    def commit(self, pattern: bytes) -> bytes:
        """Commit the new key whose pattern is given.

        Raises:
            Refusal: 33 without a pattern, 102/50 without a new key, 101/48 for another pattern.
        """
        key = self._new_key(pattern)
        self.committed = True
        return self.pattern(key)

    @rule
    def finalize(self, pattern: bytes) -> bytes:
        """Make the committed new key the current one.

        Raises:
            Refusal: 33 without a pattern, 102/50 without a new key, 101/48 for another pattern, 102/64 when the
                new key is not committed.
        """
        key = self._new_key(pattern)
        self.check_committed()
        self.current = key
        self.clear_new()
        return self.pattern(key)

    @rule
    def check_committed(self) -> None:
        """Only a committed key becomes the current one.

        Raises:
            Refusal: 102/64 otherwise.
        """
        if not self.committed:
            raise Refusal(codes.NEW_KEY_NOT_COMMITTED)

    def _new_key(self, pattern: bytes) -> bytes:
        if not pattern:
            raise Refusal(codes.INPUT_LENGTH)
        if self.new is None:
            raise Refusal(codes.NEW_KEY_MISSING)
        own = verification_pattern(self.new)
        if len(pattern) != len(own) or pattern[:COMPARED] != own[:COMPARED]:
            raise Refusal(codes.PATTERN_MISMATCH)
        return self.new

    def clear_current(self) -> None:
        """Empty the current register."""
        self.current = None

    @rule
    def clear_new(self) -> None:
        """Empty the new register and forget its commitment."""
        self.new, self.committed = None, False

    def exported(self, missing: Pair, *, new: bool) -> bytes:
        """Read the key to export.

        Raises:
            Refusal: with ``missing`` when the register is empty.
        """
        key = self.new if new else self.current
        if key is None:
            raise Refusal(missing)
        return key

    @rule
    def info(self) -> bytes:
        """Encode the 80 octets of a domain query: word, both patterns, flags, mode, word."""
        flags = _DOMAIN_BITS
        flags |= _CURRENT_PRESENT if self.current is not None else 0
        flags |= _NEW_PRESENT if self.new is not None else 0
        flags |= _NEW_COMMITTED if self.committed else 0
        patterns = b"".join(
            bytes(32) if key is None else self.pattern(key) for key in (self.current, self.new)
        )
        return bytes(4) + patterns + flags.to_bytes(4, "big") + bytes(4) + b"\0\0\0\1"

    @rule
    def pattern(self, key: bytes) -> bytes:
        """Return the verification pattern of a key."""
        return verification_pattern(key)
