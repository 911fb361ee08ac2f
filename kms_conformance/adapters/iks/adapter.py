"""Kubernetes Service as a case of its contract sees it: the ``iks`` of a case.

Credentials belong to an account, a region and a resource group. On a shared account they are changed only where none
are set, because nobody can read a key back to restore it.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self
from urllib.parse import quote

from kms_conformance.adapters.control import ask
from kms_conformance.evidence.exchange import JSON
from kms_conformance.redaction.redactor import Secret
from kms_conformance.run.adapter import SystemAdapter
from kms_conformance.run.answer import Answer
from kms_conformance.run.case import CaseRun
from kms_conformance.run.journal import JournalEntry
from kms_conformance.run.outcomes import Inconclusive, NotTested

__all__ = ["Credential", "KubernetesService"]

ROOT = "/global/v1"
REGION, OTHER_REGION = "us-south", "eu-de"
CREDENTIALS, CLUSTER = "credentials", "cluster"
ACCEPTED = (200, 201, 202, 204)
"""What accepts an operation on workers: which of them is said of none."""
_NOT_FOUND = 404
_NEEDS = ("required", "recommended")


class Credential(NamedTuple):
    """Manual infrastructure credentials: a classic user and the user's key."""

    user: str
    key: Secret


@dataclass(frozen=True, slots=True)
class View:
    """Who asks, and in which region and resource group; ``group`` is ``""`` for the default one."""

    region: str
    group: str
    account: str
    identity: str = "manager"
    token: str | None = ""


