"""Credentials, permissions and API keys of an account, a region and a resource group.

On a shared account credentials are changed only where none are set, because nobody can read a key back to restore it.
"""

from __future__ import annotations

import json
import os
import secrets
from typing import NamedTuple
from urllib.parse import quote

from kms_conformance.adapters.iks.base import Base
from kms_conformance.redaction.redactor import Secret
from kms_conformance.run.answer import Answer
from kms_conformance.run.outcomes import NotTested

CREDENTIALS = "credentials"
_NEEDS = ("required", "recommended")


class Credential(NamedTuple):
    """Manual infrastructure credentials: a classic user and the user's key."""

    user: str
    key: Secret


class Credentials(Base):
    """Requests on the credentials of a place, and on what they permit."""

    def credential(self, of: str = "") -> Credential:
        """Return an infrastructure user; ``of="other"`` belongs to another infrastructure account.

        On an account of the case's own the user is invented. Raises :class:`NotTested` where the target names none.
        """
        prefix = f"{of}_" if of else ""
        if self._fresh:
            number = "2222222" if of else "1111111"
            # A plus is no blank, and capitals stay.
            credential = Credential(f"{number}_Conformance+1@example.test", Secret(secrets.token_hex(32)))
        else:
            user, variable = self._table.get(f"{prefix}user"), self._table.get(f"{prefix}key_env")
            key = os.environ.get(str(variable), "").strip() if variable else ""
            if not user or not key:
                raise NotTested(f"add {prefix}user and {prefix}key_env to the contract's table of the target")
            credential = Credential(str(user), Secret(key))
        self.case.context.redactor.remember(str(credential.key), "infrastructure_key")
        return credential

    def another_key(self, of: str = "") -> Credential:
        """Return a key that was not used before: of the same user, or of the ``other`` one.

        Raises :class:`NotTested` for the same user of a shared account: nobody can make a second key there.
        """
        if not of and not self._fresh:
            raise NotTested("needs accounts that spring into being: a second key of the same user")
        return self.credential(of)

    def get_credentials(self) -> Answer:
        """Ask for the user of the manual credentials."""
        return self.request("GET", "/credentials")

    def set_credentials(self, credential: Credential) -> Answer:
        """Set manual credentials; they are unset after the case."""
        self._note_credentials()
        headers = {
            "X-Auth-Softlayer-Username": credential.user,
            "X-Auth-Softlayer-APIKey": str(credential.key),
        }
        return self.request("POST", "/credentials", headers=headers)

    def set_user_alone(self, credential: Credential) -> Answer:
        """Ask to set credentials, and leave out their key."""
        self._note_credentials()
        headers = {"X-Auth-Softlayer-Username": credential.user}
        return self.request("POST", "/credentials", headers=headers)

    def unset_credentials(self) -> Answer:
        """Unset the manual credentials."""
        self._note_credentials()
        return self.request("DELETE", "/credentials")

    def _note_credentials(self) -> None:
        """Before the first change of a place: see that none are set there, and write down that they will be."""
        place = self._place
        if self._fresh or place in self.case.own_things:
            return
        view = self._seen(identity="manager", token="")
        answer = view.request("GET", "/credentials", step="look whether credentials are set")
        answer.not_judged()
        if answer.ok:
            raise NotTested(
                f"credentials are set in {self._view.region}: nobody could put them back, so name an empty group"
            )
        self.keep(self.intend(CREDENTIALS, place), place, view._unset_again)  # noqa: SLF001 - our own kind

    @property
    def _place(self) -> str:
        return json.dumps([self._view.region, self._view.group])

    def _unset_again(self, place: str) -> None:
        if self.request("DELETE", "/credentials").ok:
            self.forget(place)

    def get_permissions(self) -> Answer:
        """List the permissions that the effective credential lacks."""
        return self.request("GET", "/infra-permissions")

    def all_sufficient(self, listing: Answer) -> None:
        """Expect that a listing names no missing permission; groups and needs that it leaves out are sufficient."""
        listing.fits("iks-permissions")
        self._sufficient(listing)

    def only_lacks(self, listing: Answer, group: str) -> None:
        """Expect that a listing calls nothing insufficient in other groups than one."""
        self._sufficient(listing, but=group)

    def _sufficient(self, listing: Answer, but: str = "") -> None:
        groups = listing.body if isinstance(listing.body, dict) else {}
        for group, needs in groups.items():
            for need in needs if isinstance(needs, dict) and group != but else ():
                listing.matches_not(f"{group}.{need}.missingPermissions", ".")
                if isinstance(needs[need], dict) and "insufficient" in needs[need]:
                    listing.shows(f"{group}.{need}.insufficient", value=False)

    def need_of(self, listing: Answer, group: str, permission: str) -> str:
        """Return under which need a listing names a permission: sources disagree about what is required."""
        body = listing.body if isinstance(listing.body, dict) else {}
        needs = body.get(group) if isinstance(body.get(group), dict) else {}
        for need in _NEEDS:
            details = needs.get(need) if isinstance(needs, dict) else None
            if isinstance(details, dict) and permission in (details.get("missingPermissions") or ()):
                return need
        return _NEEDS[0]

    def reset_api_key(self) -> Answer:
        """Replace the API key of the region and resource group by one of the present identity."""
        return self.request("POST", "/keys")

    def get_user_config(self) -> Answer:
        """Ask whether manual credentials are stored."""
        return self.request("GET", "/user-config")

    def get_key_owner(self, cluster: str) -> Answer:
        """Ask for the owner of the API key that a cluster uses."""
        return self.request("GET", f"/logging/{quote(cluster, safe='')}/clusterkeyowner")
