"""What can go wrong before a verdict, one class per thing.

Step of a run -> error -> exit code::

    read the target          TargetFileError, UnknownTargetKeyError, BadValueError, MissingSecretError   2
    compare the identities   SameIdentityError                                                           2
    open the journal         JournalError                                                                2
    lock the instance        PrivateFolderError 2, InstanceBusyError 4
    reach the endpoint       UnreachableError, PreflightRefusedError, TokenRefusedError                  4
    find the systems         BrokenSystemError, DuplicateSystemError, UnknownSystemError                 2
    read the contract        ContractError                                                               5
    use an optional package  MissingExtraError                                                           2
    write a case             AuthorError                                                                 5

Each says one sentence with the offending value (never a secret) and carries a hint.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

# A word of a command line or a file that may be a secret in the wrong place: long, letters and digits mixed.
_SECRET_WORD = 14
_SECRET_LINE = 32
_WORD = re.compile(r"[\w+=~%-]+")
_RUN = re.compile(r"[^\W_]+")
# Also a UUID that was mistyped: its reader wants to see it.
_UUID = re.compile(r"[0-9a-zA-Z]{7,9}(?:-[0-9a-zA-Z]{3,5}){3}-[0-9a-zA-Z]{11,13}")
_ELLIPSIS = "…"
_DIGITS = frozenset("0123456789")


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Return the known name that is nearest to a wrong one; ``""`` where none is near."""
    return next(iter(difflib.get_close_matches(name, known, n=1)), "")


def veiled(text: str) -> str:
    """Return what a user typed without the words that may be a secret in the wrong place.

    No such secret is known yet, so this goes by looks: long, letters and digits mixed. Names, paths, addresses and
    UUIDs are shown.
    """
    return _WORD.sub(lambda match: _ELLIPSIS if _may_be_secret(match[0]) else match[0], text)


def _may_be_secret(word: str) -> bool:
    if len(word) < _SECRET_WORD or _UUID.fullmatch(word):
        return False
    has_digit = not _DIGITS.isdisjoint(word)
    letters = [run for run in _RUN.findall(word) if not run.isdigit()]
    is_mixed = any(len(run) >= _SECRET_WORD and run.upper() != run != run.lower() for run in letters)
    has_long_run = any(len(run) >= _SECRET_WORD and not _DIGITS.isdisjoint(run) for run in letters)
    return is_mixed or has_long_run or (has_digit and len(word) >= _SECRET_LINE)


class ExitCode(IntEnum):
    """What ``kms-conformance run`` returns to the shell, ``judge`` where a record is not what it says, and ``compare``."""

    CONFORMANT = 0
    NON_CONFORMANT = 1
    USAGE = 2
    NOT_VERIFIED = 3
    UNREACHABLE = 4
    SUITE_ERROR = 5
    NOT_AS_RECORDED = 6
    DIFFERENT = 16


class SuiteError(Exception):
    """The root of every error that a user is meant to read.

    A field is written once. (A frozen dataclass would also refuse the traceback
    that Python itself stores on an exception.)
    """

    exit_code: ClassVar[ExitCode] = ExitCode.SUITE_ERROR
    says: ClassVar[str]
    advises: ClassVar[str]

    def __setattr__(self, name: str, value: object) -> None:
        """Accept each field once, and whatever Python itself stores."""
        if not name.startswith("__") and name in self.__dict__:
            raise AttributeError(f"{type(self).__name__}.{name} is already set")
        super().__setattr__(name, value)

    @property
    def sentence(self) -> str:
        """What is wrong, with the offending value."""
        return self.says.format(**self._shown())

    @property
    def hint(self) -> str:
        """What to do about it."""
        return self.advises.format(**self._shown())

    def _shown(self) -> dict[str, object]:
        """Return the fields without what may be a secret that was given in the wrong place."""
        return {
            name: veiled(value) if isinstance(value, str) else value for name, value in self.__dict__.items()
        }

    def __str__(self) -> str:
        """Give the sentence and, on a line of its own, the hint."""
        return f"{self.sentence}\n  hint: {self.hint}"


@dataclass(eq=False)
class FileError(SuiteError):
    """A file or folder that the user named cannot be used: which one, and why."""

    path: str
    why: str
    exit_code: ClassVar[ExitCode] = ExitCode.USAGE


