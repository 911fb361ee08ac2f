"""Permission bits of a domain and the control bits that say which of them may still change."""

WK_IMPORT = 0x1
WK_EXPORT = 0x2
WK_1PART = 0x4
WK_RANDOM = 0x8
ONE_SIGN = 0x10
CP_1SIGN = 0x20
ZERO_1SIGN = 0x40
DO_NOT_DISTURB = 0x2000

CHG_SIGN_THR = 0x00100000
CHG_REVOKE_THR = 0x00200000
CONTROL_BITS = 0xFFFF0000
"""Every control bit: each can be reset once and comes back only by zeroizing."""

GUARD_OF = {
    WK_IMPORT: 0x00010000,
    WK_EXPORT: 0x00020000,
    WK_1PART: 0x00040000,
    WK_RANDOM: 0x00080000,
    ONE_SIGN: 0x00400000,
    CP_1SIGN: 0x00800000,
    ZERO_1SIGN: 0x01000000,
    DO_NOT_DISTURB: 0x80000000,
}
"""Permission bit -> control bit that must be on for the permission to change."""

DEFAULT = 0x81FF0000 | ONE_SIGN | WK_IMPORT
"""What zeroizing leaves behind; the value of the newer public header (older firmware differs in high bits)."""


def sets_control_bit_again(old: int, new: int) -> bool:
    """Tell whether a control bit that is off would be turned on."""
    return bool(new & ~old & CONTROL_BITS)


def changes_protected(old: int, new: int) -> bool:
    """Tell whether a permission would change although its control bit is off."""
    return any((old ^ new) & bit and not old & guard for bit, guard in GUARD_OF.items())
