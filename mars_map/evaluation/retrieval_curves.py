"""Pictures of the evaluations of landform retrieval and of paired retrieval."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mars_map.errors import ExportError
from mars_map.evaluation.landform_report import LandformReport
from mars_map.evaluation.pairs import PairReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DIRECTIONS = (
    ("image_to_text", "picture to caption", "#bc4b00"),
    ("text_to_image", "caption to picture", "#0a5c8c"),
)
"""Told apart by every kind of colour vision, and by brightness."""


def write_retrieval_curves(report: LandformReport | PairReport, path: str | Path) -> None:
    """Write the curves of a report as PNG. Raises ExportError where that cannot be done."""
    draw = draw_landforms if isinstance(report, LandformReport) else draw_pairs
    try:
        draw(report).savefig(path, format="png", dpi=150)
    except OSError as error:
        raise ExportError(f'"{path}" could not be written: {error.strerror}.') from error


def draw_landforms(report: LandformReport) -> "Figure":
    """Return precision over recall for each class; dotted, the precision of a random order."""
    from matplotlib.figure import Figure

    asked = [c for c in report.classes if c.curve is not None]
    columns = min(len(asked), 4)
    rows = -(-len(asked) // max(columns, 1))
    figure = Figure(figsize=(3.2 * max(columns, 2), 3.0 * max(rows, 1) + 0.6), layout="constrained")
    # Somebody's words are no formula, whatever signs are in them.
    figure.suptitle(f"{report.data}, asked by {report.by}: {report.model_id}", parse_math=False)
    panels = figure.subplots(max(rows, 1), max(columns, 1), squeeze=False).ravel()
    for panel in panels:
        panel.set_visible(False)
    for panel, c in zip(panels, asked, strict=False):
        panel.set_visible(True)
        estimate = c.by_picture["map"]
        panel.plot(c.curve.recall, c.curve.precision, color=_DIRECTIONS[1][2])
        panel.axhline(c.by_picture["r_precision"].chance, color="0.35", linestyle=":")
        panel.set_title(
            f"{c.label}: mAP {estimate.value:.3f}, chance {estimate.chance:.3f}",
            fontsize="small",
            parse_math=False,
        )
        panel.set(xlim=(0, 1), xlabel="recall", ylabel="precision")
        panel.set_ylim(bottom=0)
    return figure


def draw_pairs(report: PairReport) -> "Figure":
    """Return recall over rank both ways; dotted, what a random order reaches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.6), layout="constrained")
    figure.suptitle(f"{report.data}: {report.model_id}", parse_math=False)
    axes = figure.subplots()
    for name, label, colour in _DIRECTIONS:
        direction = getattr(report, name)
        depth = np.unique(np.geomspace(1, direction.n_candidates, 200).round().astype(np.int64))
        axes.plot(depth, direction.recall(depth), color=colour, label=label)
        axes.plot(depth, direction.chance_recall(depth), color=colour, linestyle=":")
    axes.set(xscale="log", xlabel="k", ylabel="recall@k (dotted: chance)", ylim=(0, 1))
    axes.legend(frameon=False)
    return figure
