"""Keys to begin with: what a seed file names is made by ordinary requests before the server takes any other.

A seed file is YAML (so JSON will do)::

    instances:
      7f1d1c4e-0000-4000-8000-000000000000:
        - {name: orders, aliases: [orders-key]}
        - {name: imported, payload: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=}
        - {name: a standard key, extractable: true}

A key is a root key of the service's own making unless it says otherwise. An instance that has keys already, out of a data
file, is left as it is.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import yaml

from kms_reference.errors import SeedFileError

if TYPE_CHECKING:
    from pathlib import Path

    from kms_reference.key_protect.server_state import ServerState

_KEY_TYPE = "application/vnd.ibm.kms.key+json"
_MEMBERS = frozenset({"name", "aliases", "extractable", "payload", "description"})
_WHERE = "http://seed"


def create_seed_keys(application: Any, server_state: ServerState, path: Path) -> None:
    """Make the keys of a seed file; raise :class:`SeedFileError` where that is not possible."""
    seeds = read_seeds(path)
    api_key = server_state.issuer.api_keys["manager"]
    empty = {instance: keys for instance, keys in seeds.items() if not server_state.instance(instance).keys}
    # The caller that starts the server may run an event loop itself.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, _create_all(application, api_key, empty)).result()


def read_seeds(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the keys of a seed file by instance; raise :class:`SeedFileError` where it has another form."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SeedFileError(f"the seed file {path} cannot be read: {str(error).splitlines()[0]}") from error
    instances = document.get("instances") if isinstance(document, dict) else None
    if not isinstance(instances, dict):
        raise SeedFileError(f"the seed file {path} has no table instances")
    for instance, keys in instances.items():
        for key in keys if isinstance(keys, list) else [None]:
            if not isinstance(key, dict) or "name" not in key or not set(key) <= _MEMBERS:
                members = ", ".join(sorted(_MEMBERS))
                raise SeedFileError(
                    f"a key of {instance} in {path} is {key!r}: it needs a name and may have {members}"
                )
    return {str(instance): list(keys) for instance, keys in instances.items()}


async def _create_all(application: Any, api_key: str, seeds: dict[str, list[dict[str, Any]]]) -> None:
    transport = httpx.ASGITransport(app=application)
    async with httpx.AsyncClient(transport=transport, base_url=_WHERE) as client:
        form = {"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": api_key}
        token = (await client.post("/identity/token", data=form)).json()["access_token"]
        for instance, keys in seeds.items():
            headers = {"authorization": f"Bearer {token}", "bluemix-instance": instance}
            for key in keys:
                answer = await client.post("/api/v2/keys", headers=headers, json=_body(key))
                if not answer.is_success:
                    raise SeedFileError(f"the key {key['name']!r} of {instance} is refused: {answer.text}")


def _body(key: dict[str, Any]) -> dict[str, Any]:
    wanted = {"type": _KEY_TYPE, "extractable": False, **key}
    return {"metadata": {"collectionType": _KEY_TYPE, "collectionTotal": 1}, "resources": [wanted]}
