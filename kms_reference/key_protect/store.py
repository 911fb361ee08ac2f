"""State that survives a restart, kill -9 included: SQLite, one row per instance and per key."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any, Final

from kms_reference.key_protect.instance import Instance
from kms_reference.key_protect.model import Key, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from kms_reference.rules import Rules

_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS instances (id TEXT PRIMARY KEY, value TEXT NOT NULL)",
    (
        "CREATE TABLE IF NOT EXISTS keys (instance TEXT NOT NULL, id TEXT NOT NULL, value TEXT NOT NULL, "
        "PRIMARY KEY (instance, id))"
    ),
)
_VERSION: Final = 4_701
"""Marks our files, and the shape of their rows."""


class Store:
    """The data file. Everything a request changed is written in one transaction before the reply is."""

    def __init__(self, path: Path) -> None:
        try:
            # The server's thread is the only one that writes; start-up and stop come from another.
            self._db = sqlite3.connect(path, timeout=2, isolation_level=None, check_same_thread=False)
            # Two servers on one file would overwrite each other; the lock ends with the process.
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode=WAL")
            # NORMAL survives the death of the process; only a power cut could lose the last commits.
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute("BEGIN IMMEDIATE")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            tables = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if version != _VERSION and tables:
                raise StoreError("it is a database of something else")
            for statement in _SCHEMA:
                self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {_VERSION}")
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise StoreError(str(error)) from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def setting(self, name: str) -> Any:
        """Return a stored setting as JSON value, None when absent."""
        row = self._db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return json.loads(row[0]) if row else None

    def set_setting(self, name: str, value: Any) -> None:
        """Store a setting."""
        self._db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, json.dumps(value)))

    def load(self, rules: Rules) -> dict[str, Instance]:
        """Every instance with its keys."""
        instances: dict[str, Instance] = {}
        for instance_id, value in self._db.execute("SELECT id, value FROM instances"):
            instances[instance_id] = Instance(instance_id, rules)
            instances[instance_id].load(json.loads(value))
        for instance_id, value in self._db.execute("SELECT instance, value FROM keys ORDER BY rowid"):
            if instance_id in instances:
                instances[instance_id].add(Key.from_row(json.loads(value)))
        for instance in instances.values():
            instance.changed_keys.clear()
        return instances

    def save(self, instances: Iterable[Instance]) -> None:
        """Write what the instances say has changed, all or nothing; what could not be written stays pending.

        Raises StoreError.
        """
        pending = [instance for instance in instances if instance.changed or instance.changed_keys]
        if not pending:
            return
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for instance in pending:
                self._save(instance)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            # SQLite itself rolls back when the disk is full.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise StoreError(str(error)) from error
        for instance in pending:
            instance.changed = False
            instance.changed_keys.clear()

    def _save(self, instance: Instance) -> None:
        if instance.changed:
            self._db.execute(
                "INSERT OR REPLACE INTO instances VALUES (?, ?)", (instance.id, json.dumps(instance.to_row()))
            )
        for key_id in instance.changed_keys:
            key = instance.keys.get(key_id)
            if key is None:
                self._db.execute("DELETE FROM keys WHERE instance = ? AND id = ?", (instance.id, key_id))
            else:
                # An upsert keeps the row's place, hence the order in which keys were made.
                self._db.execute(
                    "INSERT INTO keys VALUES (?, ?, ?) ON CONFLICT (instance, id) DO UPDATE SET value = "
                    "excluded.value",
                    (instance.id, key_id, json.dumps(key.to_row())),
                )
