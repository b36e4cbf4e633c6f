"""The elevation along a line that somebody draws over the planet."""

import csv
import io

from starlette.requests import Request
from starlette.responses import Response

from mars_map.errors import CoordinateError
from mars_map.planet.paths import sample_path
from mars_map.web.replies import json_reply
from mars_map.web.service import service

DEFAULT_SAMPLES = 256
MAX_SAMPLES = 4_096
MAX_CORNERS = 1_000


def profile(request: Request) -> Response:
    """Answer `/mars/profile?line=LON,LAT;LON,LAT&n=` with elevations along great circles.

    `distance_km`, `lon`, `lat` and `elevation_m` have a value for each of the n samples, and
    `length_km` is the whole way. With `format=csv` the same as a table to save.
    """
    given = request.query_params
    samples = sample_path(parse_line(given.get("line", "")), _count(given.get("n", "")))
    elevation = service().basemaps.elevation_of(samples.lon, samples.lat)
    columns = {
        "distance_km": (samples.distance_m / 1000.0).round(3).tolist(),
        "lon": samples.lon.round(5).tolist(),
        "lat": samples.lat.round(5).tolist(),
        "elevation_m": elevation.astype(float).round(1).tolist(),
    }
    if given.get("format") == "csv":
        return _table(columns)
    return json_reply({"length_km": columns["distance_km"][-1]} | columns)


def parse_line(text: str) -> list[tuple[float, float]]:
    """Read corners "LON,LAT;LON,LAT;..." in degrees. Raises CoordinateError."""
    corners = [corner for corner in text.split(";") if corner.strip()]
    if len(corners) > MAX_CORNERS:
        raise CoordinateError(
            f"The line has {len(corners):,} corners; {MAX_CORNERS:,} are the most."
        )
    try:
        return [(float(lon), float(lat)) for lon, lat in (c.split(",") for c in corners)]
    except ValueError as error:
        raise CoordinateError(
            "The line cannot be read; write its corners as LON,LAT;LON,LAT, such as -75,-5;-65,-20."
        ) from error


def _count(text: str) -> int:
    if not text:
        return DEFAULT_SAMPLES
    if not (text.isascii() and text.isdigit() and 2 <= int(text[:9]) <= MAX_SAMPLES):
        raise CoordinateError(
            f'"{text[:20]}" is not a number of samples; use 2 to {MAX_SAMPLES:,}.'
        )
    return int(text)


def _table(columns: dict[str, list[float]]) -> Response:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    headers = {"Content-Disposition": 'attachment; filename="mars_profile.csv"'}
    return Response(file.getvalue(), headers=headers, media_type="text/csv; charset=utf-8")
