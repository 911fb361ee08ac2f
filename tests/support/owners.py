"""What the owner of an instance does there, by requests of his own."""

from __future__ import annotations

from typing import Any

import httpx

from kms_reference.server import Server

_POLICY = "application/vnd.ibm.kms.policy+json"


def headers_of(server: Server, instance: str, name: str = "manager") -> dict[str, str]:
    """Return the headers with which an identity of the reference asks."""
    assert server.server_state is not None
    issuer = server.server_state.issuer
    form = f"grant_type=urn:ibm:params:oauth:grant-type:apikey&apikey={server.api_keys[name]}"
    _, document = issuer.exchange(form.encode())
    return {"authorization": f"Bearer {document['access_token']}", "bluemix-instance": instance}


def put_policy(server: Server, instance: str, kind: str, *, enabled: bool = True, **attributes: Any) -> None:
    """Set one policy of an instance."""
    data = {"enabled": enabled, **({"attributes": attributes} if attributes else {})}
    body = {
        "metadata": {"collectionType": _POLICY, "collectionTotal": 1},
        "resources": [{"policy_type": kind, "policy_data": data}],
    }
    answer = httpx.put(
        f"{server.base_url}/api/v2/instance/policies",
        params={"policy": kind},
        headers=headers_of(server, instance),
        json=body,
    )
    assert answer.status_code == 204, answer.text


def living_keys(server: Server, instance: str) -> list[str]:
    """Return the names of the keys of an instance that are not destroyed."""
    answer = httpx.get(
        f"{server.base_url}/api/v2/keys",
        params={"limit": 5000, "state": "0,1,2,3"},
        headers=headers_of(server, instance),
    )
    assert answer.status_code == 200, answer.text
    return [key["name"] for key in answer.json().get("resources", [])]
