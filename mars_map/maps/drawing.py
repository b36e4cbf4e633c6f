"""What is drawn over the map of a figure: outlines, region, graticule and scale bar."""

import itertools
from typing import TYPE_CHECKING

import numpy as np
import shapely
from numpy.typing import NDArray

from mars_map.maps.frames import (
    FlatFrame,
    Frame,
    PolarFrame,
    graticule_step,
    latitude_text,
    longitude_text,
)
from mars_map.planet.geometry import box_polygons
from mars_map.planet.sphere import METRES_PER_DEGREE
from mars_map.search import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MILLIMETRE = 1 / 25.4
"""In inches, matplotlib's unit of length."""
MAP_MM = 142.0
"""Greatest width of the map in a figure."""
SCALE_BAR_MM = 0.8
"""Height of the scale bar."""
LETTERS_PT = 7.0
"""Size of the letters on the map."""
OUTLINE = "#c2107c"
"""Colour of footprints: far from the greys below and from the blues to yellows of the heat map,
also in print and for colour-blind eyes."""
MAX_VECTOR_OUTLINES = 2_000
"""With more hits their outlines are a picture too, or the file would not open in an editor."""


def draw_outlines(axes: "Axes", frame: Frame, result: Result) -> None:
    """Draw the outlines of the hits; of very many as a picture."""
    from matplotlib.collections import LineCollection

    outlines = box_polygons(result.index.grid.bounds(result.hits))
    lines = [_projected(frame, outline.exterior) for outline in outlines]
    rasterized = len(lines) > MAX_VECTOR_OUTLINES
    axes.add_collection(
        LineCollection(
            lines, colors=OUTLINE, linewidths=_line_width(frame, result), gid="footprints",
            rasterized=rasterized, capstyle="projecting", joinstyle="miter",
        )
    )  # fmt: skip


def _line_width(frame: Frame, result: Result) -> float:
    """Return the width of outlines in points: a tenth of a tile's, between hairline and 0.8."""
    left, right, _, _ = frame.extent
    step = float(np.diff(result.index.grid.row_edges).mean())
    units = step if frame.unit == "degrees" else step * METRES_PER_DEGREE
    least = 0.25 if len(result.hits) <= MAX_VECTOR_OUTLINES else 0.1
    return float(np.clip(units / (right - left) * MAP_MM * 2.83 * 0.12, least, 0.8))


def draw_region(axes: "Axes", frame: Frame, result: Result) -> None:
    """Draw the border of the region that was searched, if there is one."""
    from matplotlib.collections import LineCollection

    region = result.query.region
    if region is None:
        return
    # The seam of a region that was cut at 180 degrees is no border of it.
    edges = [
        _projected(frame, shapely.LineString(edge))
        for ring in shapely.get_rings(region.geometry())
        for edge in itertools.pairwise(ring.coords)
        if not (abs(edge[0][0]) == 180.0 and edge[0][0] == edge[1][0])
    ]
    for colour, width in (("white", 1.6), ("black", 0.7)):
        axes.add_collection(
            LineCollection(edges, colors=colour, linewidths=width, capstyle="round")
        )


def _projected(frame: Frame, line: shapely.Geometry) -> NDArray[np.float64]:
    """Return a line of longitudes and latitudes in the frame's units, (n, 2)."""
    if isinstance(frame, FlatFrame):
        lon, lat = shapely.get_coordinates(line).T
        # The whole line is moved, so that none is torn apart at the frame's border.
        shift = frame.project(lon.mean(), 0.0)[0] - lon.mean()
        return np.column_stack([lon + shift, lat])
    lon, lat = shapely.get_coordinates(shapely.segmentize(line, 1.0)).T
    return np.column_stack(frame.project(lon, lat))


def draw_graticule(axes: "Axes", frame: Frame) -> None:
    """Draw meridians and parallels with their degrees, and the rim of a round map."""
    if isinstance(frame, PolarFrame):
        _draw_polar_graticule(axes, frame)
        return
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    left, right, bottom, top = frame.extent
    for axis, span, text in (
        (axes.xaxis, right - left, longitude_text),
        (axes.yaxis, top - bottom, latitude_text),
    ):
        axis.set_major_locator(MultipleLocator(graticule_step(span)))
        axis.set_major_formatter(FuncFormatter(lambda value, _place, text=text: text(value)))
    axes.grid(color="white", linewidth=0.3, alpha=0.6)
    axes.tick_params(labelsize=LETTERS_PT, length=2, width=0.5, pad=2)
    for spine in axes.spines.values():
        spine.set_linewidth(0.5)


