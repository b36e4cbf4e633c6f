"""The engine from a shell: `mars-map search "WORDS"` and its kin.

One module a family of commands; here they are mounted. The heavy imports stay inside the commands.
"""

import os
import sys
from typing import Any

import click

from mars_map.cli.analysing import why
from mars_map.cli.building import build_command, build_default
from mars_map.cli.evaluating import evaluate
from mars_map.cli.indexes import export_index, import_command, synthesize
from mars_map.cli.models import model_command
from mars_map.cli.pairs import pairs
from mars_map.cli.searching import info, search, similar, verify
from mars_map.cli.training import train
from mars_map.errors import MarsMapError


class _Sentences(click.Group):
    """A group whose errors are one sentence on stderr, with exit code 1."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except MarsMapError as error:
            click.echo(f"mars-map: {error}", err=True)
            context.exit(1)
        except BrokenPipeError:
            # `mars-map … | head` is no error; the reader has what it wanted.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            context.exit(0)
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            click.echo(f"mars-map: The output could not be written: {error.strerror}.", err=True)
            context.exit(1)


@click.group(cls=_Sentences, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mars_map")
def main() -> None:
    """Find landforms on Mars in plain words.

    Longitudes are degrees east (-180 to 180 or 0 to 360, also "137.8 E" or "42 W"), latitudes
    planetocentric.
    """


for _command in (
    search,
    similar,
    info,
    verify,
    why,
    build_command,
    build_default,
    evaluate,
    train,
    pairs,
    import_command,
    export_index,
    synthesize,
    model_command,
):
    main.add_command(_command)
