"""``kms-conformance serve``: the embedded reference for one's own experiments."""

from __future__ import annotations

from pathlib import Path

import click

from kms_conformance.errors import BadValueError
from kms_reference import target as target_file
from kms_reference.defects import ALL_DEFECTS
from kms_reference.errors import DataFileError, SeedFileError, ServerError
from kms_reference.server import Server, serve_forever
from kms_reference.switches import UnknownSwitchError
from kms_reference.variations import VARIATIONS


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 takes a free one."
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep the state in this file (default: memory).",
)
@click.option(
    "--seed-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Begin with the keys of this file (docs/emulator.md).",
)
@click.option(
    "--clock",
    type=click.Choice(["virtual", "real"]),
    default="virtual",
    show_default=True,
    help="Whether the control protocol may move the clock.",
)
@click.option(
    "--edition",
    type=click.Choice(["page", "service"]),
    default="page",
    show_default=True,
    help="As documented, or as observed since.",
)
@click.option(
    "--defect", "defects", multiple=True, metavar="NAME", help="Break it in a named way (repeatable)."
)
@click.option(
    "--variation", "variations", multiple=True, metavar="NAME", help="Differ in a legal way (repeatable)."
)
@click.option(
    "--write-target",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write a target file once requests are accepted.",
)
@click.option("--list", "listing", is_flag=True, help="List the defects and variations, and end.")
def command(
    host: str,
    port: int,
    data: Path | None,
    seed_file: Path | None,
    clock: str,
    edition: str,
    defects: tuple[str, ...],
    variations: tuple[str, ...],
    write_target: Path | None,
    *,
    listing: bool,
) -> None:
    """Serve the embedded reference until Ctrl-C. Its keys are worth nothing: store nothing real in it."""
    if listing:
        for kind, switches in (("defect", ALL_DEFECTS), ("variation", VARIATIONS)):
            for name, entry in switches.items():
                click.echo(f"{kind:9}  {name:45}  {entry.doc}")
        return

    def ready(server: Server) -> None:
        if write_target is not None:
            target_file.write_target(write_target, server)
        click.echo(
            f"Serving the reference at {server.base_url} (edition {edition}, {clock} clock). Ctrl-C ends it."
        )

    try:
        serve_forever(
            host,
            port,
            data=data,
            clock=clock,  # type: ignore[arg-type]  # click has checked the choice
            edition=edition,
            defects=defects,
            variations=variations,
            seed=seed_file,
            on_ready=ready,
        )
    except UnknownSwitchError as error:
        raise BadValueError(
            f"--{error.kind}", error.name, "the reference knows no such name", error.hint
        ) from None
    except ServerError as error:
        raise _refused(error, data=data, seed_file=seed_file, port=port) from None
    except OSError as error:
        raise BadValueError(
            "--write-target",
            str(write_target),
            error.strerror or "it cannot be written",
            "choose another file.",
        ) from None


def _refused(error: ServerError, *, data: Path | None, seed_file: Path | None, port: int) -> BadValueError:
    """Return why the server cannot be started as asked, by the option that it is about."""
    if isinstance(error, DataFileError):
        advice = "give a new file or one that `serve` wrote, and end the `serve` that still has it open."
        return BadValueError("--data", str(data), str(error), advice)
    if isinstance(error, SeedFileError):
        return BadValueError("--seed-file", str(seed_file), str(error), "docs/emulator.md has an example.")
    return BadValueError("--port", str(port), str(error), "choose another port, or 0 for a free one.")