def _draw_polar_graticule(axes: "Axes", frame: PolarFrame) -> None:
    from matplotlib.patches import Circle
    from matplotlib.patheffects import withStroke

    axes.set_axis_off()
    rim = Circle((0, 0), frame.radius, fill=False, linewidth=0.6, clip_on=False)
    axes.add_patch(rim)
    for artist in (*axes.images, *axes.collections, *axes.lines):
        artist.set_clip_path(rim)
    halo = [withStroke(linewidth=1.5, foreground="white")]
    line = {"color": "white", "linewidth": 0.3, "alpha": 0.6}
    step = graticule_step(2 * (90.0 - abs(frame.edge)))
    circle = np.linspace(-180.0, 180.0, 361)
    for size in np.arange(step, 90.0 - abs(frame.edge), step):
        lat = frame.sign * (90.0 - size)
        axes.plot(*frame.project(circle, np.full_like(circle, lat)), **line)
        x, y = frame.project(45.0, lat)
        axes.text(
            x, y, latitude_text(lat), fontsize=LETTERS_PT - 1, ha="center", va="center",
            path_effects=halo,
        )  # fmt: skip
    for lon in range(-180, 180, 30):
        axes.plot(*frame.project([lon, lon], [frame.edge, frame.sign * 90.0]), **line)
        x, y = np.array(frame.project(lon, frame.edge)).ravel() * 1.015
        across, up = x / frame.radius, y / frame.radius
        axes.text(
            x, y, longitude_text(lon), fontsize=LETTERS_PT,
            ha="left" if across > 0.3 else "right" if across < -0.3 else "center",
            va="bottom" if up > 0.9 else "top" if up < -0.9 else "center",
        )  # fmt: skip


def draw_scale_bar(axes: "Axes", frame: Frame) -> None:
    """Draw a bar of a round length, true at the middle latitude of the map."""
    from matplotlib.offsetbox import AnchoredOffsetbox, AuxTransformBox, TextArea, VPacker
    from matplotlib.patches import Rectangle

    left, right, bottom, top = frame.extent
    share = 0.14 if isinstance(frame, PolarFrame) else 0.22
    length_km = _round_length((right - left) * frame.metres_per_unit / 1000.0 * share)
    length = length_km * 1000.0 / frame.metres_per_unit
    bar = AuxTransformBox(axes.transData)
    paper_mm = axes.get_position().height * axes.figure.get_figheight() / MILLIMETRE
    thickness = (top - bottom) * SCALE_BAR_MM / paper_mm
    # Three parts in two colours can be measured and do not vanish on any ground.
    for part, colour in enumerate(("black", "white", "black")):
        corner = (left + part * length / 3, bottom)
        bar.add_artist(
            Rectangle(
                corner, length / 3, thickness, facecolor=colour, edgecolor="black",
                linewidth=0.4,
            )
        )  # fmt: skip
    words = f"{length_km:,.6g} km at {latitude_text(round(frame.middle_latitude, 1))}"
    label = TextArea(words, textprops={"fontsize": LETTERS_PT - 0.5})
    box = AnchoredOffsetbox(
        "lower left", child=VPacker(children=[label, bar], align="center", pad=0, sep=2),
        pad=0.5, borderpad=0.5, frameon=isinstance(frame, FlatFrame),
        # The corner of a round map is empty, and the labels of its rim are near.
        bbox_to_anchor=(-0.07, -0.03, 1, 1) if isinstance(frame, PolarFrame) else (0, 0, 1, 1),
        bbox_transform=axes.transAxes,
    )  # fmt: skip
    box.patch.set(facecolor="white", alpha=0.85, linewidth=0, boxstyle="round,pad=0.1")
    axes.add_artist(box)


def _round_length(kilometres: float) -> float:
    """Return the greatest of 1, 2, 3 or 5 times a power of ten that is not longer."""
    power = 10.0 ** np.floor(np.log10(kilometres))
    return max(n * power for n in (1, 2, 3, 5) if n * power <= kilometres)
