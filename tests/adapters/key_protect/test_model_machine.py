"""The model as a machine: observing answers, symbols, hashing, and orders of concurrent requests."""

from __future__ import annotations

import ast
import itertools
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from kms_conformance.adapters.key_protect import model
from kms_conformance.adapters.key_protect.model import (
    OPERATIONS,
    Answer,
    Ciphertext,
    Instance,
    Operation,
    observe,
)
from kms_conformance.adapters.key_protect.walks import WEIGHTS, Walker, choose

ROOT = Path(__file__).parents[3]
KEY = "11111111-1111-4111-8111-111111111111"
SECOND = "22222222-2222-4222-8222-222222222222"
PATH = {"id": KEY}


def created(modelled: Any) -> Instance:
    """Return a state whose key the answer to its creation has named."""
    sent = {
        "metadata": {"collectionType": "application/vnd.ibm.kms.key+json", "collectionTotal": 1},
        "resources": [{"type": "application/vnd.ibm.kms.key+json", "name": "a key", "extractable": False}],
    }
    shown = {"type": sent["resources"][0]["type"], "id": KEY, "name": "a key", "state": 1, "extractable": False,
             "imported": False, "deleted": False}  # fmt: skip
    answer = Answer(201, body={"metadata": {"collectionTotal": 1}, "resources": [shown]})
    seen = observe(modelled.state, Operation("createKey", body=sent), modelled.now, answer)
    assert seen.mismatches == ()
    return seen.state


def test_each_operation_has_rules_and_a_walk() -> None:
    """The model and its walks know the operations of openapi.yaml, and no others."""
    document = yaml.safe_load((ROOT / "contracts/key_protect/openapi.yaml").read_text("utf-8"))
    names = {
        operation["operationId"]
        for item in document["paths"].values()
        for method, operation in item.items()
        if method in {"get", "put", "post", "patch", "delete", "head"}
    }
    assert set(OPERATIONS) == names == set(WEIGHTS)


def test_the_model_stands_alone() -> None:
    """The model imports the standard library and itself, and above all nothing of the reference."""
    for place in Path(model.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(place.read_text("utf-8"))):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            ours = [name for name in names if name.startswith(("kms_", "scenarios"))]
            assert all(name.startswith(model.__name__) for name in ours), place.name


def test_an_answer_names_what_the_service_chose(modelled: Any) -> None:
    """The id of a new key is taken from the answer, and is its first version's id too."""
    state = created(modelled)
    assert [key.id for key in state.keys] == [KEY]
    assert state.key(KEY).newest.id == KEY
    assert hash(state) == hash(created(modelled))
    assert state == created(modelled)


def test_a_refusal_changes_nothing(modelled: Any) -> None:
    """A refusal that is allowed leaves the state as it was; one that is not is a disagreement."""
    state = created(modelled)
    enable = Operation("enableKey", path=PATH)
    assert observe(state, enable, modelled.now, Answer(409, "KEY_ACTION_INVALID_STATE_ERR")).state == state
    assert observe(state, enable, modelled.now, Answer(409, "REQ_TOO_EARLY_ERR")).mismatches
    assert observe(state, enable, modelled.now, Answer(204)).mismatches


def test_a_new_version_is_named_by_the_next_answer(modelled: Any) -> None:
    """After a rotation the newest version is open until an answer names it; the older one is no answer."""
    rotated = observe(created(modelled), Operation("rotateKey", path=PATH), modelled.now, Answer(204)).state
    wrap = Operation("wrapKey", path=PATH, body={"plaintext": "AAAA"})
    old = Answer(200, body={"ciphertext": "x", "keyVersion": {"id": KEY}})
    new = Answer(200, body={"ciphertext": "x", "keyVersion": {"id": SECOND}})
    assert observe(rotated, wrap, modelled.now, old).mismatches
    seen = observe(rotated, wrap, modelled.now, new)
    assert seen.mismatches == ()
    assert [version.id for version in seen.state.key(KEY).versions] == [KEY, SECOND]


@pytest.mark.parametrize(
    ("ciphertext", "body", "good"),
    [
        (Ciphertext(KEY, KEY, "AAAA"), {"plaintext": "AAAA", "keyVersion": {"id": KEY}}, True),
        (Ciphertext(KEY, KEY, "AAAA"), {"plaintext": "BBBB", "keyVersion": {"id": KEY}}, False),
        (Ciphertext(KEY, KEY, "AAAA", ("a",)), {"plaintext": "AAAA", "keyVersion": {"id": KEY}}, False),
        (Ciphertext(KEY, KEY, "AAAA", intact=False), {"plaintext": "AAAA", "keyVersion": {"id": KEY}}, False),
        (Ciphertext(SECOND, SECOND, "AAAA"), {"plaintext": "AAAA", "keyVersion": {"id": SECOND}}, False),
    ],
)
def test_what_a_ciphertext_opens_to(
    modelled: Any, ciphertext: Ciphertext, body: dict[str, Any], *, good: bool
) -> None:
    """A ciphertext opens to its plaintext under its key and its data, and else not at all."""
    unwrap = Operation("unwrapKey", path=PATH, body={"ciphertext": "x"}, ciphertext=ciphertext)
    assert (observe(created(modelled), unwrap, modelled.now, Answer(200, body=body)).mismatches == ()) is good


def fits(state: Instance, history: list[tuple[Operation, Answer]], now: float) -> bool:
    """Whether the answers of requests that were asked at once fit some order of them."""
    for order in itertools.permutations(history):
        current = state
        for operation, answer in order:
            seen = observe(current, operation, now, answer)
            if seen.mismatches:
                break
            current = seen.state
        else:
            return True
    return False


def test_concurrent_requests_fit_an_order(modelled: Any) -> None:
    """Of two rotations at once one succeeds; a rotation does not undo a disabling that was answered at once."""
    state = created(modelled)
    rotate, disable = Operation("rotateKey", path=PATH), Operation("disableKey", path=PATH)
    refused = Answer(409, "KEY_ROTATION_NOT_PERMITTED")
    assert fits(state, [(rotate, Answer(204)), (rotate, refused)], modelled.now)
    assert not fits(state, [(rotate, Answer(204)), (rotate, Answer(204))], modelled.now)
    both = observe(
        observe(state, rotate, modelled.now, Answer(204)).state, disable, modelled.now, Answer(204)
    ).state
    shown = {"type": "application/vnd.ibm.kms.key+json", "id": KEY, "name": "a key", "extractable": False,
             "crn": f"crn:v1:key:{KEY}",
             "imported": False, "deleted": False, "creationDate": "2027-01-15T08:00:00Z",
             "keyVersion": {"id": SECOND}, "lastRotateDate": "2027-01-15T08:00:00Z"}  # fmt: skip
    look = Operation("getKeyMetadata", path=PATH)

    def seen(number: int) -> Answer:
        return Answer(
            200, body={"metadata": {"collectionTotal": 1}, "resources": [{**shown, "state": number}]}
        )

    assert observe(both, look, modelled.now, seen(2)).mismatches == ()
    assert observe(both, look, modelled.now, seen(1)).mismatches != ()


def test_a_walk_is_repeated_by_its_seed(modelled: Any) -> None:
    """The same seed in the same state asks the same."""
    state, walker = created(modelled), Walker()
    for name in WEIGHTS:
        one = choose(name, random.Random(3), state, walker, modelled.now)
        two = choose(name, random.Random(3), state, walker, modelled.now)
        assert one == two
