"""The picture of an evaluation: precision over recall, and F1 over K, by both protocols."""

from pathlib import Path
from typing import TYPE_CHECKING

from mars_map.errors import ExportError
from mars_map.evaluation.geolocalization import GeoLocalization

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = {"legacy": "#bc4b00", "corrected": "#0a5c8c"}
"""Told apart by every kind of colour vision, and by brightness."""


def write_curves(outcome: GeoLocalization, path: str | Path, title: str) -> None:
    """Write the curves as PNG. Raises ExportError where the file cannot be written."""
    try:
        draw_curves(outcome, title).savefig(path, format="png", dpi=150)
    except OSError as error:
        raise ExportError(f'"{path}" could not be written: {error.strerror}.') from error


def draw_curves(outcome: GeoLocalization, title: str) -> "Figure":
    """Return a figure of two panels; the dotted line is the precision of a random ranking."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.6), layout="constrained")
    # Somebody's words are no formula, whatever signs are in them.
    figure.suptitle(title, parse_math=False)
    over_recall, over_k = figure.subplots(1, 2)
    _draw_precision(over_recall, outcome)
    _draw_f1(over_k, outcome)
    return figure


def _draw_precision(axes: "Axes", outcome: GeoLocalization) -> None:
    for name, colour in _COLOURS.items():
        curve = getattr(outcome, name)
        label = f"{name}, area {curve.auprc:.3f}"
        axes.plot(curve.recall, curve.precision, color=colour, label=label)
    label = f"chance, area {outcome.chance_auprc:.3f}"
    axes.axhline(outcome.base_rate, color="0.35", linestyle=":", label=label)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1))
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)


def _draw_f1(axes: "Axes", outcome: GeoLocalization) -> None:
    for name, colour in _COLOURS.items():
        curve = getattr(outcome, name)
        best = curve.best
        label = f"{name}, {best.f1:.3f} at K = {best.k:,}"
        axes.plot(curve.k, curve.f1, color=colour, label=label)
        axes.plot(best.k, best.f1, "o", color=colour)
    axes.set(xscale="log", xlabel="K, number of best tiles", ylabel="F1")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, loc="upper left")
