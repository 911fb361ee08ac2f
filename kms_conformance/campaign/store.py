"""Where the results of a campaign are kept: a folder, or object storage by fsspec (``s3://...``).

A shard is there as a whole or not at all: a folder appears by one renaming; in object storage, which knows no folders, the
shard is one archive, and what tells that it is done is written last.
"""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from kms_conformance.campaign.errors import CampaignResultsError
from kms_conformance.errors import MissingExtraError
from kms_conformance.outputs.files import put

PLAN = "campaign.json"
TASK = "task.json"
_SHARDS, _DURATIONS, _ARCHIVE = "shards", "durations", "shard.zip"


class Store(Protocol):
    """What a campaign needs of a place. Names are relative, with slashes.

    ``has_folders`` tells whether a shard is a folder that others may have written, too.
    """

    place: str
    has_folders: bool

    def read(self, name: str) -> bytes | None:
        """Return a file, ``None`` where there is none."""

    def write(self, name: str, text: str) -> None:
        """Write a file as a whole."""

    def put_folder(self, name: str, folder: Path) -> None:
        """Take a finished folder in; it replaces one that is there already."""

    def folder(self, name: str, below: Path) -> Path:
        """Return a folder of the store as one of this machine, ``below`` is where it may be put."""


def open_store(place: str) -> Store:
    """Return the store at a place; raise :class:`CampaignResultsError` or :class:`MissingExtraError`."""
    scheme = urlsplit(place).scheme if "://" in place else ""
    if scheme in {"", "file"}:
        path = unquote(urlsplit(place).path) if scheme else place
        return FolderStore(Path(path))
    return ObjectStore(place)


class FolderStore:
    """A folder of this machine, or one that many machines share."""

    has_folders = True

    def __init__(self, folder: Path) -> None:
        self.place = str(folder)
        self._folder = folder

    def read(self, name: str) -> bytes | None:
        """Return a file, ``None`` where there is none."""
        try:
            return (self._folder / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _unusable(self.place, error) from None

    def write(self, name: str, text: str) -> None:
        """Write a file as a whole."""
        path = self._folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            put(path, text)
        except OSError as error:
            raise _unusable(self.place, error) from None

    def put_folder(self, name: str, folder: Path) -> None:
        """Take a finished folder in: copied beside its place, for that may be another disk, then renamed."""
        path = self._folder / name
        beside = path.with_name(f".{path.name}.{folder.name}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(beside, ignore_errors=True)
            shutil.copytree(folder, beside)
            if path.exists():
                path.rename(beside.with_name(f"{beside.name}.old"))
            beside.rename(path)
        except OSError as error:
            raise _unusable(self.place, error) from None
        for old in path.parent.glob(f".{path.name}.*"):
            shutil.rmtree(old, ignore_errors=True)

    def folder(self, name: str, below: Path) -> Path:  # noqa: ARG002 - it is here already
        """Return a folder of the store."""
        return self._folder / name


class ObjectStore:
    """Object storage, by fsspec; its settings (keys, address) come from the environment of whoever opens it."""

    has_folders = False

    def __init__(self, place: str) -> None:
        self.place = place.rstrip("/")
        scheme = place.partition("://")[0]
        try:
            core: Any = import_module("fsspec.core")
            self._files, self._root = core.url_to_fs(self.place, use_listings_cache=False)
        except ImportError as error:
            package = (error.name or "fsspec").partition(".")[0]
            raise MissingExtraError(place, "s3fs" if scheme == "s3" else package, "campaign") from None
        except ValueError as error:
            raise CampaignResultsError(place, str(error)) from None

    def read(self, name: str) -> bytes | None:
        """Return a file, ``None`` where there is none."""
        try:
            content: bytes = self._files.cat_file(f"{self._root}/{name}")
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001 - each storage has exceptions of its own
            raise _unusable(self.place, error) from None
        return content

    def write(self, name: str, text: str) -> None:
        """Write a file as a whole."""
        self._guarded(lambda: self._files.pipe_file(f"{self._root}/{name}", text.encode()))

    def put_folder(self, name: str, folder: Path) -> None:
        """Take a finished folder in as one archive: a report has thousands of small files."""
        archive = folder.with_name(f"{folder.name}.zip")
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
            for path in sorted(folder.rglob("*")):
                file.write(path, path.relative_to(folder))
        try:
            self._guarded(lambda: self._files.put_file(str(archive), f"{self._root}/{name}/{_ARCHIVE}"))
            self.write(f"{name}/{TASK}", (folder / TASK).read_text(encoding="utf-8"))
        finally:
            archive.unlink(missing_ok=True)

    def folder(self, name: str, below: Path) -> Path:
        """Return a folder of the store as one of this machine."""
        content = self.read(f"{name}/{_ARCHIVE}")
        place = below / name
        place.mkdir(parents=True, exist_ok=True)
        if content is not None:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                archive.extractall(place)
        return place

    def _guarded(self, write: Callable[[], object]) -> None:
        try:
            write()
        except Exception as error:  # noqa: BLE001 - each storage has exceptions of its own
            raise _unusable(self.place, error) from None


def _unusable(place: str, error: Exception) -> CampaignResultsError:
    why = error.strerror if isinstance(error, OSError) else None
    return CampaignResultsError(place, why or type(error).__name__)


def shard_place(task_id: str) -> str:
    """Return the folder of a task's report."""
    return f"{_SHARDS}/{task_id}"


def durations_name(endpoint: str) -> str:
    """Return the file that an endpoint's shards are cut by."""
    return f"{_DURATIONS}/{endpoint}.json"


def read_json(store: Store, name: str) -> Any:
    """Return what a JSON file of the store holds, ``None`` where there is none, or none that can be read."""
    content = store.read(name)
    if content is not None:
        with suppress(ValueError):
            return json.loads(content)
    return None


def stored_outcomes(store: Store, task_ids: Iterable[str]) -> dict[str, Any]:
    """Return what is known of the tasks that have been tried, by their ids."""
    found = {task_id: read_json(store, f"{shard_place(task_id)}/{TASK}") for task_id in task_ids}
    return {task_id: document for task_id, document in found.items() if isinstance(document, dict)}
