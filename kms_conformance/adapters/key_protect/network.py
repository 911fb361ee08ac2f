"""Faults by the control protocol, the addresses from which requests come, and the way out of a lock-out."""

from __future__ import annotations

import ipaddress
import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any, Self

import httpx

from kms_conformance.adapters.key_protect.actions import Actions
from kms_conformance.run.answer import Answer
from kms_conformance.run.outcomes import Inconclusive, NotApplicable, NotTested

ELSEWHERE = "203.0.113.77"
"""An address from the range that RFC 5737 keeps for documentation: nobody really calls from there."""
FOREIGN, INSIDE = "65.128.226.0/24", "65.128.226.7"
"""The range that the page's lock-out names, and an address in it."""
_NOWHERE = ipaddress.IPv4Network("203.0.113.0/24")
_FORBIDDEN, _NOT_FOUND = 403, 404
_DONE = {200, 204}


class Network(Actions):
    """Where requests come from, and what the control protocol can break on purpose."""

    def unknown_instance(self) -> str:
        """Return the id of an instance that does not exist; not applicable where any id makes an instance."""
        instance = str(uuid.UUID(bytes=self.case.random_bytes(16), version=4))
        tried = self.with_headers(bluemix_instance=instance).request("GET", "/keys", params={"limit": 1})
        tried.not_judged()
        if tried.ok and tried["metadata.collectionTotal"] == 0:
            raise NotApplicable("the endpoint makes an empty instance of every id that it is asked for")
        return instance

    def everywhere_but_here(self) -> list[str]:
        """Return address ranges, as ``allowed_ip`` takes them, that leave out :data:`ELSEWHERE` and as little else as possible."""
        rest = ipaddress.IPv4Network("0.0.0.0/0").address_exclude(_NOWHERE)
        return [*(str(network) for network in sorted(rest)), "::/0"]

    def restrict_addresses(self, ranges: list[str]) -> Answer:
        """Set the allowedIP policy; not applicable where the account does not have the feature, as ordinary ones have not."""
        answer = self.set_instance_policy("allowedIP", allowed_ip=ranges)
        if answer.status == _FORBIDDEN and answer.exchange.code == "FEATURE_RESTRICTED_ERR":
            answer.not_judged()
            raise NotApplicable("the account does not have the allowedIP policy (FEATURE_RESTRICTED_ERR)")
        return answer

    def from_address(self, address: str) -> Self:
        """Return the same instance as seen from another source address, which the control protocol pretends."""
        return type(self)(self.case, replace(self._view, address=address))

    def rescue(self) -> Self:
        """Return a way in that stays open while an allowedIP policy names :data:`FOREIGN` addresses only.

        It is the target's ``rescue_url``, or the control protocol's pretended source address; either is seen to work
        before anything is locked, and the clean-up switches the policy off by it. Raises :class:`NotTested` where the
        target gives neither.
        """
        self._note_policies(["allowedIP"])
        ways = self.other_ways_in()
        if not ways:
            raise NotTested(
                "add rescue_url to the target: a way in that stays open while the address in use is locked out"
            )
        way = ways[0]
        if way.pretends:
            # A pretended address that has no effect would lock us out for good, so its effect is shown first.
            self.restrict_addresses(self.everywhere_but_here()).needed(204)
            refused = self.from_address(ELSEWHERE).request("GET", "/keys", params={"limit": 1})
            refused.not_judged()
            if refused.ok:
                raise Inconclusive(
                    "the fault source-address has no effect, so it is no way out of a lock-out"
                )
        way.request("GET", "/keys", params={"limit": 1}, step="try the way out").needed(200)
        self.case.clean_up.append(way.let_everybody_in)
        return way

    def let_everybody_in(self) -> None:
        """Switch the allowedIP policy off."""
        self.set_instance_policy("allowedIP", enabled=False)

    @property
    def pretends(self) -> bool:
        """Whether this view pretends a source address."""
        return bool(self._view.address)

    def other_ways_in(self) -> list[Self]:
        """Return the ways in that may be open while this one is locked out: ``rescue_url``, a pretended address."""
        target, ways = self.case.context.target, []
        if target.rescue_url:
            ways.append(type(self)(self.case, replace(self._view, base_url=target.rescue_url)))
        if target.control_url and target.capabilities.get("faults"):
            ways.append(self.from_address(INSIDE))
        return ways

    # --- faults ---------------------------------------------------------------------------------------------------

    def fault(self, name: str, **settings: Any) -> None:
        """Break something on purpose until :meth:`clear_fault` or the end of the case.

        Raises :class:`NotTested` when the target's control protocol does not offer the fault.
        """
        settings = {member: str(value) if member == "key" else value for member, value in settings.items()}
        # A fault outlives a run that is killed, and meets everybody on the instance.
        self.case.own_things[_mark(name, settings)] = self._intend_fault(name, settings)
        self.case.clean_up.append(partial(self.clear_fault, name, **settings))
        status = self._control("faults", {"fault": name, **settings}).status_code
        if status not in _DONE:
            raise NotTested(
                f"needs the fault {name} of the control protocol, which answers {status};"
                " an endpoint without faults declares [capabilities] faults = false"
            )

    def clear_fault(self, name: str, **settings: Any) -> None:
        """Mend what :meth:`fault` broke."""
        settings = {member: str(value) if member == "key" else value for member, value in settings.items()}
        if self.mended(name, settings):
            self.forget(_mark(name, settings))

    def mended(self, name: str, settings: Mapping[str, Any]) -> bool:
        """Mend what was broken; tell whether nothing of it is left. A key that is gone takes its fault with it."""
        answer = self._control("faults", {"fault": name, "clear": True, **settings})
        return answer.status_code in _DONE or ("key" in settings and answer.status_code == _NOT_FOUND)

    def _intend_fault(self, name: str, settings: Mapping[str, Any]) -> int:
        return self.intend("fault", name, detail=json.dumps(settings))

    def make_kmip_object(self, adapter: str) -> str:
        """Let the control protocol stand in for a KMIP client, and return the id of the object that it makes."""
        answer = self._control("kmip_objects", {"adapter": adapter})
        if answer.status_code not in _DONE:
            raise NotTested(f"needs kmip_objects of the control protocol, which answers {answer.status_code}")
        return str(answer.json()["id"])

    def _control(self, what: str, body: dict[str, Any]) -> httpx.Response:
        context = self.case.context
        url = f"{context.target.control_url}/instances/{self.case.instance}/{what}"
        return context.client.control("POST", url, body)

    @contextmanager
    def _seen_from(self, address: str) -> Iterator[None]:
        if not address:
            yield
            return
        row = self._intend_fault("source-address", {})
        status = self._control("faults", {"fault": "source-address", "address": address}).status_code
        if status not in _DONE:
            raise NotTested(f"needs the fault source-address of the control protocol, which answers {status}")
        try:
            yield
        finally:
            with suppress(httpx.HTTPError):
                if self.mended("source-address", {}):
                    self.case.context.journal.gone(row)


def _mark(name: str, settings: Mapping[str, Any]) -> str:
    return f"fault:{name}:{settings.get('key', '')}"
