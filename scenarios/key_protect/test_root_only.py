"""Actions that only a root key takes: section 18."""

import pytest

from kms_conformance.api import covers, waits


@covers("key-root-req-err-disable", "key-root-req-err", "precedence-p16")
def test_disable_standard_key(kms):
    """A standard key cannot be disabled."""
    kms.disable(kms.create_root_key()).succeeds(204)
    key = kms.create_standard_key()
    kms.disable(key).is_refused(
        "KEY_ROOT_REQ_ERR",
        requirement=("key-root-req-err-disable", "key-root-req-err", "precedence-p16"),
    )
    kms.get_metadata(key).succeeds(200).shows("resources.0.state", 1)


@covers("key-root-req-err-enable")
@waits(31)
def test_enable_standard_key(kms):
    """A standard key cannot be enabled."""
    control = kms.create_root_key()
    kms.disable(control).succeeds(204)
    kms.wait(31, "30 seconds between disable and enable")
    kms.enable(control).succeeds(204)
    kms.enable(kms.create_standard_key()).is_refused("KEY_ROOT_REQ_ERR")


@covers("key-root-req-err-rotate")
def test_rotate_standard_key(kms):
    """A standard key cannot be rotated."""
    kms.rotate(kms.create_root_key()).succeeds(204)
    kms.rotate(kms.create_standard_key()).is_refused("KEY_ROOT_REQ_ERR")


@covers("key-root-req-err-wrap")
def test_wrap_with_standard_key(kms):
    """A standard key cannot wrap."""
    kms.wrap(kms.create_root_key(), kms.key_material()).succeeds(200)
    kms.wrap(kms.create_standard_key(), kms.key_material()).is_refused("KEY_ROOT_REQ_ERR").lacks("ciphertext")


@pytest.mark.parametrize(
    "action",
    [
        pytest.param("unwrap", marks=covers("key-root-req-err-unwrap")),
        pytest.param("rewrap", marks=covers("key-root-req-err-rewrap")),
    ],
)
def test_unwrap_with_standard_key(kms, action):
    """A standard key can neither unwrap nor rewrap."""
    root = kms.create_root_key()
    body = {"ciphertext": kms.wrap(root, kms.key_material()).succeeds(200)["ciphertext"]}
    kms.action(root, action, body).succeeds(200)
    kms.action(kms.create_standard_key(), action, body).is_refused("KEY_ROOT_REQ_ERR")
