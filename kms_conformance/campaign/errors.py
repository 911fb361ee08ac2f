"""What can go wrong with a campaign before there is a verdict; see :mod:`kms_conformance.errors`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kms_conformance.errors import ExitCode, FileError, SuiteError


@dataclass(eq=False)
class CampaignFileError(FileError):
    """The campaign file cannot be read, or holds what it may not."""

    advice: str = "docs/campaigns.md has an example."
    says: ClassVar[str] = "The campaign file {path!r} cannot be used: {why}."
    advises: ClassVar[str] = "{advice}"


@dataclass(eq=False)
class CampaignResultsError(FileError):
    """The place of a campaign's results cannot be used."""

    advice: str = "give a folder, file://..., or s3://bucket/folder that you may write to."
    says: ClassVar[str] = "The results {path!r} cannot be used: {why}."
    advises: ClassVar[str] = "{advice}"


@dataclass(eq=False)
class SchedulerError(SuiteError):
    """The scheduler cannot be reached, or has gone away during a campaign."""

    address: str
    why: str
    exit_code: ClassVar[ExitCode] = ExitCode.UNREACHABLE
    says: ClassVar[str] = "The scheduler {address!r} cannot be used: {why}."
    advises: ClassVar[str] = "start it, and give the same command again: what is done is kept."
