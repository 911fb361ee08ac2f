"""EP11 messages: administrative requests and answers, and information queries."""

from typing import NamedTuple

from kms_reference.hpcs_tke import ber
from kms_reference.hpcs_tke.codes import BAD_ARGUMENTS, Pair, Refusal

FUNCTION_INFO = bytes.fromhex("00010026")
FUNCTION_ADMIN = bytes.fromhex("00010029")
QUERY_FLAG = 0x00010000
COUNTER_LENGTH = 16
_WORD = 4
_DOMAIN_LENGTH = 8


class AdminBlock(NamedTuple):
    """The signed half of an administrative request; ``signed`` is its encoding exactly as it was sent."""

    command: int
    domain: bytes
    module: bytes
    counter: bytes
    data: bytes
    signed: bytes

    @property
    def is_query(self) -> bool:
        """True for commands that read: they are neither signed nor counted."""
        return bool(self.command & QUERY_FLAG)


class AdminRequest(NamedTuple):
    """An administrative request: the domain it names, its block, and the concatenated signer infos."""

    domain: int
    block: AdminBlock
    signers: bytes


def word(value: int) -> bytes:
    """Encode a 32-bit number."""
    return value.to_bytes(_WORD, "big")


def read_function(payload: bytes) -> tuple[bytes, list[bytes]]:
    """Split a payload into its function id and its other three members.

    Raises:
        Refusal: outer 7 when it is not a SEQUENCE of four OCTET STRINGs.
    """
    try:
        function, *rest = ber.read_octet_strings(payload, {4})
    except ber.BerError as error:
        raise Refusal(BAD_ARGUMENTS, outer=True) from error
    return function, rest


def read_admin_request(members: list[bytes]) -> AdminRequest:
    """Read the members behind the function id of an administrative request.

    Raises:
        Refusal: outer 7 when a member has not its length or the block is not five OCTET STRINGs.
    """
    domain, encoded, signers = members
    try:
        command, domain_id, module, counter, data = ber.read_octet_strings(encoded, {5})
    except ber.BerError as error:
        raise Refusal(BAD_ARGUMENTS, outer=True) from error
    if (len(domain), len(command), len(domain_id)) != (_WORD, _WORD, _DOMAIN_LENGTH):
        raise Refusal(BAD_ARGUMENTS, outer=True)
    block = AdminBlock(int.from_bytes(command, "big"), domain_id, module, counter, data, encoded)
    return AdminRequest(int.from_bytes(domain, "big"), block, signers)


def outer_refusal(domain: int, pair: Pair) -> bytes:
    """Answer without a response block: three members, the code in the last."""
    return ber.encode_octet_strings(FUNCTION_ADMIN, word(domain), word(pair.code))


def response_block(
    block: AdminBlock, domain: bytes, module: bytes, counter: int, answer: Pair | bytes
) -> bytes:
    """Encode the block that answers a command: its output, or the codes of its refusal."""
    if isinstance(answer, Pair):
        code, output = answer.code, b"" if answer.reason is None else word(answer.reason)
    else:
        code, output = 0, answer
    counted = counter.to_bytes(COUNTER_LENGTH, "big")
    return ber.encode_octet_strings(word(block.command), domain, module, counted, word(code), output)


def admin_response(domain: int, block: bytes, signer_info: bytes, code: int = 0) -> bytes:
    """Wrap a response block and the module's signature over it."""
    return ber.encode_octet_strings(FUNCTION_ADMIN, word(domain), word(code), block, signer_info)


def info_response(domain: int, code: int, payload: bytes) -> bytes:
    """Answer an information query."""
    return ber.encode_octet_strings(FUNCTION_INFO, word(domain), word(code), payload)
