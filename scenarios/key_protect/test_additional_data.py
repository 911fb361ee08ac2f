"""Further cases on additional authenticated data: which data are the same, for unwrap and rewrap."""

import pytest

from kms_conformance.api import covers

REFUSED = "unwrap-wrong-aad-refused"


@pytest.mark.parametrize(
    ("wrapped", "given"),
    [
        (["ab", "c"], ["a", "bc"]),
        (["bucket"], ["bucket", "object"]),
        (["bucket", "object"], ["bucket"]),
        (["bucket", "object"], ["object"]),
        (["bucket", "bucket"], ["bucket"]),
        (["bucket"], ["Bucket"]),
        (None, ["bucket"]),
    ],
    ids=[
        "cut-elsewhere",
        "one-more",
        "first-only",
        "last-only",
        "once-for-twice",
        "other-case",
        "none-before",
    ],
)
@covers(REFUSED)
def test_unwrap_with_similar_aad(kms, wrapped, given):
    """Unwrap and rewrap are refused with additional data that differ slightly from those of wrap."""
    key = kms.create_root_key()
    ciphertext = kms.wrap(key, kms.key_material(), wrapped).succeeds(200)["ciphertext"]
    kms.unwrap(key, ciphertext, wrapped).succeeds(200)
    kms.rewrap(key, ciphertext, wrapped).succeeds(200)
    kms.unwrap(key, ciphertext, given).is_refused_somehow().lacks("plaintext")
    kms.rewrap(key, ciphertext, given).is_refused_somehow().lacks("ciphertext")


@covers(REFUSED, "wrap-aad-round-trip")
def test_every_octet_of_the_aad_counts(kms):
    """Of several strings each octet counts: blanks, letters beyond ASCII, what is far behind, the last of thirty, an empty one."""
    key, plaintext = kms.create_root_key(), kms.key_material()
    aad = [
        "bucket",
        " object",
        "gr\u00fcn",
        200 * "x",
        "fifth",
        *(f"{n} of many " + 220 * "y" for n in range(6, 31)),
    ]
    ciphertext = kms.wrap(key, plaintext, aad).succeeds(200)["ciphertext"]
    good = kms.unwrap(key, ciphertext, aad).succeeds(200, requirement="wrap-aad-round-trip")
    good.shows("plaintext", plaintext, requirement="wrap-aad-round-trip")
    # The second gr\u00fcn has its letter of two characters: it looks the same.
    changes = [(1, "object"), (2, "gr\u00f6n"), (2, "gru\u0308n"), (3, 199 * "x" + "y"), (29, "another")]
    changed_lists = [[*aad[:place], text, *aad[place + 1 :]] for place, text in changes]
    for given in (*changed_lists, [*aad, ""]):
        refused = kms.unwrap(key, ciphertext, given).is_refused_somehow(control=good, requirement=REFUSED)
        refused.lacks("plaintext", requirement=REFUSED)


@pytest.mark.parametrize("form", ["action", "old_action"])
@covers(REFUSED, "unwrap-missing-aad-refused", "aad-outlives-rotation")
def test_aad_after_rotation(kms, form):
    """After an imported key is rotated, unwrap and rewrap still need the additional data, in both path forms."""
    key, plaintext, aad, act = (
        kms.import_root_key(),
        kms.key_material(),
        ["bucket", "object"],
        getattr(kms, form),
    )
    older = kms.wrap(key, plaintext, aad).succeeds(200)["ciphertext"]
    kms.rotate(key, payload=kms.key_material()).succeeds(204)
    newer = act(key, "wrap", {"plaintext": plaintext, "aad": aad}).succeeds(200)["ciphertext"]
    opened = act(key, "unwrap", {"ciphertext": older, "aad": aad}).succeeds(200)
    moved = act(key, "rewrap", {"ciphertext": older, "aad": aad}).succeeds(200)
    again = act(key, "rewrap", {"ciphertext": moved["ciphertext"], "aad": aad}).succeeds(200)
    row = "aad-outlives-rotation"
    for ciphertext in (older, newer, opened["ciphertext"], moved["ciphertext"], again["ciphertext"]):
        good = act(key, "unwrap", {"ciphertext": ciphertext, "aad": aad}).succeeds(200, requirement=row)
        good.shows("plaintext", plaintext, requirement=row)
        for body in ({"ciphertext": ciphertext}, {"ciphertext": ciphertext, "aad": ["bucket", "other"]}):
            covered = REFUSED if "aad" in body else "unwrap-missing-aad-refused"
            without_aad = act(key, "unwrap", body).is_refused_somehow(control=good, requirement=covered)
            without_aad.lacks("plaintext", requirement=covered)


@pytest.mark.parametrize("form", ["action", "old_action"])
@covers("unwrap-other-key")
def test_ciphertext_of_another_used_key(kms, form):
    """An imported and rotated key neither unwraps nor rewraps a ciphertext of another key, in both path forms."""
    key, other, act = kms.import_root_key(), kms.create_root_key(), getattr(kms, form)
    kms.rotate(key, payload=kms.key_material()).succeeds(204)
    body = {"ciphertext": kms.wrap(other, kms.key_material()).succeeds(200)["ciphertext"]}
    for action, hidden in (("unwrap", "plaintext"), ("rewrap", "ciphertext")):
        control = act(other, action, body).succeeds(200)
        act(key, action, body).is_refused_somehow(control=control).lacks(hidden)
    mine = {"ciphertext": kms.wrap(key, kms.key_material()).succeeds(200)["ciphertext"]}
    control = act(key, "unwrap", mine).succeeds(200)
    act(other, "unwrap", mine).is_refused_somehow(control=control).lacks("plaintext")
