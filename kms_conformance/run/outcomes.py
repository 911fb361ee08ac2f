"""Why a case stops before its end, and the verdict that makes of it."""

from __future__ import annotations

from kms_conformance.contract.severity import Verdict


class CaseStopped(Exception):  # noqa: N818 - the root of reasons, not of errors
    """A case cannot or need not go on; ``verdict`` is its verdict then."""

    verdict: Verdict


class ConformanceFailure(CaseStopped, AssertionError):  # noqa: N818 - a verdict, not an error
    """The endpoint does not keep a promise."""

    verdict = Verdict.FAILED


class Inconclusive(CaseStopped):
    """A precondition did not hold, so the promise could not be put to the test."""

    verdict = Verdict.INCONCLUSIVE


class NotTested(CaseStopped):
    """The operator gave no identity, permission or time for this case; the text says what to add."""

    verdict = Verdict.NOT_TESTED


class Deferred(NotTested):
    """The case goes on in a later run; the text says when it is due."""


class NotApplicable(CaseStopped):
    """The target declares that it lacks the feature."""

    verdict = Verdict.NOT_APPLICABLE
