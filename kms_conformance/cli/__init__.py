"""The command line. Each command is a module of its own, imported when it is called."""

from __future__ import annotations

import io
import os
import sys
import traceback
from importlib import import_module
from typing import Any

import click

from kms_conformance import __version__
from kms_conformance.cli.lasting_output import LastingOutput
from kms_conformance.errors import ExitCode, SuiteError, veiled

_COMMANDS = {
    "run": "Judge an endpoint; without a target, the embedded reference.",
    "merge": "Make one run of the reports of shards.",
    "campaign": "Judge many endpoints, on this machine or on many.",
    "corpus": "Make a corpus of fuzz requests, or look at one.",
    "doctor": "Say what stands in the way of a run, and what to do about it.",
    "serve": "Serve the embedded reference.",
    "sweep": "Remove what killed runs have left behind.",
    "judge": "Judge a stored run again, from its transcript.",
    "keygen": "Make a key pair that signs bundles.",
    "verify": "Check a signed bundle offline.",
    "compare": "Compare two runs.",
    "table": "Write a page of verified bundles: products by sections.",
    "trend": "Write a page of many runs: what has changed from night to night.",
    "explain": "Explain a reason code, a section of the page or a row.",
}


class _Commands(click.Group):
    """Finds a command's module by name, so that start-up pays for one command only."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"kms_conformance.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_Commands)
@click.version_option(__version__, prog_name="kms-conformance")
def commands() -> None:
    """Contract and conformance tests for KMS endpoints."""


def main() -> None:
    """Run the command line; what a user can get wrong ends in one sentence, a hint and an exit code."""
    code: Any = ExitCode.CONFORMANT
    with LastingOutput() as output:
        try:
            _run_command()
        except SystemExit as end:
            code = end.code
    if output.lost and not code:
        click.echo(
            f"error: The output cannot be written: {output.lost}.\nhint: make room where it goes.", err=True
        )
        code = ExitCode.USAGE
    sys.exit(code)


def _run_command() -> None:
    try:
        # Click's own ending would turn Ctrl-C into exit code 1, which says "non-conformant".
        commands(prog_name="kms-conformance", standalone_mode=False)
    except SuiteError as error:
        click.echo(f"error: {error.sentence}\nhint: {error.hint}", err=True)
        sys.exit(getattr(error, "code", error.exit_code))
    except click.ClickException as error:
        message = io.StringIO()
        error.show(message)
        click.echo(veiled(message.getvalue()), nl=False, err=True)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("error: stopped by hand before there was a verdict.", err=True)
        sys.exit(ExitCode.NOT_VERIFIED)
    except Exception as error:  # noqa: BLE001 - Python's own ending would be exit code 1, which says "non-conformant"
        # Where it happened, and not what it says: that may quote anything.
        if os.environ.get("KMS_TRACEBACK"):
            click.echo("".join(traceback.format_tb(error.__traceback__)), nl=False, err=True)
        last = traceback.extract_tb(error.__traceback__)[-1]
        click.echo(
            f"error: the suite itself is at fault: {type(error).__name__} in {last.filename}, line {last.lineno}.\n"
            "hint: please report it with the command; KMS_TRACEBACK=1 shows how it came about.",
            err=True,
        )
        sys.exit(ExitCode.SUITE_ERROR)
