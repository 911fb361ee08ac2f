"""Requests to Kubernetes Service: which identity sends them, and to which account, region and resource group."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from kms_conformance.evidence.exchange import JSON
from kms_conformance.redaction.redactor import Secret
from kms_conformance.run.adapter import SystemAdapter
from kms_conformance.run.answer import Answer
from kms_conformance.run.case import CaseRun
from kms_conformance.run.outcomes import NotTested

ROOT = "/global/v1"
REGION, OTHER_REGION = "us-south", "eu-de"


@dataclass(frozen=True, slots=True)
class View:
    """Who asks, and in which region and resource group; ``group`` is ``""`` for the default one."""

    region: str
    group: str
    account: str
    identity: str = "manager"
    token: str | None = ""


class Base(SystemAdapter):
    """One account, seen by one identity in one region and resource group; sends any request below ``/global/v1``."""

    def __init__(self, case: CaseRun, view: View | None = None) -> None:
        super().__init__(case)
        self._table = table = case.context.target.table
        self._view = view or View(
            str(table.get("region", REGION)), str(table.get("resource_group", "")), case.instance
        )

    # --- who asks, and where --------------------------------------------------------------------------------------

    def as_identity(self, name: str) -> Self:
        """Return the same place as seen by another identity of the target."""
        return self._seen(identity=name, token="")

    def with_authorization(self, value: str | None) -> Self:
        """Return the same place with a literal ``authorization`` header, or without one."""
        return self._seen(token=value)

    def current_token(self) -> Secret:
        """Return the token of the present identity."""
        return self.case.context.client.tokens.of(self._view.identity)

    def in_other_region(self) -> Self:
        """Return the same resource group in another region."""
        return self._seen(region=str(self._table.get("other_region", OTHER_REGION)))

    def in_other_group(self) -> Self:
        """Return another resource group in the same region; raise :class:`NotTested` where the target names none."""
        named = self._table.get("other_group") or ("conformance-other" if self._fresh else "")
        if not named:
            raise NotTested("add other_group to the contract's table of the target")
        return self._seen(group=str(named))

    def in_other_account(self) -> Self:
        """Return another account; raise :class:`NotTested` where an account is not made on first use."""
        if not self._fresh:
            raise NotTested("needs accounts that spring into being, as with a fresh one per case")
        return self._seen(account=str(uuid.uuid4()))

    def _seen(self, **changes: Any) -> Self:
        return type(self)(self.case, replace(self._view, **changes))

    @property
    def _fresh(self) -> bool:
        return self.case.context.target.fresh

    # --- the raw request ------------------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        path: str,
        body: JSON = None,
        *,
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
        step: str = "",
    ) -> Answer:
        """Send any request below ``/global/v1``."""
        sent = {"X-Region": self._view.region, **(headers or {})}
        if self._view.account:
            sent["X-Auth-Resource-Account"] = self._view.account
        if self._view.group:
            sent["X-Auth-Resource-Group"] = self._view.group
        return self.send(
            method,
            ROOT + path,
            body,
            headers=sent,
            raw=raw,
            identity=self._view.identity,
            token=self._view.token,
            step=step,
        )
