"""Defects of effects: a command changes more than it says, in its own domain or in another unit; so does a refused one."""

from collections.abc import Callable
from typing import Any, Final

from kms_reference.hpcs_tke.app import TkeService
from kms_reference.hpcs_tke.attributes import Attributes
from kms_reference.hpcs_tke.domain import Domain
from kms_reference.hpcs_tke.domain_rules import DEFAULT_CONTROL_POINTS
from kms_reference.hpcs_tke.unit import CryptoUnit
from kms_reference.rules import RuleLike
from kms_reference.switches import (
    Change,
    Defect,
    instead,
    refused_but,
    then,
)


def _after(command: int, act: Callable[[Domain], None]) -> Change:
    """Do something else in the domain after a command that succeeded."""
    return then(Domain.run, lambda domain, *_: act(domain), lambda _, block, __: block.command == command)


def _in_every_unit(happened: Callable[[Domain], bool], act: Callable[[Domain], None]) -> Change:
    """Do in the other units of the instance what has happened in one."""

    def answered(lawful: RuleLike, service: TkeService, unit: CryptoUnit, text: str) -> Any:
        before = happened(unit.domain)
        answer = lawful(service, unit, text)
        if happened(unit.domain) and not before:
            for units in service.instances.values():
                for other in units.values() if unit.hsm_id in units else ():
                    act(other.domain)
        return answer

    return instead(TkeService.answered, answered)


def _emptied(domain: Domain) -> None:
    domain.attributes = Attributes()
    domain.administrators.clear()
    domain.registers.clear_current()
    domain.registers.clear_new()


def _committed(domain: Domain) -> None:
    domain.registers.committed = domain.registers.new is not None


def _reset_control_points(domain: Domain, *_: Any) -> None:
    domain.control_points = DEFAULT_CONTROL_POINTS


def _all_control_points(domain: Domain) -> None:
    domain.control_points = b"\xff" * len(domain.control_points)


def _reset_permissions(domain: Domain) -> None:
    domain.attributes = domain.attributes._replace(permissions=Attributes().permissions)


def _lower_thresholds(domain: Domain) -> None:
    if not domain.attributes.imprint:
        domain.attributes = domain.attributes._replace(signature_threshold=1, revocation_threshold=1)


def _lose_importer(domain: Domain, *_: Any) -> None:
    domain.importer = None


_ROWS: Final[tuple[tuple[str, tuple[str, ...], str, *tuple[Change, ...]], ...]] = (
    ("tke-importer-clears-new", ("tke-effects",), "Making an importer key clears the new register.", _after(0x09, lambda domain: domain.registers.clear_new())),
    ("tke-export-clears-current", ("tke-effects",), "Exporting the current key clears its register.", _after(0x0B, lambda domain: domain.registers.clear_current())),
    ("tke-export-clears-new", ("tke-effects",), "Exporting the new key clears its register.", _after(0x26, lambda domain: domain.registers.clear_new())),
    ("tke-import-resets-control-points", ("tke-effects",), "Importing a key resets the control points.", _after(0x0C, _reset_control_points)),
    ("tke-attributes-clear-new", ("tke-effects",), "Setting attributes clears the new register.", _after(0x08, lambda domain: domain.registers.clear_new())),
    ("tke-addition-resets-control-points", ("tke-effects",), "Adding an administrator resets the control points.", _after(0x02, _reset_control_points)),
    ("tke-removal-lowers-thresholds", ("tke-effects",), "Removing an administrator sets both thresholds to 1.", _after(0x04, _lower_thresholds)),
    ("tke-finalize-resets-permissions", ("tke-effects",), "Finalizing resets the permissions.", _after(0x0E, _reset_permissions)),
    ("tke-all-control-points-added", ("tke-effects",), "Adding a control point adds all.", _after(0x12, _all_control_points)),
    ("tke-zeroize-every-unit", ("tke-effects",), "Zeroizing a unit zeroizes all of the instance.", _in_every_unit(lambda domain: domain.attributes.imprint, _emptied)),
    ("tke-commit-every-unit", ("tke-effects",), "A commitment in a unit is one in all.", _in_every_unit(lambda domain: domain.registers.committed, _committed)),
    ("tke-clear-every-unit", ("tke-effects",), "Clearing the current register of a unit clears that of all.", _in_every_unit(lambda domain: domain.registers.current is None, lambda domain: domain.registers.clear_current())),
    ("tke-refused-addition-clears-new", ("tke-effects-refused",), "A refused addition clears the new register.", refused_but(Domain.add_again, lambda domain, _: domain.registers.clear_new())),
    ("tke-refused-removal-lowers-thresholds", ("tke-effects-refused",), "A refused removal sets both thresholds to 1.", refused_but(Domain.remove_unknown, _lower_thresholds)),
    ("tke-refused-thresholds-lose-importer", ("tke-effects-refused",), "A refused threshold loses the importer key.", refused_but(Domain.check_attributes, _lose_importer)),
    ("tke-refused-zeroize-resets-control-points", ("tke-effects-refused",), "A refused zeroizing resets the control points.", refused_but(Domain.check_zeroize, _reset_control_points)),
)  # fmt: skip

EFFECT_DEFECTS: Final = tuple(
    Defect(name, doc, sections, changes=tuple(changes)) for name, sections, doc, *changes in _ROWS
)
