"""Which law finds which of the defects that stand by what they are about, and not by their law."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from kms_reference.key_protect.defects.reported_amounts import AMOUNT_DEFECTS
from kms_reference.key_protect.defects.reported_askers import ASKER_DEFECTS
from kms_reference.key_protect.defects.reported_calendars import CALENDAR_DEFECTS
from kms_reference.key_protect.defects.reported_callers import CALLER_DEFECTS
from kms_reference.key_protect.defects.reported_clocks import CLOCK_DEFECTS
from kms_reference.key_protect.defects.reported_crowds import CROWD_DEFECTS
from kms_reference.key_protect.defects.reported_details import DETAIL_DEFECTS
from kms_reference.key_protect.defects.reported_halves import HALF_DEFECTS
from kms_reference.key_protect.defects.reported_holders import HOLDER_DEFECTS
from kms_reference.key_protect.defects.reported_leftovers import LEFTOVER_DEFECTS
from kms_reference.key_protect.defects.reported_lookups import LOOKUP_DEFECTS
from kms_reference.key_protect.defects.reported_materials import MATERIAL_DEFECTS
from kms_reference.key_protect.defects.reported_pairs import PAIR_DEFECTS
from kms_reference.key_protect.defects.reported_queries import QUERY_DEFECTS
from kms_reference.key_protect.defects.reported_repeats import REPEAT_DEFECTS
from kms_reference.key_protect.defects.reported_rights import RIGHT_DEFECTS
from kms_reference.key_protect.defects.reported_sequels import SEQUEL_DEFECTS
from kms_reference.key_protect.defects.reported_spans import SPAN_DEFECTS
from kms_reference.key_protect.defects.reported_wholes import WHOLE_DEFECTS
from kms_reference.switches import Defect

_USUAL: Final = (
    ("quantity", AMOUNT_DEFECTS),
    ("schedules", CLOCK_DEFECTS),
    ("concurrency", CROWD_DEFECTS),
    ("schedules", WHOLE_DEFECTS),
    ("schedules", SPAN_DEFECTS),
    ("quantity", HALF_DEFECTS),
    ("schedules", CALLER_DEFECTS),
    ("", MATERIAL_DEFECTS),
    ("", HOLDER_DEFECTS),
    ("", PAIR_DEFECTS),
    ("relations", QUERY_DEFECTS),
    ("relations", DETAIL_DEFECTS),
    ("", ASKER_DEFECTS),
    ("", SEQUEL_DEFECTS),
    ("", REPEAT_DEFECTS),
    ("relations", LOOKUP_DEFECTS),
    ("relations", RIGHT_DEFECTS),
    ("schedules", CALENDAR_DEFECTS),
    ("concurrency", LEFTOVER_DEFECTS),
)
_OTHER: Final = {
    "sequences": (
        "adapter-of-imported-key-refused",
        "searched-entries-without-aliases",
        "service-needs-no-role",
    ),
    "": (
        "adapters-counted-with-deleted",
        "alias-stored-in-lower-case",
        "all-states-false-is-true",
        "allowed-operation-stays-allowed",
        "bad-filter-counts-none",
        "bearer-of-no-algorithm",
        "body-read-before-role",
        "body-with-leading-blank-is-none",
        "caller-of-the-connection",
        "correlation-id-of-empty-replies",
        "count-needs-manager",
        "count-obeys-limit",
        "creation-represented-briefly",
        "creation-rights-cached",
        "deletion-frees-its-aliases",
        "early-enabling-restarts-wait",
        "early-restore-restarts-wait",
        "empty-ring-not-deleted-by-force",
        "escaped-pairs-broken",
        "escaped-slash-kept",
        "five-strings-bound",
        "forced-ring-deletion-purges",
        "import-uses-up-retrieval",
        "last-page-behind-the-end",
        "last-page-filled",
        "later-page-remembered",
        "metadata-come-first",
        "minimal-creation-names-nothing",
        "move-to-nowhere-is-home",
        "null-body-refused-in-older-form",
        "opened-with-any-additional-data",
        "other-policy-where-none",
        "own-deletion-withdraws-authorisation",
        "patch-needs-no-role",
        "policy-rotation-not-in-versions",
        "purged-key-read-from-cache",
        "reader-fetches-import-token",
        "reader-reads-instance-policies",
        "reasons-pile-up",
        "refused-import-ends-token",
        "resource-cut-to-128",
        "restored-key-not-searched",
        "ring-ignored-by-lists-of-a-key",
        "ring-made-again-holds-its-keys",
        "rotation-by-token-makes-two-versions",
        "signature-known-from-before",
        "tag-split-at-blanks",
        "tags-in-lower-case",
        "unwrap-needs-writer",
    ),
    "concurrency": (
        "adapter-loses-ring",
        "certificates-listed-with-text",
        "creation-loses-ring",
        "creation-undoes-instance-policy",
        "dropping-loses-an-adapter",
        "moved-key-vanishes",
        "naming-loses-a-new-key",
        "purge-loses-a-new-alias",
        "purge-takes-all-purgeable",
        "registration-conflict-of-any-key",
        "ring-loses-token",
        "token-loses-instance-policy",
        "unwrap-during-rotation-fails",
    ),
    "effects": (
        "adapted-key-not-disabled",
        "adapted-key-not-rotated",
        "adapter-deleted-with-objects",
        "adapter-held-by-destroyed-objects",
        "adapter-shows-version",
        "adapters-listed-without-description",
        "authorisation-by-name-in-path",
        "authorisation-date-from-reading",
        "authorisation-shown-with-first-end",
        "both-policies-half-set",
        "certificate-deletion-destroys-objects",
        "count-of-ones-own-keys",
        "count-once-per-alias",
        "dated-key-not-rotated",
        "deactivated-key-opens-newest-only",
        "deleted-again-by-the-first",
        "deletion-date-of-first-deletion",
        "dual-auth-holds-move",
        "dual-auth-holds-rotation",
        "expiry-lost-by-token",
        "expiry-shown-as-sent",
        "first-alias-only-in-lists",
        "forced-deletion-unregisters",
        "fresh-ciphertext-of-cached-version",
        "instance-policies-cached",
        "instance-policy-dates-all",
        "key-policies-set-by-half",
        "made-by-the-subject",
        "moved-standard-key-without-payload",
        "not-rewrapped-after-restore",
        "purge-date-from-reading",
        "refused-certificate-dates-adapter",
        "refused-ciphertext-stays-refused",
        "refused-deletion-frees-aliases",
        "registration-remembers-its-date",
        "restore-asks-for-right-of-import",
        "restore-date-from-reading",
        "restored-key-rotated-without-material",
        "restored-key-uncounted",
        "ring-deleted-by-its-maker",
        "rotation-advances-registrations",
        "rotation-hour-of-caller",
        "rotation-revives-expired-key",
        "second-restore-leaves-newest-version",
        "shared-material-deleted",
        "standard-key-never-expires",
        "standard-key-purged-at-once",
        "switched-off-override-inherits",
        "switched-off-policy-keeps-attributes",
        "tags-lost-by-token",
        "versions-as-young-as-newest",
        "versions-of-purged-key",
    ),
    "ownership": (
        "adapter-description-escaped",
        "adapter-for-key-of-any-instance",
        "adapter-remembers-its-certificates",
        "apostrophe-doubled",
        "certificate-name-unique-in-instance",
        "chunked-body-is-none",
        "destroyed-key-lists-no-registrations",
        "extractable-may-be-a-text",
        "forced-deletion-unrepresented",
        "line-breaks-folded",
        "name-composed",
        "name-percent-decoded",
        "name-trimmed",
        "name-without-backslash",
        "one-of-two-adapters-frees-key",
        "path-compared-undecoded",
        "purged-by-its-maker",
        "refused-certificate-moves",
        "registration-described-in-ascii",
        "resource-plus-is-blank",
        "ring-header-grants",
        "ring-header-makes-member",
        "ring-ignored-by-restore",
        "ring-ignored-for-destroyed",
        "search-in-all-instances",
        "underscore-in-adapter-name",
        "unknown-ring-remembered",
        "vendor-type-unacceptable",
    ),
    "quantity": (
        "adapter-of-imported-key-refused",
        "aes-192-cannot-wrap",
        "alias-ends-with-reserved-word-refused",
        "alias-hyphen-is-underscore",
        "alias-null-leads-nowhere",
        "alias-of-36-is-an-id",
        "alias-of-digits-loses-zeros",
        "alias-with-hyphen-at-edge-refused",
        "certificates-at-most-five",
        "description-cut-in-lists",
        "expiry-in-32-bits",
        "last-date-crashes",
        "material-of-first-parcel",
        "offset-sign-lost",
        "payload-stripped",
        "plaintext-unpadded",
        "retrievals-of-caller",
        "rotation-hour-of-all-keys",
        "same-key-made-at-once-refused",
        "searched-after-paging",
        "tag-of-digits-is-a-number",
        "token-without-aes-192",
        "unnamed-adapters-alike",
    ),
    "relations": (
        "destroyed-not-searched-by-alias",
        "destroyed-object-gone",
        "key-offset-in-32-bits",
        "search-in-first-alias",
        "version-ids-shared",
        "versions-counted-as-rotations",
    ),
    "schedules": (
        "due-rotation-undoes-disabling",
        "expiry-undoes-deletion",
        "inherited-interval-follows",
        "inherited-policy-ends-with-instance",
        "interval-alone-leaves-policy-off",
        "key-policy-dates-both",
        "rotation-interval-of-one-key",
    ),
    "views": (
        "alias-removed-by-its-giver",
        "alias-unknown-to-readers",
        "all-states-by-false",
        "older-form-needs-writer",
        "payload-read-by-alias",
        "refusal-as-text",
        "restore-window-forgotten-in-old-form",
        "restored-aliases-lead-nowhere",
        "several-media-types-unacceptable",
        "typed-empty-body-refused",
        "wait-of-caller",
    ),
}
"""The law of those that another one than that of their table finds; no law: a documented sequence finds them."""


def _by_law() -> dict[str, tuple[Defect, ...]]:
    others = {name: law for law, names in _OTHER.items() for name in names}
    found: dict[str, list[Defect]] = defaultdict(list)
    for law, defects in _USUAL:
        for defect in defects:
            found[others.get(defect.name, law)].append(defect)
    return {law: tuple(defects) for law, defects in found.items()}


BY_LAW: Final = _by_law()
"""The defects by the law that finds them, ``""`` for a documented sequence."""