@dataclass(eq=False)
class MissingExtraError(SuiteError):
    """Something was asked for that an optional package does."""

    what: str
    package: str
    extra: str
    exit_code: ClassVar[ExitCode] = ExitCode.USAGE
    says: ClassVar[str] = "{what!r} needs the package {package!r}, which is not installed."
    advises: ClassVar[str] = "install it: python -m pip install 'kms-conformance[{extra}]'."


class TargetFileError(FileError):
    """The target file cannot be read or is not TOML."""

    says: ClassVar[str] = "The target file {path!r} cannot be used: {why}."
    advises: ClassVar[str] = "`kms-conformance serve --write-target target.toml` writes a complete example."


@dataclass(eq=False)
class UnknownTargetKeyError(SuiteError):
    """The target file holds a key that the suite does not know."""

    path: str
    key: str
    advice: str
    exit_code: ClassVar[ExitCode] = ExitCode.USAGE
    says: ClassVar[str] = "The target file {path!r} has an unknown key {key!r}."
    advises: ClassVar[str] = "{advice}"


@dataclass(eq=False)
class BadValueError(SuiteError):
    """A value of the target, of a flag or of the environment has the wrong form."""

    name: str
    value: str
    why: str
    advice: str
    exit_code: ClassVar[ExitCode] = ExitCode.USAGE
    says: ClassVar[str] = "{name} is {value!r}: {why}."
    advises: ClassVar[str] = "{advice}"


@dataclass(eq=False)
class MissingSecretError(SuiteError):
    """An identity has no usable token or API key."""

    identity: str
    why: str
    exit_code: ClassVar[ExitCode] = ExitCode.USAGE
    says: ClassVar[str] = "The identity {identity!r} has no token: {why}."
    advises: ClassVar[str] = (
        "give [identities.{identity}] an api_key_env, token_env, api_key_file or token_file, "
        "or use --token or --api-key (KMS_TOKEN, KMS_API_KEY)."
    )


@dataclass(eq=False)
class SameIdentityError(SuiteError):
    """Two identities that have to be different are one person."""

    one: str
    other: str
    why: str
    exit_code: ClassVar[ExitCode] = ExitCode.USAGE
    says: ClassVar[str] = "The identities {one!r} and {other!r} are one person: they have {why}."
    advises: ClassVar[str] = (
        "give [identities.{other}] the secret of somebody else, or leave it out: its cases are then not tested."
    )


@dataclass(eq=False)
class MissingTargetError(SuiteError):
    """A command that works on an endpoint was given none."""

    command: str
    exit_code: ClassVar[ExitCode] = ExitCode.USAGE
    says: ClassVar[str] = "The command {command!r} needs an endpoint, but none is named."
    advises: ClassVar[str] = "add --target FILE, or --base-url and what belongs to it."


@dataclass(eq=False)
class JournalError(FileError):
    """The journal cannot be opened or written: without it nothing may be created."""

    advice: str = "give --journal a file that you may write to, on a disk with room."
    says: ClassVar[str] = "The journal {path!r} cannot be used: {why}."
    advises: ClassVar[str] = "{advice}"


class PrivateFolderError(FileError):
    """The folder for locks does not belong to this user: another writer there could block every run."""

    says: ClassVar[str] = "The folder for locks {path!r} cannot be used: {why}."
    advises: ClassVar[str] = "remove it, or name another folder for temporary files by TMPDIR=DIR."


@dataclass(eq=False)
class InstanceBusyError(SuiteError):
    """Another run has held the instance for longer than anybody waits."""

    thing: str
    seconds: float
    exit_code: ClassVar[ExitCode] = ExitCode.UNREACHABLE
    says: ClassVar[str] = "The {thing} was not free within {seconds:g} s: another run holds it."
    advises: ClassVar[str] = "end the other run, or wait for it."


@dataclass(eq=False)
class UnreachableError(SuiteError):
    """Nothing answers at the target's address, or too late, or without the protection that TLS should give."""

    url: str
    why: str
    exit_code: ClassVar[ExitCode] = ExitCode.UNREACHABLE
    says: ClassVar[str] = "The endpoint {url} cannot be judged: {why}."
    advises: ClassVar[str] = "check base_url, the network between here and there, and that the server is up."

    @property
    def hint(self) -> str:
        """What to do about it: TLS fails for other reasons than networks do."""
        if "SSL:" not in self.why:
            return super().hint
        return "check scheme, host and port; name a certificate authority of your own by SSL_CERT_FILE=FILE."


