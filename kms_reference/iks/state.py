"""What the service remembers: credentials by account, region and resource group; clusters; the world upstream.

Precedence: manual credentials win over the API key, whatever state either is in. Nothing here is real:
an infrastructure account is the digits before the underscore of a classic user name (``1234567_name``), or
``linked`` for the API key; every key exists upstream until a fault deletes it.
"""

import uuid
from dataclasses import dataclass, field
from typing import NamedTuple

from kms_reference.iks.defects import ActiveDefects
from kms_reference.iks.messages import PROVIDER, Message, Refusal, refusal
from kms_reference.iks.permissions import GROUP_OF, NEEDED, ORDERING, Operation

LINKED = "linked"
DEFAULT_EXCHANGE = "Provided API key could not be found."


class Scope(NamedTuple):
    """Where credentials belong."""

    account: str
    region: str
    group: str


@dataclass
class ApiKey:
    """The API key of a scope: its owner, and whether it can still be exchanged for a token."""

    owner: str
    name: str
    dead: bool = False
    exchange_message: str = DEFAULT_EXCHANGE
    long_spelling: bool = False


class ManualCredential(NamedTuple):
    """A classic user and its key."""

    user: str
    key: str


class Effective(NamedTuple):
    """The credential that counts: whose it is, and the infrastructure account it opens."""

    owner: str
    account: str
    manual: bool


@dataclass
class Worker:
    """One worker node and the infrastructure account in which it lives."""

    id: str
    account: str
    orphaned_once: bool = False
    order_refused: bool = False


@dataclass
class Cluster:
    """A cluster: the scope that pays for it, and its workers by id."""

    id: str
    name: str
    scope: Scope
    workers: dict[str, Worker] = field(default_factory=dict)


@dataclass
class Account:
    """What belongs to one account, here and upstream."""

    api_keys: dict[Scope, ApiKey] = field(default_factory=dict)
    clusters: dict[str, Cluster] = field(default_factory=dict)
    unlinked: bool = False
    missing: dict[str, set[str]] = field(default_factory=dict)
    without_registry: set[str] = field(default_factory=set)
    lookup: Message = Message.INSTANCE_NOT_FOUND


