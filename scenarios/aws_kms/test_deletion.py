"""Deletion: scheduled, and cancelled."""

import pytest

from kms_conformance.api import covers, impact

pytestmark = impact("keys")


@covers("schedule-reply", "schedule-disables")
def test_schedule(aws):
    """Deletion is scheduled, and the key shows it."""
    key = aws.key()
    made = aws.schedule(key).succeeds(200).shows("KeyId", aws.arn(key)).shows("DeletionDate")
    made.shows("KeyState", "PendingDeletion").shows("PendingWindowInDays", 7)
    shown = aws.state(key, "PendingDeletion", "schedule-disables").proof
    shown.shows("KeyMetadata.Enabled", value=False, requirement="schedule-disables")
    shown.shows("KeyMetadata.DeletionDate", made["DeletionDate"], requirement="schedule-disables")


@covers("schedule-default")
def test_default_window(aws):
    """Without a number of days the key waits for 30."""
    answer = aws.call("ScheduleKeyDeletion", KeyId=aws.key()).succeeds(200)
    answer.shows("PendingWindowInDays", 30)


@covers("window-bounds")
@pytest.mark.parametrize("days", [7, 8, 29, 30])
def test_window_within_the_bounds(aws, days):
    """A key waits for 7 to 30 days, as was asked."""
    aws.schedule(aws.key(), PendingWindowInDays=days).succeeds(200).agrees("PendingWindowInDays", days)


@covers("window")
@pytest.mark.parametrize("days", [0, 1, 6, 31, 365])
def test_window_outside_the_bounds(aws, days):
    """A number of days outside 7 to 30 schedules nothing."""
    aws.schedule(aws.key(), PendingWindowInDays=30).succeeds(200)
    key = aws.key()
    aws.schedule(key, PendingWindowInDays=days).is_refused("ValidationException")
    aws.state(key, "Enabled")


@covers("cancel-disables")
def test_cancel(aws):
    """A key that was saved from deletion is disabled and has no date of deletion."""
    key = aws.key()
    aws.schedule(key).needed(200)
    aws.call("CancelKeyDeletion", KeyId=key).succeeds(200)
    shown = aws.state(key, "Disabled").proof.lacks("KeyMetadata.DeletionDate")
    shown.shows("KeyMetadata.Enabled", value=False)


@covers("cancel-keeps-material")
def test_cancel_and_enable(aws):
    """A key that was saved from deletion and enabled decrypts what it encrypted before."""
    key, plain = aws.key(), aws.plaintext()
    sealed = aws.ciphertext(key, plain)
    aws.schedule(key).needed(200)
    aws.call("CancelKeyDeletion", KeyId=key).succeeds(200)
    aws.call("EnableKey", KeyId=key).succeeds(200)
    aws.decrypt(sealed).succeeds(200).proof.shows("Plaintext", plain)


@covers("cancel-none")
@pytest.mark.parametrize("state", ["Enabled", "Disabled"])
def test_cancel_nothing(aws, state):
    """Deletion that was not scheduled is not cancelled, and the key's state stays."""
    scheduled, key = aws.key(), aws.key()
    aws.schedule(scheduled).needed(200)
    aws.call("CancelKeyDeletion", KeyId=scheduled).succeeds(200)
    if state == "Disabled":
        aws.call("DisableKey", KeyId=key).needed(200)
    aws.call("CancelKeyDeletion", KeyId=key).is_refused("KMSInvalidStateException")
    aws.state(key, state)
