"""What the service remembers: credentials by account, region and resource group; clusters; the world upstream.

Precedence: manual credentials win over the API key, whatever state either is in. Nothing here is real:
an infrastructure account is the digits before the underscore of a classic user name (``1234567_name``), or
``linked`` for the API key; every key exists upstream until a fault deletes it.
"""

import uuid
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kms_reference.iks.messages import PROVIDER, Message, Refusal, refusal
from kms_reference.iks.permissions import GROUP_OF, NEEDED, ORDERING, Operation
from kms_reference.rules import Rules, rule

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


@dataclass(eq=False)
class Worker:
    """One worker node and the infrastructure account in which it lives."""

    id: str
    account: str
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

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._accounts: dict[str, Account] = {}
        self.credentials: dict[Scope, ManualCredential] = {}
        self.deleted: dict[ManualCredential, Scope] = {}
        """Manual credentials whose key was deleted upstream, and where they were set then."""

    def account(self, name: str) -> Account:
        """Find an account; it is made on first use."""
        return self._accounts.setdefault(name, Account())

    def accounts(self) -> list[Account]:
        """Return all accounts that were used."""
        return list(self._accounts.values())

    def forget(self, name: str) -> None:
        """Forget an account and its credentials."""
        self._accounts.pop(name, None)
        for scope in [scope for scope in self.credentials if scope.account == name]:
            del self.credentials[scope]

    # Manual credentials.

    @rule
    def place(self, scope: Scope) -> Scope:
        """Tell where credentials are kept: by account, region and resource group."""
        return scope

    def manual(self, scope: Scope) -> ManualCredential | None:
        """Find the manual credentials of a scope."""
        return self.credentials.get(self.place(scope))

    @rule
    def set_manual(self, scope: Scope, credential: ManualCredential) -> None:
        """Set the manual credentials of a scope; the last ones win."""
        self.credentials[self.place(scope)] = credential

    @rule
    def unset_manual(self, scope: Scope) -> None:
        """Remove the manual credentials of a scope."""
        self.credentials.pop(self.place(scope), None)

    def delete_upstream(self, scope: Scope) -> bool:
        """Delete the classic key of a scope upstream; answer whether there was one."""
        credential = self.manual(scope)
        if credential is not None:
            self.deleted[credential] = scope
        return credential is not None

    def revive_upstream(self, scope: Scope) -> None:
        """Bring back the classic keys that were deleted while they were set in a scope."""
        self.deleted = {credential: where for credential, where in self.deleted.items() if where != scope}

    # API keys.

    def api_key(self, scope: Scope) -> ApiKey | None:
        """Find the API key of a scope."""
        return self.account(scope.account).api_keys.get(scope)

    @rule
    def reset_api_key(self, scope: Scope, owner: str, name: str) -> None:
        """Replace the API key of a scope; manual credentials stay as they are."""
        self.account(scope.account).api_keys[scope] = ApiKey(owner, name)

    # What counts, and what it may do.

    @rule
    def counting(self, scope: Scope) -> ManualCredential | None:
        """Find the manual credentials that count in a scope: its own."""
        return self.manual(scope)

    @rule
    def effective(self, scope: Scope) -> Effective | None:
        """Find the credential that counts in a scope: manual ones, else the API key, else none."""
        credential, key = self.counting(scope), self.api_key(scope)
        if credential is not None:
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
        effective = self.connected(scope)
        if effective.manual:
            self.check_manual(scope, operation)
        else:
            self.check_api_key(scope, operation)
        self.check_permissions(scope, operation)
        return effective

    @rule
    def connected(self, scope: Scope) -> Effective:
        """Find the credential that counts; without a linked account only a manual one does.

        Raises:
            Refusal: message 2 when there is none.
        """
        effective = self.effective(scope)
        if effective is None or (self.account(scope.account).unlinked and not effective.manual):
            raise refusal(self, Message.NOT_CONNECTED)
        return effective

    @rule
    def check_manual(self, scope: Scope, operation: Operation) -> None:  # noqa: ARG002 - a defect asks for the operation
        """Refuse manual credentials whose key was deleted upstream.

        Raises:
            Refusal: message 10.
        """
        if self.counting(scope) in self.deleted:
            raise refusal(self, Message.INVALID_API_KEY)

    @rule
    def check_api_key(self, scope: Scope, operation: Operation) -> None:  # noqa: ARG002 - a defect asks for the operation
        """Refuse an API key that cannot be exchanged for a token.

        Raises:
            Refusal: message 7.
        """
        key = self.api_key(scope)
        if key is not None and key.dead:
            message = Message.TOKEN_EXCHANGE_WITH_MESSAGE if key.long_spelling else Message.TOKEN_EXCHANGE
            raise refusal(self, message, message=key.exchange_message)

    @rule
    def check_permissions(self, scope: Scope, operation: Operation) -> None:
        """Refuse an operation for which a permission is missing; permissions to order show on the worker instead.

        Raises:
            Refusal: message 1.
        """
        if (self.missing(scope) & NEEDED[operation]) - ORDERING:
            raise refusal(self, Message.NOT_AUTHORIZED)

    @rule
    def infra_permissions(self, scope: Scope) -> dict[str, Any]:
        """Describe what the effective credential lacks, by group and by necessity."""
        effective = self.effective(scope)
        groups: dict[str, dict[str, list[str]]] = {
            group: {"required": [], "recommended": []} for group, _ in GROUP_OF.values()
        }
        for permission in sorted(self.shown_missing(scope) & GROUP_OF.keys()):
            group, need = self.group_of(permission)
            groups[group][need].append(permission)
        described: dict[str, Any] = {
            "account": effective.account if effective else LINKED,
            "accountType": "manual" if effective and effective.manual else "linked",
        }
        for group, needs in groups.items():
            described[group] = {need: self.need_view(names) for need, names in needs.items()}
        return described

    @rule
    def shown_missing(self, scope: Scope) -> set[str]:
        """List the permissions that are shown as missing: all that are."""
        return self.missing(scope)

    @rule
    def group_of(self, permission: str) -> tuple[str, str]:
        """Tell a permission's group and whether it is required or recommended."""
        return GROUP_OF[permission]

    @rule
    def need_view(self, names: list[str]) -> dict[str, Any]:
        """Describe the permissions of one necessity in one group."""
        return {"insufficient": bool(names), "missingPermissions": names}

    # Clusters and workers.

    @rule
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

    @rule
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

    @rule
    def change_worker(self, cluster: Cluster, worker: Worker, operation: Operation) -> None:
        """Reload or remove a worker.

        Raises:
            Refusal: as :meth:`check`; messages 4 to 6 for an orphan.
        """
        effective = self.check(cluster.scope, operation)
        self.check_account(cluster, worker, effective)
        if operation is Operation.REMOVE:
            del cluster.workers[worker.id]
        else:
            worker.order_refused = bool(self.missing(cluster.scope) & ORDERING)

    @rule
    def remove_cluster(self, cluster: Cluster) -> None:
        """Forget a cluster."""
        del self.account(cluster.scope.account).clusters[cluster.id]

    @rule
    def check_account(self, cluster: Cluster, worker: Worker, effective: Effective) -> None:
        """Refuse to change a worker that lives in another account than the credential opens.

        Raises:
            Refusal: messages 4 to 6.
        """
        if effective.account != worker.account:
            raise refusal(self, self.account(cluster.scope.account).lookup, **_parts(worker))

    @rule
    def worker_error(self, cluster: Cluster, worker: Worker) -> str:
        """Say what is wrong with a worker, or nothing: messages 3 to 6."""
        error = self.order_error(worker)
        if error or not self.is_orphan(cluster, worker):
            return error
        return self.orphan_error(cluster, worker)

    @rule
    def order_error(self, worker: Worker) -> str:
        """Say that an item of a worker was ordered without permission, or nothing (message 3)."""
        return Message.ITEM_PERMISSION.value if worker.order_refused else ""

    @rule
    def is_orphan(self, cluster: Cluster, worker: Worker) -> bool:
        """Tell whether a worker lives in another account than the credential that counts now opens."""
        effective = self.effective(cluster.scope)
        return effective is None or effective.account != worker.account

    @rule
    def orphan_error(self, cluster: Cluster, worker: Worker) -> str:
        """Say that a worker cannot be found (messages 4 to 6)."""
        return self.account(cluster.scope.account).lookup.value.format(**_parts(worker))

    def lacks_registry_role(self, scope: Scope) -> bool:
        """Tell whether the owner of the scope's API key may not set up the registry (message 8)."""
        key = self.api_key(scope)
        return key is not None and key.owner in self.account(scope.account).without_registry


def _parts(worker: Worker) -> dict[str, str]:
    return {"id": worker.id, "provider": PROVIDER}