class State:
    """All accounts; every method that refuses leaves everything as it was."""

    def __init__(self, broken: ActiveDefects) -> None:
        self._broken = broken
        self._accounts: dict[str, Account] = {}
        self._manual: dict[Scope, ManualCredential] = {}
        self._deleted: dict[ManualCredential, Scope] = {}

    def account(self, name: str) -> Account:
        """Find an account; it springs into being."""
        return self._accounts.setdefault(name, Account())

    def forget(self, name: str) -> None:
        """Forget an account and its credentials."""
        self._accounts.pop(name, None)
        for scope in [scope for scope in self._manual if scope.account == name]:
            del self._manual[scope]

    # Manual credentials.

    def _stored_scope(self, scope: Scope) -> Scope:
        """Blur the scope: only under a defect."""
        return Scope(
            "" if self._broken("iks-account-ignored") else scope.account,
            "" if self._broken("iks-region-ignored") else scope.region,
            "" if self._broken("iks-group-ignored") else scope.group,
        )

    def manual(self, scope: Scope) -> ManualCredential | None:
        """Find the manual credentials of a scope."""
        return self._manual.get(self._stored_scope(scope))

    def set_manual(self, scope: Scope, credential: ManualCredential) -> None:
        """Set the manual credentials of a scope; the last ones win."""
        stored = self._stored_scope(scope)
        old = self._manual.get(stored)
        if self._broken("iks-set-not-stored"):
            return
        if old is not None and old.user == credential.user and self._broken("iks-same-user-ignored"):
            return
        if self._broken("iks-user-cut"):
            credential = credential._replace(user=credential.user.partition("@")[0])
        if stored in self._manual and self._broken("iks-second-set-ignored"):
            return
        self._manual[stored] = credential
        if old in self._deleted and self._broken("iks-set-anew-does-not-heal"):
            self._deleted[credential] = scope

    def unset_manual(self, scope: Scope) -> None:
        """Remove the manual credentials of a scope."""
        if self._broken("iks-unset-everywhere"):
            self._manual.clear()
        if self._broken("iks-unset-in-every-account"):
            for other in [other for other in self._manual if other[1:] == scope[1:]]:
                del self._manual[other]
        if not self._broken("iks-unset-does-nothing"):
            self._manual.pop(self._stored_scope(scope), None)

    def delete_upstream(self, scope: Scope) -> bool:
        """Delete the classic key of a scope upstream; answer whether there was one."""
        credential = self.manual(scope)
        if credential is not None:
            self._deleted[credential] = scope
        return credential is not None

    def revive_upstream(self, scope: Scope) -> None:
        """Bring back the classic keys that were deleted while they were set in a scope."""
        self._deleted = {credential: where for credential, where in self._deleted.items() if where != scope}

    # API keys.

    def api_key(self, scope: Scope) -> ApiKey | None:
        """Find the API key of a scope."""
        return self.account(scope.account).api_keys.get(scope)

    def reset_api_key(self, scope: Scope, owner: str, name: str) -> None:
        """Replace the API key of a scope; manual credentials stay as they are."""
        broken = self._broken
        old = self.api_key(scope)
        if old is not None and broken("iks-reset-one-cluster-owner"):
            owner, name = old.owner, old.name
        fresh = ApiKey(owner, name)
        if old is not None and broken("iks-reset-does-not-heal"):
            fresh.dead = old.dead
        keys = self.account(scope.account).api_keys
        keys[scope] = fresh
        if broken("iks-key-of-all-places"):
            keys.update({other: ApiKey(owner, name) for other in keys})
        if broken("iks-reset-clears-manual"):
            self.unset_manual(scope)
        credential = self.manual(scope)
        if credential in self._deleted and broken("iks-reset-heals-manual"):
            del self._deleted[credential]

    # What counts, and what it may do.

    def _counting(self, scope: Scope) -> ManualCredential | None:
        """Find the manual credentials that count in a scope; under a defect those of another one too."""
        found = self.manual(scope)
        if found is None and self._broken("iks-operations-of-any-place"):
            return next(
                (held for where, held in self._manual.items() if where.account == scope.account), None
            )
        return found

    def effective(self, scope: Scope) -> Effective | None:
        """Find the credential that counts in a scope: manual ones, else the API key, else none."""
        credential, key = self._counting(scope), self.api_key(scope)
        if credential is not None and not (key is not None and self._broken("iks-api-key-before-manual")):
            digits, mark, _ = credential.user.partition("_")
            account = digits if mark and digits.isdigit() else credential.user
            return Effective(credential.user, account, manual=True)
        return None if key is None else Effective(key.owner, LINKED, manual=False)

    def missing(self, scope: Scope) -> set[str]:
        """List the permissions that the effective credential lacks."""
        effective = self.effective(scope)
        if effective is None:
            return set()
        return self.account(scope.account).missing.get(effective.owner, set())

    def check(self, scope: Scope, operation: Operation) -> Effective:
        """Find the credential for an infrastructure operation.

        Raises:
            Refusal: messages 1, 2, 7 and 10 of the page.
        """
        broken = self._broken
        effective = self.effective(scope)
        unlinked = self.account(scope.account).unlinked and not broken("iks-unlinked-account-works")
        if effective is None or (
            unlinked and (not effective.manual or broken("iks-unlinked-ignores-manual"))
        ):
            raise refusal(Message.NOT_CONNECTED, broken)
        if effective.manual:
            self._check_manual(scope, operation)
        elif operation is not Operation.REMOVE or not broken("iks-dead-key-removes"):
            self._check_api_key(scope)
        lacking = (self.missing(scope) & NEEDED[operation]) - ORDERING
        if lacking and not broken("iks-missing-permission-works"):
            raise refusal(Message.NOT_AUTHORIZED, broken)
        return effective

    def _check_manual(self, scope: Scope, operation: Operation) -> None:
        broken, credential = self._broken, self._counting(scope)
        removes = operation is Operation.REMOVE and broken("iks-deleted-key-removes")
        if credential in self._deleted and not removes and not broken("iks-deleted-key-works"):
            refused = refusal(Message.INVALID_API_KEY, broken)
            if credential is not None and broken("iks-key-in-error"):
                refused.description += f" {credential.key}"
            raise refused

    def _check_api_key(self, scope: Scope) -> None:
        key = self.api_key(scope)
        if key is not None and key.dead and not self._broken("iks-dead-key-works"):
            message = Message.TOKEN_EXCHANGE_WITH_MESSAGE if key.long_spelling else Message.TOKEN_EXCHANGE
            raise refusal(message, self._broken, message=key.exchange_message)

    def infra_permissions(self, scope: Scope) -> dict[str, object]:
        """Describe what the effective credential lacks, by group and by necessity."""
        broken = self._broken
        effective = self.effective(scope)
        lacking = set() if broken("iks-missing-permission-hidden") else set(self.missing(scope))
        if broken("iks-deleted-key-insufficient") and self.manual(scope) in self._deleted:
            lacking = set(GROUP_OF)
        groups: dict[str, dict[str, list[str]]] = {
            group: {"required": [], "recommended": []} for group, _ in GROUP_OF.values()
        }
        for permission in sorted(lacking & GROUP_OF.keys()):
            group, need = GROUP_OF[permission]
            if broken("iks-permission-in-wrong-group"):
                group = next(other for other in groups if other != group)
            groups[group][need].append(permission)
        every = bool(lacking) and broken("iks-every-group-insufficient")
        described: dict[str, object] = {
            "account": effective.account if effective else LINKED,
            "accountType": "manual" if effective and effective.manual else "linked",
        }
        for group, needs in groups.items():
            described[group] = {
                need: {
                    "insufficient": str(bool(names))
                    if broken("iks-insufficient-as-text")
                    else every or bool(names),
                    "missingPermissions": [] if broken("iks-insufficient-without-list") else names,
                }
                for need, names in needs.items()
            }
        return described

    # Clusters and workers.

    def create_cluster(self, scope: Scope, name: str, workers: int, owner: str, owner_name: str) -> Cluster:
        """Make a cluster; the first one in a scope leaves its creator's API key there.

        Raises:
            Refusal: as :meth:`check`.
        """
        account = self.account(scope.account)
        had_key = scope in account.api_keys
        if not had_key:
            account.api_keys[scope] = ApiKey(owner, owner_name)
        try:
            cluster = Cluster(uuid.uuid4().hex, name, scope)
            self.add_workers(cluster, workers)
        except Refusal:
            if not had_key:
                del account.api_keys[scope]
            raise
        account.clusters[cluster.id] = cluster
        return cluster

    def add_workers(self, cluster: Cluster, count: int) -> list[Worker]:
        """Order workers; an item that may not be ordered leaves its message on the worker.

        Raises:
            Refusal: as :meth:`check`.
        """
        effective = self.check(cluster.scope, Operation.ADD)
        refused = bool(self.missing(cluster.scope) & ORDERING)
        added = []
        for _ in range(count):
            worker = Worker(
                f"kube-{cluster.id[:12]}-{uuid.uuid4().hex[:8]}", effective.account, order_refused=refused
            )
            cluster.workers[worker.id] = worker
            added.append(worker)
        return added

    def change_worker(self, cluster: Cluster, worker: Worker, operation: Operation) -> None:
        """Reload or remove a worker.

        Raises:
            Refusal: as :meth:`check`; messages 4 to 6 for an orphan.
        """
        effective = self.check(cluster.scope, operation)
        if effective.account != worker.account and not self._broken("iks-orphan-operable"):
            raise refusal(self.account(cluster.scope.account).lookup, self._broken, **_parts(worker))
        if operation is Operation.REMOVE:
            del cluster.workers[worker.id]
        else:
            worker.order_refused = bool(self.missing(cluster.scope) & ORDERING)

    def worker_error(self, cluster: Cluster, worker: Worker) -> str:
        """Say what is wrong with a worker, or nothing: messages 3 to 6."""
        broken = self._broken
        if worker.order_refused and not broken("iks-order-permission-silent"):
            return Message.ITEM_PERMISSION.value
        effective = self.effective(cluster.scope)
        orphaned = effective is None or effective.account != worker.account
        worker.orphaned_once = worker.orphaned_once or orphaned
        if broken("iks-orphan-stays"):
            orphaned = worker.orphaned_once
        if not orphaned or broken("iks-orphan-hidden"):
            return ""
        text = self.account(cluster.scope.account).lookup.value.format(**_parts(worker))
        return text.replace(f"'{worker.id}'", "") if broken("iks-orphan-without-id") else text

    def lacks_registry_role(self, scope: Scope) -> bool:
        """Tell whether the owner of the scope's API key may not set up the registry (message 8)."""
        key = self.api_key(scope)
        return key is not None and key.owner in self.account(scope.account).without_registry


def _parts(worker: Worker) -> dict[str, str]:
    return {"id": worker.id, "provider": PROVIDER}
