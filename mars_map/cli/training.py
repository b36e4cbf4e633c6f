"""The command that trains: the whole encoder from rasters, or more of it from a user's pairs."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from mars_map.errors import BuildError, QueryError
from mars_map.settings import MODEL_DIR

if TYPE_CHECKING:
    from mars_map.build.default import BarProgress

_WHOLE, _PAIRS = ("inputs", "work", "steps"), ("model", "epochs", "batch", "learning_rate")
_folder = click.Path(path_type=Path)


@click.command()
@click.option(
    "--inputs",
    type=_folder,
    metavar="DIR",
    envvar="MARS_MAP_INPUTS",
    help="Train from the rasters and catalogues in this folder (also MARS_MAP_INPUTS).",
)
@click.option(
    "--pairs",
    type=_folder,
    metavar="DIR",
    help="Fine-tune on the pairs.csv (image, caption, perhaps width_km) of this folder or zip.",
)
@click.option("--out", type=_folder, required=True, metavar="DIR", help="Model folder to write.")
@click.option(
    "--work",
    type=_folder,
    metavar="DIR",
    help="With --inputs: folder for windows (8 GB), checkpoint and learning curve.",
)
@click.option("--steps", type=click.IntRange(1), help="With --inputs: updates of the weights.")
@click.option(
    "--model",
    type=_folder,
    metavar="DIR",
    default=MODEL_DIR,
    help="With --pairs: the model to start from; the one that comes with mars_map if not given.",
)
@click.option(
    "--epochs",
    type=click.IntRange(1),
    help="With --pairs: how often each pair is shown; enough for 400 steps if not given.",
)
@click.option("--batch", type=click.IntRange(2), help="With --pairs: pairs a step (64).")
@click.option(
    "--learning-rate",
    type=click.FloatRange(0, 1, min_open=True),
    help="With --pairs: highest rate of the text head (0.001); the image tower's is 0.3 of it.",
)
@click.option(
    "--skip-bad",
    is_flag=True,
    help="With --pairs: leave out rows that cannot be used, and name them, instead of stopping.",
)
@click.option("--seed", type=click.IntRange(0), help="Of all that is drawn at random.")
@click.option(
    "--device",
    type=click.Choice(("auto", "cpu", "cuda")),
    default="auto",
    show_default=True,
    help="Where to calculate; auto takes a GPU where there is one.",
)
@click.option(
    "--threads", type=click.IntRange(1), help="Threads of the processor; all if not given."
)
@click.pass_context
def train(context: click.Context, **options: Any) -> None:
    """Train the encoder from rasters (--inputs), or fine-tune it on your own pairs (--pairs).

    The same command again goes on where it was cut short, or tells that all is done.
    """
    given = {name for name in options if _source(context, name) is not ParameterSource.DEFAULT}
    pairs = options["pairs"]
    if pairs is not None and _source(context, "inputs") is ParameterSource.ENVIRONMENT:
        given.discard("inputs")  # set for other commands
    if (pairs is None) == ("inputs" not in given):
        raise QueryError(
            "Give --inputs DIR to train from rasters, or --pairs DIR to fine-tune on your own "
            "pairs; not both."
        )
    wrong = given.intersection(_WHOLE if pairs is not None else (*_PAIRS, "skip_bad"))
    if wrong:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in sorted(wrong))
        mode, other = ("--pairs", "--inputs") if pairs is not None else ("--inputs", "--pairs")
        raise QueryError(f"{names} goes with {other}, not with {mode}; leave it out.")
    if pairs is None and options["work"] is None:
        raise QueryError("Name a folder for windows and checkpoint with --work DIR.")
    _use(options["device"], options["threads"])
    if pairs is not None:
        _fine_tune(options)
    else:
        _train_whole(options)


def _source(context: click.Context, name: str) -> ParameterSource | None:
    return context.get_parameter_source(name)


def _use(device: str, threads: int | None) -> None:
    """Choose where and on how many threads torch calculates, before it has calculated anything."""
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise BuildError("There is no GPU that torch can use here; train with --device cpu.")
    if threads:
        torch.set_num_threads(threads)


def _train_whole(options: dict[str, Any]) -> None:
    from dataclasses import replace

    from mars_map.build.inputs import Inputs
    from mars_map.training.curve import CURVE_FILE, write_curve
    from mars_map.training.loop import TrainingConfig
    from mars_map.training.run import MODEL_ID, train_default

    work, out = options["work"], options["out"]
    chosen = {name: options[name] for name in ("steps", "seed") if options[name] is not None}
    bar = _bar()

    def watch(state: dict[str, float]) -> None:
        bar.note(loss=f"{state['text_loss']:.3f}")
        write_curve(work, work / CURVE_FILE, f"Training of {MODEL_ID}")

    figures = train_default(
        Inputs(options["inputs"]),
        work,
        out,
        config=replace(TrainingConfig(), **chosen),
        progress=bar,
        watch=watch,
    )
    click.echo("Average precision on the test blocks, which training never saw:")
    rows = figures["test"]["landforms"] | {"mean": figures["test"]["mean"]}
    names = {"trained": "trained words", "unseen": "other words", "similar": "one tile"}
    names["base_rate"] = "chance"
    click.echo(
        _table(["", *names.values()], [[k, *(v[n] for n in names)] for k, v in rows.items()])
    )
    click.echo(f"model: {out}   learning curve: {work / CURVE_FILE}")
    click.echo(_next_step(out))


def _fine_tune(options: dict[str, Any]) -> None:
    from mars_map.training.curve import CURVE_FILE
    from mars_map.training.fine_tuner import FineTuneConfig
    from mars_map.training.finetune import fine_tune

    out = options["out"]
    names = ("epochs", "batch", "learning_rate", "seed")
    chosen = {name: options[name] for name in names if options[name] is not None}
    bar = _bar()
    figures = fine_tune(
        options["pairs"],
        out,
        base=options["model"],
        config=FineTuneConfig(**chosen),
        skip_bad=options["skip_bad"],
        progress=bar,
        watch=lambda state: bar.note(loss=f"{state['pair_loss']:.3f}"),
    )
    pairs, base = figures["pairs"], figures["based_on"]
    for row in pairs["left_out"]:
        click.echo(f"left out: {row}", err=True)
    click.echo(
        f"{pairs['name']}: {pairs['pairs']:,} pairs of {pairs['pictures']:,} pictures and "
        f"{pairs['captions']:,} captions"
        + (f", {len(pairs['left_out']):,} rows left out" if pairs["left_out"] else "")
    )
    click.echo(
        f"measured on {pairs['pictures_kept_out']:,} pictures kept out of the training, against "
        f"{base['id']} ({base['sha256'][:12]}):"
    )
    click.echo(_recall_table(figures))
    click.echo(f"model: {out}   learning curve: {out / CURVE_FILE}")
    click.echo(_next_step(out))


def _recall_table(figures: dict[str, Any]) -> str:
    rows = []
    sides = {"text_to_image": "caption to picture", "image_to_text": "picture to caption"}
    for side, title in sides.items():
        before, after = figures["before"][side], figures["after"][side]
        for key in ("recall_at_1", "recall_at_5", "recall_at_10"):
            name = f"{title}, recall@{key.rpartition('_')[2]}"
            values = before[key]["value"], after[key]["value"], after[key]["chance"]
            rows.append([name, *values])
    return _table(["", "before", "after", "chance"], rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return columns of shares from 0 to 1 under their names, the first column being names."""
    width = max(len(str(row[0])) for row in rows)
    columns = [max(len(name), 6) for name in head[1:]]
    lines = [["", *head[1:]], *([row[0], *(f"{v:.3f}" for v in row[1:])] for row in rows)]
    return "\n".join(
        f"{line[0]:<{width}}"
        + "".join(f"  {v:>{w}}" for v, w in zip(line[1:], columns, strict=True))
        for line in lines
    )


def _next_step(out: Path) -> str:
    return (
        f"Next: `mars-map build-default --model {out} --inputs INPUTS --out DATA` makes an index "
        'with it, and `MARS_MAP_DATA=DATA mars-map search "WORDS"` searches that.'
    )


def _bar() -> "BarProgress":
    from mars_map.build.default import BarProgress

    return BarProgress()
