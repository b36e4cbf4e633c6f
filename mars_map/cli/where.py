"""Options that say where to search: regions of every kind, and filters by covariates."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mars_map.errors import RegionError
from mars_map.planet.gazetteer import Gazetteer
from mars_map.planet.regions import Quadrangle, Region, named_circle, parse_box, parse_circle
from mars_map.search import Filter
from mars_map.search.parts import parse_filter
from mars_map.settings import GAZETTEER_FILE


def where_options(command: Callable) -> Callable:
    """Give a command the options that `chosen_region` and `chosen_filters` read."""
    options = [
        click.option(
            "--bbox", metavar="W,S,E,N",
            help="Only tiles in this box, degrees; west may lie east of east: it then crosses 180.",
        ),
        click.option("--circle", metavar="LON,LAT,KM", help="Only tiles within a distance."),
        click.option("--quadrangle", metavar="MC-01..MC-30", help="Only tiles in a quadrangle."),
        click.option(
            "--feature", metavar="NAME", help="Only tiles in the circle of a named feature.",
        ),
        click.option(
            "--area", type=click.Path(path_type=Path, dir_okay=False),
            help="Only tiles in the polygons of GeoJSON, a shapefile or a GeoPackage of Mars.",
        ),
        click.option(
            "--where", "filters", multiple=True, metavar="NAME:LOW..HIGH",
            help="Only tiles with such an elevation (m), slope (degrees), thermal_inertia, albedo "
            'or latitude: "elevation:-8200..-2000"; may be repeated.',
        ),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def chosen_region(options: dict[str, Any]) -> Region | None:
    """Return the region that was asked for. Raises RegionError, also for more than one."""
    readers: dict[str, Callable[[Any], Region]] = {
        "bbox": parse_box,
        "circle": parse_circle,
        "quadrangle": Quadrangle,
        "feature": _feature,
        "area": _area,
    }
    given = [name for name in readers if options[name]]
    if len(given) > 1:
        raise RegionError(f"Give one region only, not --{' and --'.join(given)} together.")
    return readers[given[0]](options[given[0]]) if given else None


def chosen_filters(options: dict[str, Any]) -> tuple[Filter, ...]:
    """Return the filters that were asked for. Raises QueryError."""
    return tuple(parse_filter(text) for text in options["filters"])


def _feature(name: str) -> Region:
    return named_circle(Gazetteer.load(GAZETTEER_FILE), name)


def _area(path: Path) -> Region:
    from mars_map.evaluation.areas import read_area

    area = read_area(path)
    # On standard error, so that what reads the answer from a pipe sees nothing of it.
    click.echo(f"mars-map: {area.note}", err=True)
    return area.region
