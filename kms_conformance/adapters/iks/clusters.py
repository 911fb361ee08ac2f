"""Clusters and workers of an account, the world behind its API, and what a run leaves in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from kms_conformance.adapters.control import ask
from kms_conformance.adapters.iks.credentials import Credentials
from kms_conformance.run.answer import Answer
from kms_conformance.run.journal import JournalEntry
from kms_conformance.run.outcomes import Inconclusive, NotTested

CLUSTER = "cluster"
ACCEPTED = (200, 201, 202, 204)
"""What accepts an operation on workers: no source says which of them."""
_NOT_FOUND = 404


class Clusters(Credentials):
    """Requests on the clusters of an account, and on their workers."""

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

    def get_cluster(self, cluster: str) -> Answer:
        """Ask for a cluster."""
        return self.request("GET", f"/clusters/{quote(cluster, safe='')}")

    def delete_cluster(self, cluster: str) -> Answer:
        """Delete a cluster and its workers."""
        return self.request("DELETE", f"/clusters/{quote(cluster, safe='')}")

    def at_once(self, *requests: Callable[[], Answer]) -> list[Answer]:
        """Send requests at the same moment."""
        return self.case.at_once(requests)

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
        return self.ids_of(self.list_workers(cluster).needed(200))

    @staticmethod
    def ids_of(listed: Answer) -> list[str]:
        """Return the ids in a list of workers, in its order."""
        entries = listed.body if isinstance(listed.body, list) else ()
        return [str(listed[f"{place}.id"]) for place in range(len(entries))]

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
