"""Long sequences of operations in three places of an account, and what each must have left behind.

A small model of the places, drawn operations, and after every few a look at everything. The model says of each operation
whether it succeeds: which credential counts, which account it opens, and where a worker lives. It is written from the
sources, not from the reference. What a look asks, and what uses the credentials of several places, changes nothing that
another of these requests shows: an endpoint that is far away is asked all of it by several clients.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Final

from kms_conformance.run.outcomes import NotTested

if TYPE_CHECKING:
    from kms_conformance.adapters.iks.clusters import Clusters
    from kms_conformance.adapters.iks.credentials import Credential
    from kms_conformance.run.answer import Answer

LINKED: Final = "linked"
"""The infrastructure account that an API key opens."""
ORPHANED: Final = ("WORKER_INSTANCE_NOT_FOUND", "WORKER_INSTANCE_MISSING", "WORKER_INSTANCE_UNIDENTIFIED")
INVALID, EXCHANGE = "INVALID_API_KEY", "TOKEN_EXCHANGE_FAILED"
GROUP: Final = "virtualWorkerManagerPermissions"
FORBIDDEN, VIEW = "INFRASTRUCTURE_NOT_AUTHORIZED", "View Virtual Server Details"
ROW: Final = "iks-sequences"
_MOST_CLUSTERS: Final = 2
_MOST_WORKERS: Final = 4
_ACCEPTED: Final = (200, 201, 202, 204)
_OPERATIONS: Final = ("set", "set", "unset", "reset", "create", "delete", "add", "remove", "intrude")
_ELSEWHERE: Final = ("set", "unset", "reset")
"""Operations in another account."""
_ADMINISTRATORS: Final = ("approver", "manager")
_EVERY: Final = 5
"""Operations between two looks."""


Owner = Mapping[str, object]
"""Members that describe the owner of an API key."""


@dataclass(slots=True)
class Place:
    """What a region and resource group hold: manual credentials, owner and state of the API key, workers by cluster."""

    view: Clusters
    gone: set[Credential]
    """Credentials whose key was deleted upstream, wherever they are set."""
    credential: Credential | None = None
    home: bool = True
    """Whether it is in the account of the case, whose credentials the control protocol can break."""
    owner: Owner | None = None
    dead: bool = False
    clusters: dict[str, dict[str, str]] = field(default_factory=dict)
    """Cluster -> worker -> infrastructure account in which it lives; an empty one is not known."""

    @property
    def deleted(self) -> bool:
        """Whether the key of the manual credentials was deleted upstream."""
        return self.credential in self.gone

    @property
    def account(self) -> str:
        """The infrastructure account that the credential which counts opens."""
        return LINKED if self.credential is None else self.credential.user.partition("_")[0]

    @property
    def holder(self) -> object:
        """Whose the credential is that counts: a classic user, or the owner of the API key."""
        return self.credential.user if self.credential is not None else (self.owner or {}).get("id")

    @property
    def refusal(self) -> str:
        """Why operations on infrastructure are refused, or nothing: manual credentials count before the API key."""
        if self.credential is not None:
            return INVALID if self.deleted else ""
        return EXCHANGE if self.dead else ""


class Sequence:
    """A drawn sequence: the same operations for the same ``seed``; with ``faults`` credentials are broken as well.

    ``part`` is number and count of the part of the operations that this sequence has: parts are drawn apart, so that they
    can be sent beside each other. Two administrators take turns, and a viewer looks.
    """

    def __init__(
        self, iks: Clusters, seed: str, *, faults: bool = False, part: tuple[int, int] = (1, 1)
    ) -> None:
        number, self._parts = part
        self._first = number - 1
        self._random = Random(f"{seed} {number}")  # noqa: S311 - an order, not a secret
        self._case, self._faults = iks.case, faults
        gone: set[Credential] = set()
        self._places = [Place(view, gone) for view in (iks, iks.in_other_region(), iks.in_other_group())]
        with suppress(NotTested):  # an account that does not spring into being
            self._places.append(Place(iks.in_other_account(), gone, home=False))
        self._removed: set[str] = set()
        """Workers that were removed: a service may list them for some minutes."""
        self._owners: dict[str, Owner] = {}
        self._lacking: object = None
        """Who lacks a permission, in the account of the case."""
        self._set_up()

    def run(self) -> None:
        """Send every operation in every place, and look at everything after every few."""
        operations = (*_OPERATIONS, *("break", "break-api-key", "forbid", "forbid") * self._faults)
        drawn = [
            (place, operation)
            for place in self._places
            for operation in (operations if place.home else _ELSEWHERE)
        ][self._first :: self._parts]
        self._random.shuffle(drawn)
        for number, (place, operation) in enumerate(drawn, start=1):
            self._step(place, operation)
            if number % _EVERY == 0:
                self._look()

    def _set_up(self) -> None:
        """Make a cluster in each of two places, and learn which owner each identity is."""
        home = self._places[0]
        for name in _ADMINISTRATORS:
            if not home.clusters:
                self._create(home)
            home.view.as_identity(name).reset_api_key().needed(200, 204)
            self._owners[name] = self._owner(home)
        home.owner = self._owners["manager"]
        if not self._case.context.target.fresh:
            # Who has left an API key there, nobody knows.
            for place in self._places[1:]:
                self._reset(place, "manager")
        for place in (self._places[1], *self._places[3:]):
            self._create(place)

    @staticmethod
    def _owner(place: Place) -> Owner:
        answer = place.view.get_key_owner(next(iter(place.clusters))).needed(200)
        body = answer.body if isinstance(answer.body, dict) else {}
        return {"id": answer["id"], **{name: body[name] for name in ("name", "email") if name in body}}

    # --- operations -----------------------------------------------------------------------------------------------

    def _step(self, place: Place, operation: str) -> None:
        of_credentials: Mapping[str, Callable[[Place], None]] = {
            "set": self._set,
            "unset": self._unset,
            "reset": self._reset,
            "break": self._break,
            "break-api-key": self._break_api_key,
            "forbid": self._forbid,
        }
        if operation in of_credentials:
            of_credentials[operation](place)
            if self._faults:
                self._use_all()
            return
        cluster = self._random.choice(sorted(place.clusters)) if place.clusters else ""
        match operation:
            case "intrude":
                self._intrude(place, cluster)
            case "create" if len(place.clusters) < _MOST_CLUSTERS and self._reason(place) == "":
                self._create(place)
            case "delete" if len(place.clusters) == _MOST_CLUSTERS:
                self._delete(place, cluster)
            case _ if cluster:
                self._change_workers(place, cluster, operation)

    def _somebody(self, place: Place) -> Clusters:
        """Return a place as seen by one of the administrators."""
        return place.view.as_identity(self._random.choice(_ADMINISTRATORS))

    def _set(self, place: Place) -> None:
        of = self._random.choice(("", "other"))
        credential = place.view.credential(of)
        self._somebody(place).set_credentials(credential).succeeds(200, 204, requirement=ROW)
        place.credential = credential

    def _unset(self, place: Place) -> None:
        self._somebody(place).unset_credentials().succeeds(requirement=ROW)
        place.credential = None

    def _reset(self, place: Place, name: str = "") -> None:
        name = name or self._random.choice(_ADMINISTRATORS)
        place.view.as_identity(name).reset_api_key().succeeds(requirement=ROW)
        place.owner, place.dead = self._owners[name], False

    def _break(self, place: Place) -> None:
        """Delete the key of manual credentials upstream; they stay broken until others are set, or none."""
        if place.credential is None or place.deleted:
            self._set(place)
        if place.credential is not None and not place.deleted:
            place.view.fault("manual-key-deleted")
            place.gone.add(place.credential)

    def _break_api_key(self, place: Place) -> None:
        """Make the API key one that cannot be exchanged, and let another administrator than its owner replace it."""
        if place.credential is not None:
            self._unset(place)
        if place.owner and not place.dead:
            place.view.fault("api-key-deleted")
            place.dead = True
            self._use_all()
            others = [name for name in _ADMINISTRATORS if self._owners[name] != place.owner]
            self._reset(place, *others[:1])

    def _forbid(self, place: Place) -> None:
        """Take a permission from who holds the credential that counts, or give it back to who lacks it."""
        if self._lacking is not None:
            place.view.clear_fault("permission-removed", permission=VIEW)
            self._lacking = None
        elif place.holder and not place.refusal:
            place.view.fault("permission-removed", permission=VIEW)
            self._lacking = place.holder

    def _lacks(self, place: Place) -> bool:
        return place.home and self._lacking is not None and self._lacking == place.holder

    def _reason(self, place: Place) -> str | None:
        """Return why operations are refused, or nothing; ``None`` where two reasons are, and no source says which is told."""
        if self._lacks(place):
            return None if place.refusal else FORBIDDEN
        return place.refusal

    def _intrude(self, place: Place, cluster: str) -> None:
        """Let somebody without the right try what changes something; the next look tells whether it did."""
        name = self._random.choice(("reader", "expired"))
        caller = place.view.as_identity(name)
        asked: list[Answer] = [
            caller.set_credentials(place.view.credential("other")),
            caller.unset_credentials(),
            caller.reset_api_key(),
        ]
        for worker in sorted(place.clusters.get(cluster, ()))[:1]:
            asked += [caller.reload_worker(cluster, worker), caller.remove_worker(cluster, worker)]
        control = place.view.get_user_config().needed(200)
        for answer in asked:
            answer.is_refused_somehow(control=control, requirement=ROW)

    def _create(self, place: Place) -> None:
        creator = self._random.choice(_ADMINISTRATORS)
        made = place.view.as_identity(creator).create_cluster().succeeds(201, requirement=ROW)
        cluster = str(made["id"])
        place.owner = place.owner or self._owners.get(creator)
        place.clusters[cluster] = dict.fromkeys(place.view.worker_ids(cluster), place.account)

    def _delete(self, place: Place, cluster: str) -> None:
        if self._reason(place) != "" or any(
            account != place.account for account in place.clusters[cluster].values()
        ):
            return
        self._somebody(place).delete_cluster(cluster).succeeds(*_ACCEPTED, requirement=ROW)
        del place.clusters[cluster]

    def _change_workers(self, place: Place, cluster: str, operation: str) -> None:
        workers = place.clusters[cluster]
        if operation == "add" or len(workers) < 2:  # noqa: PLR2004 - a cluster keeps one
            if len(workers) < _MOST_WORKERS:
                self._add(place, cluster)
            return
        worker = self._random.choice(sorted(workers))
        reason = self._reason(place)
        if not workers[worker] or reason is None or (reason and workers[worker] != place.account):
            return  # two reasons to refuse, and no source says which one is told
        self._changed(
            place, cluster, worker, self._somebody(place).remove_worker(cluster, worker), removed=True
        )

    def _add(self, place: Place, cluster: str) -> None:
        workers, reason = place.clusters[cluster], self._reason(place)
        if reason is None:
            return
        if reason == EXCHANGE:
            control = place.view.get_user_config().needed(200)
            place.view.add_worker(cluster).is_refused(EXCHANGE, control=control, requirement=ROW)
            return
        answer = self._somebody(place).add_worker(cluster)
        if answer.ok or not reason:
            answer.succeeds(*_ACCEPTED, requirement=ROW)
        else:
            control = place.view.get_user_config().needed(200)
            answer.is_refused(reason, control=control, requirement=ROW)
        listed = place.view.list_workers(cluster).needed(200)
        # A refusal may stand on a worker that was made: where that one lives nobody knows.
        account = "" if reason else place.account
        for worker in place.view.ids_of(listed):
            if worker not in self._removed:
                workers.setdefault(worker, account)

    def _codes(self, place: Place, cluster: str, worker: str) -> tuple[str, ...]:
        """Return with what a change of a worker is refused: a reason of the place, or a worker of another account."""
        reason = self._reason(place)
        orphan = place.clusters[cluster][worker] != place.account
        return (reason,) if reason else ORPHANED if orphan else ()

    def _changed(
        self,
        place: Place,
        cluster: str,
        worker: str,
        answer: Answer,
        *,
        removed: bool,
        control: Answer | None = None,
    ) -> None:
        """Judge a reload or removal: refused as it has to be, or done."""
        workers = place.clusters[cluster]
        codes = self._codes(place, cluster, worker)
        if codes:
            seen = (control or place.view.get_user_config()).needed(200)
            place.view.refuses(cluster, worker, answer, *codes, control=seen, requirement=ROW)
        else:
            answer.succeeds(*_ACCEPTED, requirement=ROW)
            if removed:
                del workers[worker]
                self._removed.add(worker)

    # --- what is there --------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Expect credentials, owners, clusters and workers of every place to be what the operations have left."""
        viewers = [
            (place, place.view.as_identity(self._random.choice((*_ADMINISTRATORS, "reader"))))
            for place in self._places
        ]
        # An account shows the clusters of all its places.
        homes = [[place for place in self._places if place.home is home] for home in (True, False)]
        accounts = [places for places in homes if places]
        alone = self._somewhere()
        asked = [request for place, viewer in viewers for request in self._requests(viewer, place)]
        asked += [places[0].view.list_clusters for places in accounts]
        asked += [partial(place.view.get_worker, cluster, worker) for place, cluster, worker in alone]
        shown = iter(self._case.read(asked))
        for place, viewer in viewers:
            self._look_at_credentials(next(shown), next(shown), place)
            if self._shows_permissions(place):
                self._look_at_permissions(viewer, next(shown), place)
            for cluster in place.clusters:
                owner = next(shown).succeeds(200, requirement=ROW)
                owner.shows_all(place.owner or {}, requirement=ROW)
                self._look_at_workers(next(shown), place, cluster)
        for places in accounts:
            listed = next(shown).succeeds(200, requirement=ROW)
            for cluster in (cluster for place in places for cluster in place.clusters):
                listed.lists("*.id", cluster, requirement=ROW)
        for place, cluster, worker in alone:
            told = next(shown).succeeds(200, requirement=ROW).shows("id", worker, requirement=ROW)
            is_orphan = place.clusters[cluster][worker] != place.account
            tells = told.tells if is_orphan else told.tells_not
            tells("errorMessage", *ORPHANED, requirement=ROW)
        if not self._faults:
            self._use((place, cluster) for place in self._places for cluster in place.clusters)

    def _somewhere(self) -> list[tuple[Place, str, str]]:
        """Return a worker that is looked at alone, where that of any is known."""
        known = [
            (place, cluster, worker)
            for place in self._places
            for cluster, workers in sorted(place.clusters.items())
            for worker, account in sorted(workers.items())
            if account
        ]
        return [self._random.choice(known)] if known else []

    def _requests(self, viewer: Clusters, place: Place) -> list[Callable[[], Answer]]:
        """Return what is asked of a place at each look, in the order in which the answers are judged."""
        asked: list[Callable[[], Answer]] = [viewer.get_user_config, viewer.get_credentials]
        if self._shows_permissions(place):
            asked.append(viewer.get_permissions)
        for cluster in place.clusters:
            asked += [partial(viewer.get_key_owner, cluster), partial(viewer.list_workers, cluster)]
        return asked

    def _shows_permissions(self, place: Place) -> bool:
        """Tell whether permissions are looked at: no source says what an API key that cannot be exchanged shows."""
        return self._faults and place.refusal != EXCHANGE

    def _use_all(self) -> None:
        """Use the credentials of every place."""
        self._use((place, cluster) for place in self._places for cluster in list(place.clusters)[:1])

    def _use(self, uses: Iterable[tuple[Place, str]]) -> None:
        """Reload workers: what can be done with the credentials that count is not always what is shown of them."""
        reloaded: list[tuple[Place, str, str]] = []
        refused: list[tuple[Place, str]] = []
        asked: list[Callable[[], Answer]] = []
        for place, cluster in uses:
            reason = self._reason(place)
            if reason is None:
                continue
            fit = [
                worker
                for worker, account in place.clusters[cluster].items()
                if account == place.account or (account and not reason)
            ]
            if fit:
                worker = self._random.choice(sorted(fit))
                reloaded.append((place, cluster, worker))
                asked.append(partial(self._somebody(place).reload_worker, cluster, worker))
                if self._codes(place, cluster, worker):
                    asked.append(place.view.get_user_config)
            elif reason:
                refused.append((place, cluster))
        answers = iter(self._case.read(asked))
        for place, cluster, worker in reloaded:
            answer = next(answers)
            config = next(answers) if self._codes(place, cluster, worker) else None
            self._changed(place, cluster, worker, answer, removed=False, control=config)
        for place, cluster in refused:
            self._add(place, cluster)

    def _look_at_permissions(self, viewer: Clusters, answer: Answer, place: Place) -> None:
        """Expect the missing permission where its lack counts, and none where the credential has all."""
        listed = answer.succeeds(200, requirement=ROW)
        if not self._lacks(place):
            viewer.all_sufficient(listed)
        elif not place.refusal:
            need = viewer.need_of(listed, GROUP, VIEW)
            listed.lists(f"{GROUP}.{need}.missingPermissions", VIEW, requirement=ROW)

    @staticmethod
    def _look_at_credentials(settings: Answer, answer: Answer, place: Place) -> None:
        stored = place.credential is not None
        settings.succeeds(200, requirement=ROW).shows("storedIaasCredentials", value=stored, requirement=ROW)
        if place.credential is None:
            answer.is_refused("E0051", control=settings, requirement=ROW)
        else:
            answer.succeeds(200, requirement=ROW).shows("apiUser", place.credential.user, requirement=ROW)

    @staticmethod
    def _look_at_workers(answer: Answer, place: Place, cluster: str) -> None:
        workers = place.clusters[cluster]
        listed = answer.succeeds(200, requirement=ROW)
        listed.selects("*.id", sorted(workers), sorted(workers), requirement=ROW)
        for position, worker in enumerate(place.view.ids_of(listed)):
            account = workers.get(worker, "")
            if account and account != place.account:
                message = f"{position}.errorMessage"
                listed.tells(message, *ORPHANED, requirement=ROW)
                others = "|".join(re.escape(other) for other in sorted(workers) if other != worker)
                if others:  # the message is about this one
                    listed.matches_not(message, rf"(?<![\w-])({others})(?![\w-])", requirement=ROW)
            elif account:
                listed.tells_not(f"{position}.errorMessage", *ORPHANED, requirement=ROW)
