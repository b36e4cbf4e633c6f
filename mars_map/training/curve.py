"""The learning curve of a training as a picture, drawn from the tables that it keeps."""

from pathlib import Path
from typing import TYPE_CHECKING

from mars_map.errors import BuildError
from mars_map.files import whole_file
from mars_map.training.history import read_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOSSES_FILE = "losses.csv"
"""Means of the losses between two checkpoints, by step."""
VALIDATION_FILE = "validation.csv"
"""What was measured on tiles or pictures kept out of the training, by step."""
CURVE_FILE = "learning-curve.png"
"""The picture of both."""

_STYLES = (("#0072b2", "-"), ("#d55e00", "--"), ("#000000", ":"), ("#009e73", "-."))
"""Okabe and Ito's colours, told apart by every kind of colour vision, and dashes without any."""


def write_curve(folder: Path, target: Path, title: str) -> None:
    """Draw the tables of a folder as PNG. Raises BuildError where the disk does not take it."""
    try:
        with whole_file(target) as part:
            draw_curve(folder, title).savefig(part, format="png", dpi=120)
    except OSError as error:
        raise BuildError(f'"{target}" could not be written ({error.strerror}).') from error


def draw_curve(folder: Path, title: str) -> "Figure":
    """Return a figure of the losses, and of the validation where there is any, over the steps."""
    from matplotlib.figure import Figure

    losses, validation = (read_rows(folder / n) for n in (LOSSES_FILE, VALIDATION_FILE))
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    # A folder's name is no formula, whatever signs are in it.
    figure.suptitle(title, parse_math=False)
    left, right = figure.subplots(1, 2)
    _draw(left, losses, "Training", "loss, nats (lower is better)")
    _draw(right, validation, "Kept out of training", "share, 0 to 1 (higher is better)")
    left.set_yscale("log")  # losses of different kinds differ by an order of magnitude
    right.set_ylim(0, 1)
    return figure


def _draw(axes: "Axes", rows: list[dict[str, float]], title: str, measure: str) -> None:
    axes.set(title=title, xlabel="steps (updates of the weights)", ylabel=measure)
    axes.grid(color="0.9")
    if not rows:
        axes.text(0.5, 0.5, "nothing measured yet", ha="center", transform=axes.transAxes)
        return
    steps = [row["step"] for row in rows]
    names = [name for name in rows[-1] if name not in ("step", "steps", "rate")]
    for name, (colour, dashes) in zip(names, _STYLES, strict=False):
        values = [row.get(name, float("nan")) for row in rows]
        axes.plot(
            steps,
            values,
            dashes,
            color=colour,
            marker="o",
            markersize=3,
            label=f"{name.replace('_at_', ' at ').replace('_', ' ')}, now {values[-1]:.3f}",
        )
    axes.set_xlim(left=0)
    axes.legend(frameon=False)
