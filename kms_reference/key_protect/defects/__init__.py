"""Faults of Key Protect that a good suite finds: they replace or wrap the rules that the folder above states."""

from typing import Final

from kms_reference.key_protect.defects.fuzz import FUZZ_DEFECTS
from kms_reference.key_protect.defects.laws_concurrency import CONCURRENCY_DEFECTS
from kms_reference.key_protect.defects.laws_effects import EFFECT_DEFECTS
from kms_reference.key_protect.defects.laws_foreign import FOREIGN_DEFECTS
from kms_reference.key_protect.defects.laws_limits import QUANTITY_DEFECTS, SCHEDULE_DEFECTS
from kms_reference.key_protect.defects.laws_lists import LIST_DEFECTS
from kms_reference.key_protect.defects.laws_ownership import OWNERSHIP_DEFECTS
from kms_reference.key_protect.defects.laws_reported import (
    REPORTED_DEFECTS,
    REPORTED_EFFECTS,
    REPORTED_LISTS,
    REPORTED_OWNERSHIP,
    REPORTED_QUANTITY,
    REPORTED_SCHEDULES,
)
from kms_reference.key_protect.defects.laws_reported_answers import (
    ANSWER_DEFECTS,
    ANSWER_EFFECTS,
    ANSWER_QUANTITY,
    ANSWER_SCHEDULES,
)
from kms_reference.key_protect.defects.laws_reported_names import (
    NAME_CONCURRENCY,
    NAME_DEFECTS,
    NAME_EFFECTS,
    NAME_LISTS,
    NAME_OWNERSHIP,
    NAME_QUANTITY,
    NAME_VIEWS,
)
from kms_reference.key_protect.defects.laws_reported_records import (
    RECORD_EFFECTS,
    RECORD_LISTS,
    RECORD_OWNERSHIP,
    RECORD_QUANTITY,
    RECORD_SCHEDULES,
)
from kms_reference.key_protect.defects.laws_sequences import SEQUENCE_DEFECTS
from kms_reference.key_protect.defects.laws_views import VIEW_DEFECTS
from kms_reference.key_protect.defects.laws_views_after import VIEW_DEFECTS_AFTER
from kms_reference.key_protect.defects.paths import PATH_DEFECTS
from kms_reference.key_protect.defects.refusals import REFUSAL_DEFECTS
from kms_reference.key_protect.defects.reported_laws import BY_LAW
from kms_reference.key_protect.defects.reported_races import DUE_DEFECTS, RACE_DEFECTS
from kms_reference.key_protect.defects.reported_states import STATE_DEFECTS, STATE_QUANTITY, STATE_SCHEDULES
from kms_reference.key_protect.defects.reported_times import DATE_DEFECTS, LAPSE_DEFECTS, TIME_DEFECTS
from kms_reference.key_protect.defects.reported_uses import (
    USE_DEFECTS,
    USE_EFFECTS,
    USE_LISTS,
    USE_OWNERSHIP,
    USE_QUANTITY,
    USE_VIEWS,
)
from kms_reference.key_protect.defects.rules import RULE_DEFECTS
from kms_reference.key_protect.defects.stored import STORED_DEFECTS
from kms_reference.key_protect.defects.successes import SUCCESS_DEFECTS
from kms_reference.switches import Defect

__all__ = ["DEFECTS", "FUZZ_DEFECTS", "LAW_DEFECTS"]

_OF_LAWS: Final[dict[str, tuple[Defect, ...]]] = {
    "views": (*VIEW_DEFECTS, *VIEW_DEFECTS_AFTER, *NAME_VIEWS, *USE_VIEWS),
    "effects": (
        *EFFECT_DEFECTS,
        *REPORTED_EFFECTS,
        *RECORD_EFFECTS,
        *NAME_EFFECTS,
        *ANSWER_EFFECTS,
        *USE_EFFECTS,
    ),
    "relations": (*LIST_DEFECTS, *REPORTED_LISTS, *RECORD_LISTS, *NAME_LISTS, *USE_LISTS),
    "ownership": (
        *OWNERSHIP_DEFECTS,
        *FOREIGN_DEFECTS,
        *REPORTED_OWNERSHIP,
        *RECORD_OWNERSHIP,
        *NAME_OWNERSHIP,
        *USE_OWNERSHIP,
    ),
    "concurrency": (*CONCURRENCY_DEFECTS, *NAME_CONCURRENCY, *RACE_DEFECTS),
    "sequences": SEQUENCE_DEFECTS,
    "quantity": (
        *QUANTITY_DEFECTS,
        *REPORTED_QUANTITY,
        *RECORD_QUANTITY,
        *NAME_QUANTITY,
        *ANSWER_QUANTITY,
        *DATE_DEFECTS,
        *STATE_QUANTITY,
        *USE_QUANTITY,
    ),
    "schedules": (
        *SCHEDULE_DEFECTS,
        *REPORTED_SCHEDULES,
        *RECORD_SCHEDULES,
        *ANSWER_SCHEDULES,
        *TIME_DEFECTS,
        *DUE_DEFECTS,
        *STATE_SCHEDULES,
    ),
}
LAW_DEFECTS: Final[dict[str, tuple[Defect, ...]]] = {
    law: (*defects, *BY_LAW.get(law, ())) for law, defects in _OF_LAWS.items()
}
"""What a law is made for, by the law: each shows where no documented sequence looks."""

DEFECTS: Final[tuple[Defect, ...]] = (
    *RULE_DEFECTS,
    *REFUSAL_DEFECTS,
    *SUCCESS_DEFECTS,
    *PATH_DEFECTS,
    *LAPSE_DEFECTS,
    *STORED_DEFECTS,
    *REPORTED_DEFECTS,
    *NAME_DEFECTS,
    *ANSWER_DEFECTS,
    *STATE_DEFECTS,
    *USE_DEFECTS,
    *BY_LAW[""],
    *(defect for defects in LAW_DEFECTS.values() for defect in defects),
)
