"""The promises of one documented system, read from ``contracts/<id>/``.

The engine knows systems only through these objects; a new system is a new folder and a small adapter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import sha256
from importlib.resources.abc import Traversable
from typing import Any, TypeVar

import yaml

from kms_conformance.contract.operations import Operation, operations_of
from kms_conformance.contract.refusals import HTTP_LAYER, BareRefusal, ReasonPlaces
from kms_conformance.contract.rows import ReasonCode, Requirement, read_reason_code, read_requirement
from kms_conformance.contract.severity import Row
from kms_conformance.errors import ContractError
from kms_conformance.evidence.members import MISSING, pick
from kms_conformance.system import System, folder_of, system_of, systems

Read = TypeVar("Read")


@dataclass(frozen=True, repr=False)
class Contract:
    """A system's contract.

    Raises :class:`ContractError` from :func:`load_contract` when a file is missing or is not what its schema says.
    """

    id: str
    about: Mapping[str, Any]
    codes: Mapping[str, ReasonCode]
    requirements: Mapping[str, Requirement]
    sha256: str

    def __repr__(self) -> str:
        """Name it: a traceback that shows variables is no place for some thousand rows."""
        return f"<Contract {self.id}>"

    @property
    def title(self) -> str:
        """The name of the system."""
        return str(self.about["title"])

    @property
    def edition(self) -> str:
        """The date of the source page."""
        return str(self.about["edition"])

    @property
    def editions(self) -> tuple[str, ...]:
        """The editions a run may choose."""
        return tuple(self.about.get("editions", ("page",)))

    @property
    def envelope(self) -> str:
        """The schema of an error answer."""
        return str(self.about.get("envelope", "")).removesuffix(".schema.json")

    @cached_property
    def bare(self) -> tuple[BareRefusal, ...]:
        """The refusals that need no envelope: those of the HTTP layer, and those that the contract adds."""
        own = (
            BareRefusal(
                frozenset(row["status"]),
                bool(row.get("raw")),
                str(row.get("operation", "any")),
                bool(row.get("named")),
            )
            for row in self.about.get("bare", ())
        )
        return (*HTTP_LAYER, *own)

    @property
    def envelope_marks(self) -> tuple[str, ...]:
        """Dotted paths of which one is in every answer that means to be the service's own refusal."""
        return tuple(self.about.get("envelope_marks", ()))

    @property
    def media_types(self) -> tuple[str, ...]:
        """The media types that answers have; one that begins with ``+`` stands for all with that ending."""
        return tuple(self.about.get("media_types", ("application/json", "+json")))

    @property
    def collection(self) -> tuple[str, str] | None:
        """The dotted paths of the number of resources and of the resources, where lists tell their number."""
        paths = self.about.get("collection")
        return (str(paths["total"]), str(paths["resources"])) if paths else None

    @property
    def correlation(self) -> str:
        """The header that names a request and comes back with its answer, in small letters; ``""`` for none."""
        return str(self.about.get("correlation", "")).lower()

    @property
    def preflight(self) -> Mapping[str, Any]:
        """The harmless requests that tell whether an endpoint speaks the API; empty where there are none."""
        return dict(self.about.get("preflight", {}))

    @property
    def needed_headers(self) -> frozenset[str]:
        """The headers that every request needs, in small letters."""
        return frozenset(str(name).lower() for name in self.preflight.get("headers", {}))

    @property
    def throttled(self) -> frozenset[str]:
        """The reason codes of a rate limit, where the reason code tells it."""
        return frozenset(self.about.get("throttled", ()))

    @property
    def code_endings(self) -> tuple[str, ...]:
        """The endings that a reason code may have too much or too little and still be meant."""
        return tuple(self.about.get("code_endings", ()))

    @cached_property
    def system(self) -> System:
        """The system that the contract is of."""
        return system_of(self.id)

    @cached_property
    def reason(self) -> ReasonPlaces:
        """Where an answer says why it refuses."""
        return ReasonPlaces(**self.about.get("reason", {}))

    def code_of(self, body: Any) -> str | None:
        """Return the reason code of an answer's document, ``None`` where it has none."""
        code = pick(body, self.reason.code) if self.reason.code else MISSING
        return code if isinstance(code, str) else None

    def code_named(self, name: str) -> ReasonCode | None:
        """Return a reason code by its name, whatever the case of its letters; ``None`` where there is none."""
        return self.codes.get(name) or self._folded.get(name.casefold())

    @cached_property
    def _folded(self) -> Mapping[str, ReasonCode]:
        return {code.casefold(): reason for code, reason in self.codes.items()}

    def link(self, section: str) -> str:
        """Return the address of a section of the source page, or ``""`` for rows that no page holds."""
        page = str(self.about.get("page_url", ""))
        anchors = self.sections
        return f"{page}#{anchors[section]['anchor']}" if section in anchors else ""

    def section_title(self, section: str) -> str:
        """Return what a section is called on the source page, or the topic of rows that no page holds."""
        details = self.sections.get(section)
        if details is not None:
            return (
                f"{details['number']}. {details['title']}" if "number" in details else str(details["title"])
            )
        topic = section.removeprefix("api-")
        return str(self.about.get("topics", {}).get(topic, _TOPICS.get(topic, section)))

    @cached_property
    def sections(self) -> Mapping[str, Mapping[str, Any]]:
        """The sections of the source page by anchor and by short anchor."""
        by_anchor: dict[str, Mapping[str, Any]] = {}
        for section in self.about.get("sections", ()):
            anchor = str(section["anchor"])
            by_anchor[anchor] = section
            by_anchor[short_anchor(anchor)] = section
        return by_anchor

    def requirement(self, row_id: str) -> Requirement:
        """Return a row by id; raise :class:`ContractError` with a suggestion when there is none."""
        try:
            return self.requirements[row_id]
        except KeyError:
            raise ContractError(f"{self.id}/requirements.yaml", f"it has no row {row_id!r}") from None

    def success_row(self, operation: str | None) -> Requirement | None:
        """Return the row that promises that an operation succeeds in the right state; ``None`` where none is named."""
        rows = self.about.get("success_rows", {})
        row_id = rows.get(operation or "", rows.get("other"))
        return self.requirement(row_id) if row_id else None

    def rows(self) -> tuple[Row, ...]:
        """Return every row as the outputs need it."""
        return tuple(
            Row(
                id=row.id,
                contract=self.id,
                section=row.section,
                level=row.level,
                evidence=row.evidence,
                text=row.text,
                reason_code=row.code,
                excluded=row.excluded,
                link=self.link(row.section),
                section_title=self.section_title(row.section),
                every_exchange=row.section == "wire",
            )
            for row in self.requirements.values()
        )

    @cached_property
    def operations(self) -> Mapping[str, Operation]:
        """The operations of the OpenAPI document by id (read on first use)."""
        return {operation.id: operation for operation in operations_of(_read(self.id, "openapi.yaml"))}

    @cached_property
    def _routes(self) -> tuple[tuple[str, re.Pattern[str], Operation], ...]:
        routes = []
        for operation in self.operations.values():
            pattern = re.compile(re.sub(r"\\{[^/]+?\\}", "[^/]+", re.escape(operation.path)) + r"/?\Z")
            routes.append((operation.method, pattern, operation))
        # A literal segment binds tighter than a parameter: /keys/registrations is not a key id.
        routes.sort(key=lambda route: route[1].pattern.count("[^/]+"))
        return tuple(routes)

    def operation_of(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: Any = None
    ) -> str | None:
        """Return the id of the operation that a request addresses, or ``None``.

        Where one path has many operations, the contract's ``operation_by`` names the header or the member that tells them
        apart; each has its value behind a ``#`` in its path (``/#CreateKey``).
        """
        selector = self._selector(headers or {}, body)
        for route_method, pattern, operation in self._routes:
            if route_method == method and pattern.search(path) and operation.selector in {"", selector}:
                return operation.id
        return None

    def _selector(self, headers: Mapping[str, str], body: Any) -> str:
        by = self.about.get("operation_by", {})
        if "header" in by:
            wanted = str(by["header"]).lower()
            return next((value for name, value in headers.items() if name.lower() == wanted), "")
        return str(pick(body, by["member"])) if "member" in by else ""