@dataclass(eq=False)
class PreflightRefusedError(SuiteError):
    """Something answers, but it does not speak the API or does not let us in."""

    url: str
    why: str
    advice: str
    exit_code: ClassVar[ExitCode] = ExitCode.UNREACHABLE
    says: ClassVar[str] = "The endpoint {url} cannot be judged: {why}."
    advises: ClassVar[str] = "{advice}"


@dataclass(eq=False)
class TokenRefusedError(SuiteError):
    """The token issuer did not give a token for an identity's API key."""

    identity: str
    url: str
    why: str
    exit_code: ClassVar[ExitCode] = ExitCode.UNREACHABLE
    says: ClassVar[str] = "The token issuer {url} gave no token for the identity {identity!r}: {why}."
    advises: ClassVar[str] = "check [iam] url, and that the API key belongs to this issuer and is not locked."


class ContractError(FileError):
    """A contract file is missing or contradicts itself."""

    exit_code: ClassVar[ExitCode] = ExitCode.SUITE_ERROR
    says: ClassVar[str] = "The contract file {path!r} cannot be used: {why}."
    advises: ClassVar[str] = "the installation may be damaged; `make test` checks every contract file."


@dataclass(eq=False)
class UnknownSystemError(SuiteError):
    """No installed distribution registers a system of this id."""

    system: str
    advice: str
    exit_code: ClassVar[ExitCode] = ExitCode.USAGE
    says: ClassVar[str] = "contract is {system!r}: there is no such contract."
    advises: ClassVar[str] = "{advice}"


@dataclass(eq=False)
class BrokenSystemError(SuiteError):
    """A distribution registers a system that cannot be used."""

    system: str
    distribution: str
    why: str
    exit_code: ClassVar[ExitCode] = ExitCode.USAGE
    says: ClassVar[str] = "The system {system!r} of the package {distribution!r} cannot be used: {why}."
    advises: ClassVar[str] = "mend or uninstall {distribution}; docs/add-a-system.md tells what it must hold."


@dataclass(eq=False)
class DuplicateSystemError(SuiteError):
    """Two distributions register a system under the same id."""

    system: str
    first: str
    second: str
    exit_code: ClassVar[ExitCode] = ExitCode.USAGE
    says: ClassVar[str] = "The system {system!r} is registered twice, by {first!r} and by {second!r}."
    advises: ClassVar[str] = "uninstall one of the two packages."


@dataclass(eq=False)
class AuthorError(SuiteError):
    """A case breaks a rule of authorship: the suite is at fault, not the endpoint."""

    case: str
    why: str
    says: ClassVar[str] = "The case {case} is not well written: {why}."
    advises: ClassVar[str] = "docs/author.md tells how a case is built."


class RecordError(FileError):
    """A report directory does not hold a run that this suite can judge again."""

    says: ClassVar[str] = "The run in {path!r} cannot be judged again: {why}."
    advises: ClassVar[str] = (
        "give a report directory with results.json and transcript.har, unchanged, of this version of the suite."
    )


class StoredRunError(RecordError):
    """A report directory does not hold a run that can be compared with others."""

    says: ClassVar[str] = "The run in {path!r} cannot be compared: {why}."
    advises: ClassVar[str] = "give a report directory that this version of the suite has written."


class ReportDirError(FileError):
    """The report directory cannot be made or written to."""

    says: ClassVar[str] = "The report directory {path!r} cannot be used: {why}."
    advises: ClassVar[str] = "give --report-dir a directory that you may write to, on a disk with room."


class BaselineError(FileError):
    """The baseline file cannot be used."""

    says: ClassVar[str] = "The baseline {path!r} cannot be used: {why}."
    advises: ClassVar[str] = "`kms-conformance run --write-baseline` prints entries ready to paste."


class TranscriptError(FileError):
    """A file is not a transcript of this suite."""

    says: ClassVar[str] = "The transcript {path!r} cannot be read: {why}."
    advises: ClassVar[str] = "give the transcript.har that a run of this suite has written, unchanged."


@dataclass(eq=False)
class KeyFileError(FileError):
    """A file holds no key that can sign, or check, a bundle."""

    advice: str
    says: ClassVar[str] = "The key {path!r} cannot be used: {why}."
    advises: ClassVar[str] = "{advice}"


class BundleError(FileError):
    """A bundle is not one, was changed, or would do harm when it is unpacked."""

    exit_code: ClassVar[ExitCode] = ExitCode.NOT_AS_RECORDED
    says: ClassVar[str] = "The bundle {path!r} is refused: {why}."
    advises: ClassVar[str] = (
        "ask its sender for the bundle.zip as `kms-conformance run --sign` has written it."
    )
