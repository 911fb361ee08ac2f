"""Named single defects of this endpoint: each breaks one promise, so that a suite can prove that it would notice.

The hook of a defect stands beside the code it breaks and asks :class:`ActiveDefects` by name.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple


class Defect(NamedTuple):
    """A named defect: ``doc`` is one line, ``sections`` the ids of the promises that it breaks."""

    name: str
    doc: str
    sections: tuple[str, ...]


class ActiveDefects:
    """The defects that are switched on; calling it with a name tells whether that one is.

    Raises:
        LookupError: for a name that is not in :data:`DEFECTS`, on construction and on every call.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = frozenset(names)
        for name in self._names:
            _known(name)

    def __call__(self, name: str) -> bool:
        """Tell whether the named defect is on."""
        _known(name)
        return name in self._names


def _known(name: str) -> None:
    if name not in DEFECTS:
        raise LookupError(f"no such TKE defect: {name}")


_THRESHOLD = "tke-no-change-threshold-err"
_NO_INSTANCE = "tke-no-instance-err"
_UNAUTHORIZED = "tke-unauthorized-err"

_ROWS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("tke-missing-token-accepted", "A request without a token is served.", (_UNAUTHORIZED,)),
    ("tke-bad-token-accepted", "A garbage or expired token is served.", (_UNAUTHORIZED,)),
    ("tke-stranger-accepted", "A valid token without a role on the instance is served.", (_UNAUTHORIZED,)),
    ("tke-unauthorized-as-400", "A missing or bad token is answered with 400.", (_UNAUTHORIZED,)),
    ("tke-unauthorized-as-404", "A missing or bad token is answered with 404.", (_UNAUTHORIZED,)),
    ("tke-unauthorized-as-500", "A missing or bad token is answered with 500.", (_UNAUTHORIZED,)),
    (
        "tke-unauthorized-as-empty-list",
        "A missing or bad token sees an empty list with 200.",
        (_UNAUTHORIZED,),
    ),
    ("tke-unauthorized-leaks-units", "The 401 carries the list of units.", (_UNAUTHORIZED,)),
    (
        "tke-unauthorized-after-execution",
        "A command with a bad token is executed, then refused.",
        (_UNAUTHORIZED,),
    ),
    ("tke-fresh-token-refused", "After one 401 even a fresh token is refused.", (_UNAUTHORIZED,)),
    ("tke-unknown-instance-empty-list", "An unknown instance is an empty list with 200.", (_NO_INSTANCE,)),
    ("tke-unknown-instance-500", "An unknown instance is a server error.", (_NO_INSTANCE,)),
    ("tke-unknown-unit-is-first", "An unknown unit is taken for the first one.", ("tke-06",)),
    ("tke-unknown-unit-500", "An unknown unit is a server error.", ("tke-06",)),
    ("tke-bad-json-500", "A body that is not JSON is a server error.", ("tke-07",)),
    (
        "tke-missing-request-empty-answer",
        "A body without a request is answered 200 and nothing.",
        ("tke-07",),
    ),
    ("tke-list-without-hsms", "The list has no hsms member.", ("tke-01",)),
    ("tke-list-without-serial", "Units have no serial number.", ("tke-01",)),
    ("tke-list-numeric-ids", "Unit ids are numbers.", ("tke-01",)),
    ("tke-list-short-location", "Locations have three parts.", ("tke-01",)),
    ("tke-serial-mismatch", "The listed serial number is not that of the module.", ("tke-08",)),
    ("tke-attributes-incomplete", "The attribute query leaves out the permissions.", ("tke-08",)),
    (
        "tke-bad-frame-500",
        "A malformed request string or header is a server error.",
        ("tke-frame-no-server-error",),
    ),
    ("tke-any-domain-answered", "A message for another domain is answered.", ("tke-frame-bad-domain",)),
    ("tke-input-unchecked", "Input that a command does not take is ignored.", ("tke-input",)),
    ("tke-missing-input-done", "A command without its input succeeds and does nothing.", ("tke-input",)),
    ("tke-administrators-unlisted", "The list of administrators is empty.", ("tke-09",)),
    ("tke-control-points-cut", "Control points are told in eight octets.", ("tke-09",)),
    ("tke-rsa-administrator-refused", "An RSA administrator is not installed.", ("tke-rsa-signatures",)),
    ("tke-rsa-signature-unverified", "RSA signatures are counted, not verified.", ("tke-rsa-signatures",)),
    ("tke-random-overwrites", "A third random key replaces the second.", ("tke-random",)),
    ("tke-malformed-signature-ignored", "A malformed signature counts.", ("tke-signature-malformed",)),
    ("tke-malformed-500", "A malformed message is a server error.", ("tke-frame-ber",)),
    ("tke-long-lengths-refused", "Lengths longer than necessary are refused.", ("tke-frame-non-minimal",)),
    ("tke-refusal-as-http-400", "A refusal of the module is HTTP 400.", (_THRESHOLD,)),
    ("tke-refusal-in-catcher", "A refusal of the module is reported as a catcher error.", (_THRESHOLD,)),
    (
        "tke-refusal-in-outer",
        "A refusal's return code stands in the outer answer, without reason.",
        (_THRESHOLD,),
    ),
    ("tke-reason-omitted", "A refusal has no reason code.", (_THRESHOLD,)),
    ("tke-threshold-wrong-reason", "The protected threshold is refused with reason 70.", (_THRESHOLD,)),
    ("tke-threshold-wrong-return", "The protected threshold is refused with return code 80.", (_THRESHOLD,)),
    ("tke-signature-control-bit-ignored", "A protected signature threshold is changed.", (_THRESHOLD,)),
    (
        "tke-revocation-control-bit-ignored",
        "A protected revocation threshold is changed.",
        (_THRESHOLD, "tke-11"),
    ),
    ("tke-control-bit-set-again", "A control bit that was reset can be set.", ("tke-12",)),
    (
        "tke-refusal-applies-thresholds",
        "The thresholds change although the command is refused.",
        (_THRESHOLD,),
    ),
    (
        "tke-refusal-applies-permissions",
        "The permissions change although the command is refused.",
        ("tke-12", "tke-attribute-protected"),
    ),
    ("tke-protected-attribute-changed", "A protected permission is changed.", ("tke-attribute-protected",)),
    ("tke-counter-unchecked", "Any transaction counter is accepted.", ("tke-transaction-counter",)),
    (
        "tke-replay-accepted",
        "The counter of the last command is accepted again.",
        ("tke-transaction-counter",),
    ),
    ("tke-counter-stuck", "A command does not move the transaction counter.", ("tke-counter-advances",)),
    ("tke-signatures-unverified", "Signatures are counted, not verified.", ("tke-signature-invalid",)),
    (
        "tke-too-few-signatures-accepted",
        "The number of signatures is not looked at.",
        ("tke-too-few-signatures",),
    ),
    (
        "tke-one-signer-counts-twice",
        "Two signatures of one administrator count as two.",
        ("tke-too-few-signatures",),
    ),
    ("tke-foreign-signer-counts", "A stranger's signature counts.", ("tke-foreign-signer",)),
    ("tke-registers-in-imprint", "Master-key commands work in imprint mode.", ("tke-imprint-mode",)),
    ("tke-imprint-asks-signature", "Imprint mode asks for a signature to add an administrator.", ("tke-14",)),
    ("tke-zeroize-unsigned", "An operational unit is zeroized without a signature.", ("tke-13",)),
    ("tke-zeroize-needs-threshold", "Zeroizing ignores the one-signature permission.", ("tke-13",)),
    ("tke-zeroize-keeps-administrators", "Administrators survive zeroizing.", ("tke-13",)),
    ("tke-zeroize-keeps-thresholds", "Thresholds survive zeroizing.", ("tke-13",)),
    ("tke-zeroize-keeps-control-bits", "Reset control bits survive zeroizing.", ("tke-14", _THRESHOLD)),
    ("tke-zeroize-keeps-current-key", "The current master key survives zeroizing.", ("tke-13",)),
    ("tke-zeroize-keeps-new-key", "The new master key survives zeroizing.", ("tke-13",)),
    ("tke-administrator-added-twice", "An administrator can be added twice.", ("tke-administrator-present",)),
    ("tke-ninth-administrator", "A ninth administrator is accepted.", ("tke-administrators-full",)),
    ("tke-unknown-administrator-removed", "Removing a stranger succeeds.", ("tke-administrator-unknown",)),
    ("tke-removed-administrator-stays", "A removed administrator stays.", ("tke-administrator-removed",)),
    (
        "tke-removal-below-threshold",
        "Administrators can fall below a threshold.",
        ("tke-removal-below-threshold",),
    ),
    (
        "tke-threshold-above-administrators",
        "The signature threshold can exceed the administrators.",
        ("tke-signature-above-administrators",),
    ),
    (
        "tke-revocation-above-administrators",
        "The revocation threshold can exceed the administrators.",
        ("tke-revocation-above-administrators",),
    ),
    (
        "tke-imprint-left-without-revocation",
        "Imprint mode can be left with revocation threshold 0.",
        ("tke-exit-without-revocation",),
    ),
    ("tke-signature-threshold-zero", "The signature threshold can go back to 0.", ("tke-signature-to-zero",)),
    ("tke-revocation-threshold-zero", "The revocation threshold can go to 0.", ("tke-revocation-to-zero",)),
    (
        "tke-one-signature-not-permitted",
        "The signature threshold can be 1 without the permission.",
        ("tke-signature-to-one",),
    ),
    (
        "tke-one-revocation-not-permitted",
        "The revocation threshold can be 1 without the permission.",
        ("tke-revocation-to-one",),
    ),
    (
        "tke-single-sign-removed-in-use",
        "The permission goes while a threshold is 1.",
        ("tke-single-sign-in-use",),
    ),
    (
        "tke-module-imprint-ignored",
        "A domain leaves imprint mode before its module.",
        ("tke-module-imprint",),
    ),
    ("tke-import-prohibition-ignored", "Key parts come in although prohibited.", ("tke-import-prohibited",)),
    (
        "tke-random-key-prohibition-ignored",
        "Random keys are made although prohibited.",
        ("tke-random-prohibited",),
    ),
    ("tke-export-prohibition-ignored", "Keys go out although prohibited.", ("tke-export-prohibited",)),
    ("tke-export-in-clear", "The exported key is not encrypted.", ("tke-export",)),
    ("tke-import-echoes-key", "Importing answers with the key itself.", ("tke-import",)),
    ("tke-control-points-unmanaged", "Control point management bits are ignored.", ("tke-control-points",)),
    ("tke-commit-any-pattern", "Any verification pattern commits.", ("tke-commit-mismatch",)),
    ("tke-finalize-any-pattern", "Any verification pattern finalizes.", ("tke-finalize-mismatch",)),
    ("tke-finalize-uncommitted", "An uncommitted key can be finalized.", ("tke-finalize-uncommitted",)),
    ("tke-finalize-keeps-new", "Finalizing leaves the new register full.", ("tke-finalize",)),
    ("tke-finalize-loses-key", "Finalizing leaves the current register empty.", ("tke-finalize",)),
    ("tke-pattern-wrong", "Verification patterns are not those of the keys.", ("tke-pattern",)),
    ("tke-clear-current-does-nothing", "Clearing the current register does nothing.", ("tke-clear-current",)),
    ("tke-clear-new-does-nothing", "Clearing the new register does nothing.", ("tke-clear-new",)),
    ("tke-certificate-beyond-chain", "An index behind the chain gets the root.", ("tke-certificate-index",)),
    ("tke-unknown-command-done", "An unknown command succeeds.", ("tke-unknown-command",)),
    ("tke-reader-accepted", "Any role on the instance is enough.", ("tke-manager-role",)),
    ("tke-unit-of-any-instance", "An instance reaches the units of another one.", ("tke-06",)),
    ("tke-recovery-without-serial", "Recovery units have no serial number.", ("tke-01",)),
    (
        "tke-one-unit-ready",
        "One operational unit with a master key is enough to wrap.",
        ("tke-crypto-ready",),
    ),
    ("tke-malformed-input-500", "Malformed input of a command is a server error.", ("tke-malformed-input",)),
    (
        "tke-odd-length-500",
        "Input of another length than the command has is a server error.",
        ("tke-malformed-input",),
    ),
    (
        "tke-unreadable-part-is-zeros",
        "A key part that cannot be opened comes in as zeros.",
        ("tke-malformed-input",),
    ),
    ("tke-malformed-signer-500", "A malformed signer info is a server error.", ("tke-malformed-input",)),
    ("tke-first-signature-verified", "Only the first signature is verified.", ("tke-signature-invalid",)),
    ("tke-old-counter-accepted", "Only the last counter is refused.", ("tke-transaction-counter",)),
    ("tke-addressee-unchecked", "A command for another module or domain is done.", ("tke-addressee",)),
    ("tke-commands-unsigned", "Commands that need one signature need none.", ("tke-too-few-signatures",)),
    ("tke-part-unsigned", "A key part needs no signature.", ("tke-too-few-signatures",)),
    ("tke-commit-by-one", "One signature is enough to commit.", ("tke-too-few-signatures",)),
    ("tke-export-by-one", "One signature is enough to export.", ("tke-too-few-signatures",)),
    ("tke-control-points-by-one", "One signature sets control points.", ("tke-too-few-signatures",)),
    (
        "tke-removal-by-signature-threshold",
        "Removing asks the signature threshold.",
        ("tke-too-few-signatures",),
    ),
    ("tke-lowered-by-few", "A threshold is lowered by as many as the new one.", ("tke-too-few-signatures",)),
    ("tke-imprint-left-unsigned", "Imprint mode is left without signatures.", ("tke-too-few-signatures",)),
    (
        "tke-refused-zeroize-clears",
        "A refused zeroizing empties the registers.",
        ("tke-too-few-signatures",),
    ),
    ("tke-random-guard-alone", "Only one control bit guards.", ("tke-attribute-protected",)),
    ("tke-threshold-bits-alone", "Other control bits can be set again.", ("tke-12",)),
    ("tke-zeroize-keeps-permissions", "Permissions survive zeroizing.", ("tke-13",)),
    ("tke-control-points-in-imprint", "Control points are set in imprint mode.", ("tke-imprint-mode",)),
    ("tke-export-new-is-current", "Exporting the new key exports the current one.", ("tke-export",)),
    ("tke-nothing-finalized", "Finalizing nothing empties the current register.", ("tke-register-empty",)),
    ("tke-third-part-lost", "A third key part does not count.", ("tke-import",)),
    ("tke-clear-new-keeps-commitment", "A cleared key leaves its commitment.", ("tke-clear-new",)),
    ("tke-single-part-unguarded", "A single part needs no permission.", ("tke-single-part",)),
    ("tke-always-crypto-ready", "Wrapping works without a current master key.", ("tke-crypto-ready",)),
)

DEFECTS: Mapping[str, Defect] = MappingProxyType({row[0]: Defect(*row) for row in _ROWS})
"""Every defect by name."""