def short_anchor(anchor: str) -> str:
    """Return an anchor without the prefix that all sections share, with hyphens: the id of its main row."""
    return anchor.removeprefix("error-messages-").removeprefix("error-").replace("_", "-")


@cache
def load_contract(contract_id: str) -> Contract:
    """Read a contract; raise :class:`ContractError` when it is not there or is broken."""
    about = _read(contract_id, "contract.yaml")
    return Contract(
        id=contract_id,
        about=about,
        codes=_rows(contract_id, "reason_codes.yaml", "codes", "code", read_reason_code),
        requirements=_rows(contract_id, "requirements.yaml", "requirements", "id", read_requirement),
        sha256=_digest(contract_id),
    )


def contract_file(contract_id: str, name: str) -> Mapping[str, Any] | None:
    """Return a file of a contract that not every system has, ``None`` where it is not there."""
    return _read(contract_id, name) if (contract_folder(contract_id) / name).is_file() else None


def known_contracts() -> tuple[str, ...]:
    """Return the ids of the contracts that are installed."""
    return tuple(sorted(systems()))


def contract_folder(contract_id: str) -> Traversable:
    """Return the folder that holds a contract's files."""
    return folder_of(system_of(contract_id).contract)


def _read(contract_id: str, name: str) -> Mapping[str, Any]:
    try:
        text = (contract_folder(contract_id) / name).read_text(encoding="utf-8")
        document: Mapping[str, Any] = yaml.load(text, Loader=_LOADER)  # noqa: S506 - both are safe loaders
    except (OSError, ImportError, yaml.YAMLError) as error:
        raise ContractError(f"{contract_id}/{name}", str(error).splitlines()[0]) from error
    return document


def _rows(
    contract_id: str, name: str, member: str, key: str, read: Callable[[Mapping[str, Any]], Read]
) -> dict[str, Read]:
    """Return the rows of a file by their ids; raise :class:`ContractError` with the first that lacks a member."""
    document, rows = _read(contract_id, name), dict[str, Read]()
    if not isinstance(document, dict) or not isinstance(document.get(member), list):
        raise ContractError(f"{contract_id}/{name}", f"it has no list {member!r}")
    for number, row in enumerate(document[member], 1):
        try:
            rows[row[key]] = read(row)
        except (KeyError, TypeError) as error:
            named = f" ({row[key]})" if isinstance(row, dict) and key in row else ""
            why = f"a row is incomplete: number {number}{named}: {error!r}"
            raise ContractError(f"{contract_id}/{name}", why) from error
    return rows


def _digest(contract_id: str) -> str:
    """Return the SHA-256 over the contract's files, each preceded by its name."""
    total = sha256()
    for entry in sorted(contract_folder(contract_id).iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".yaml"):
            total.update(entry.name.encode() + b"\0" + entry.read_bytes() + b"\0")
    return total.hexdigest()


# libyaml where it is there: ten times as fast, and every run starts by reading the contract.
# Sections that rows of every contract have.
_TOPICS = {"wire": "statements about every answer"}
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