class KubernetesService(SystemAdapter):
    """One account's credentials and clusters, seen by one identity in one region and resource group."""

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
        """Return another account; raise :class:`NotTested` where accounts do not spring into being."""
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

    # --- credentials ----------------------------------------------------------------------------------------------

    def credential(self, of: str = "") -> Credential:
        """Return an infrastructure user; ``of="other"`` belongs to another infrastructure account.

        On an account of the case's own the user is invented. Raises :class:`NotTested` where the target names none.
        """
        prefix = f"{of}_" if of else ""
        if self._fresh:
            number = "2222222" if of else "1111111"
            credential = Credential(f"{number}_Conformance@example.test", Secret(secrets.token_hex(32)))
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

    # --- clusters and workers -------------------------------------------------------------------------------------

    def create_cluster(self) -> Answer:
        """Create a cluster with one worker; it is deleted after the case."""
        name = self._name()
        return self.creates(
            CLUSTER,
            name,
            lambda: self.request("POST", "/clusters", {"name": name, "workerNum": 1}),
            ref=name,
            remove=self._forget_cluster,
        )

    def _name(self) -> str:
        """Return a new name under the suite's prefix, unique to run and case; clusters take 32 signs."""
        case = hashlib.sha256(f"{self.case.context.run} {self.case.info.id}".encode()).hexdigest()[:8]
        return f"kmsct-{self.case.context.run[:8]}-{case}-{len(self.case.exchanges)}"

    def cluster(self) -> str:
        """Create a cluster as a precondition; return its id."""
        return str(self.create_cluster().needed(201)["id"])

    def list_clusters(self) -> Answer:
        """List the clusters."""
        return self.request("GET", "/clusters")

    def list_workers(self, cluster: str) -> Answer:
        """List the workers of a cluster."""
        return self.request("GET", f"/clusters/{quote(cluster, safe='')}/workers")

    def first_worker(self, cluster: str) -> str:
        """Return the id of a cluster's first worker; raise :class:`Inconclusive` when it has none."""
        return str(self.list_workers(cluster).needed(200)["0.id"])

    def add_worker(self, cluster: str) -> Answer:
        """Add a worker: an operation on infrastructure. What it answers when it succeeds no source says."""
        return self.request("POST", f"/clusters/{quote(cluster, safe='')}/workers", {"workerNum": 1})

    def worker_ids(self, cluster: str) -> list[str]:
        """Return the ids of a cluster's workers; raise :class:`Inconclusive` when they cannot be read."""
        listed = self.list_workers(cluster).needed(200)
        return [str(listed[f"{place}.id"]) for place in range(len(listed.body or ()))]

    def new_worker(self, cluster: str) -> str:
        """Add a worker as a precondition; return its id."""
        earlier = self.worker_ids(cluster)
        self.add_worker(cluster).needed(*ACCEPTED)
        return self._newest(cluster, earlier)

    def _newest(self, cluster: str, earlier: list[str]) -> str:
        new = [worker for worker in self.worker_ids(cluster) if worker not in earlier]
        if not new:
            raise Inconclusive("the worker that was added is not among the cluster's workers")
        return new[0]

    def works(self, cluster: str, *refusals: str, requirement: str | None = None) -> None:
        """Expect that a worker can be added, and shows none of the refusals."""
        workers = self.worker_ids(cluster)
        self.add_worker(cluster).succeeds(*ACCEPTED, requirement=requirement)
        worker = self._newest(cluster, workers)
        self.get_worker(cluster, worker).succeeds(200, requirement=requirement).tells_not(
            "errorMessage", *refusals, requirement=requirement
        )

    def fails(self, cluster: str, code: str, *, requirement: str | None = None) -> Answer:
        """Expect that adding a worker is refused, or leaves a worker with the text: sources name both places."""
        workers = self.worker_ids(cluster)
        answer = self.add_worker(cluster)
        if not answer.ok:
            answer.is_refused(code, requirement=requirement)
            self.list_workers(cluster).succeeds(200).counts("", len(workers), requirement=requirement)
            return answer
        answer.succeeds(*ACCEPTED)
        return (
            self.get_worker(cluster, self._newest(cluster, workers))
            .succeeds(200)
            .tells("errorMessage", code, requirement=requirement)
        )

    def refuses(
        self,
        cluster: str,
        worker: str,
        answer: Answer,
        *codes: str,
        control: Answer,
        requirement: str | None = None,
    ) -> None:
        """Expect that a change of a worker was refused with one of the texts, or accepted and not done for that reason."""
        if not answer.ok:
            answer.is_refused(codes[0], control=control, requirement=requirement)
            return
        answer.succeeds(*ACCEPTED)
        self.get_worker(cluster, worker).succeeds(200).tells("errorMessage", *codes, requirement=requirement)

    def get_worker(self, cluster: str, worker: str) -> Answer:
        """Ask for a worker."""
        return self.request("GET", self._worker(cluster, worker))

    def reload_worker(self, cluster: str, worker: str) -> Answer:
        """Reload a worker."""
        return self.request("PUT", self._worker(cluster, worker), {"action": "reload"})

    def remove_worker(self, cluster: str, worker: str) -> Answer:
        """Remove a worker."""
        return self.request("DELETE", self._worker(cluster, worker))

    @staticmethod
    def _worker(cluster: str, worker: str) -> str:
        return f"/clusters/{quote(cluster, safe='')}/workers/{quote(worker, safe='')}"

    def _forget_cluster(self, name: str) -> None:
        if self._deleted(name):
            self.forget(name)

    def _deleted(self, name: str) -> bool:
        """Delete a cluster; its workers may live in the account of credentials that do not count at the moment."""
        manager = self._seen(identity="manager", token="")
        if manager._removed(name):  # noqa: SLF001 - our own kind
            return True
        try:
            if manager.unset_credentials().ok and manager._removed(name):  # noqa: SLF001 - same
                return True
            for of in ("", "other"):
                manager.set_credentials(self.credential(of))
                if manager._removed(name):  # noqa: SLF001 - same
                    return True
        except NotTested:
            return False  # the credentials there are not ours to change
        else:
            return False
        finally:
            if self._fresh or manager._place in self.case.own_things:  # noqa: SLF001 - same
                manager.request("DELETE", "/credentials")

    def _removed(self, name: str) -> bool:
        """Remove a cluster, its workers first, as far as the credentials that count allow; tell whether it is gone."""
        path = f"/clusters/{quote(name, safe='')}"
        workers = self.list_workers(name).body
        for worker in workers if isinstance(workers, list) else ():
            self.remove_worker(name, str(worker.get("id") if isinstance(worker, dict) else ""))
        # A refusal about an orphan may be a 404 too, so the cluster itself is asked for.
        return self.request("DELETE", path).ok or self.request("GET", path).status == _NOT_FOUND

    # --- the world behind the API, and what is left in it -------------------------------------------------------

    def fault(self, name: str, **settings: Any) -> None:
        """Break something by the control protocol, in the present region and resource group."""
        place = {
            "region": self._view.region,
            **({"resource_group": self._view.group} if self._view.group else {}),
        }
        body = {"fault": name, **place, **settings}
        account = self.case.instance
        if not account:
            raise Inconclusive("the target names no account for the control protocol")
        if not settings.get("clear"):
            self.case.clean_up.append(lambda: self.fault(name, **{**settings, "clear": True}))
        ask(self.case.context, "POST", f"/iks/instances/{quote(account, safe='')}/faults", body)

    def clear_fault(self, name: str, **settings: Any) -> None:
        """Mend what :meth:`fault` broke."""
        self.fault(name, clear=True, **settings)

    def undo(self, entry: JournalEntry) -> bool:
        """Remove what a killed run has left behind; return whether nothing is left of it."""
        if entry.kind == CLUSTER:
            return self._deleted(entry.name)
        region, group = json.loads(entry.name)
        return self._seen(region=region, group=group).request("DELETE", "/credentials").ok
