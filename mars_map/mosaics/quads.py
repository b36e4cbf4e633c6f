"""Quads of a mosaic: which there are, where each lies by its name, and whether it lies there.

The global CTX mosaic of the Murray Lab (Dickson et al. 2023, doi 10.17189/m23v-ae12) comes in
squares of 4 by 4 degrees that are named by their south-west corner:
`MurrayLab_CTX_V01_E004_N-28_Mosaic.tif`, in a zip file `MurrayLab_GlobalCTXMosaic_V01_E004_N-28`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import numpy as np

from mars_map.errors import MosaicError
from mars_map.mosaics.raster import Bounds, MosaicRaster, Reading

QUAD_DEG = 4.0
"""Width and height of a CTX quad, degrees."""
SOUTH_LIMIT = -88.0
"""Southern edge of the southernmost CTX quads."""
SUFFIXES = (".tif", ".tiff", ".zip")
"""Files of a folder that are taken for quads."""
CTX_NODATA = 0.0
"""Value of gaps in the CTX mosaic, for quads that do not declare one."""
_NAME = re.compile(r"(?<![A-Za-z0-9])E(-?\d{1,3})_N(-?\d{1,2})(?![0-9])")
_INSET = 0.02
"""Share of its side by which a quad may miss its box: a pixel and its rounding, but no tile."""


@dataclass(frozen=True)
class Quad:
    """A part of a mosaic that is worked on as one."""

    name: str
    """Unique in a mosaic, such as "E004_N-28"."""
    location: str
    """Path or URL of its raster, or of a zip file with it; quads may share one."""
    box: Bounds
    """West, south, east, north in degrees."""

    @property
    def is_remote(self) -> bool:
        """Whether it must be downloaded."""
        return is_url(self.location)

    @property
    def is_ready(self) -> bool:
        """Whether its raster can be read where it lies: neither downloaded nor unpacked."""
        return not self.is_remote and not self.location.lower().endswith(".zip")


@dataclass(frozen=True)
class BadQuad:
    """A quad that cannot be used."""

    name: str
    location: str
    reason: str
    """One sentence."""


@dataclass(frozen=True)
class Listing:
    """What a folder or a list of quads holds."""

    quads: tuple[Quad, ...]
    """Sorted by place, south to north and west to east."""
    bad: tuple[BadQuad, ...] = field(default=())


def is_url(location: str) -> bool:
    """Tell a URL from a path."""
    return urlsplit(location).scheme in ("http", "https")


def is_address(location: str) -> bool:
    """Tell an address of any kind, such as "s3://bucket/key", from a path."""
    return "://" in location


def list_quads(source: Path) -> Listing:
    """Return the quads of a folder, searched with its subfolders, or of a text file.

    A text file has one path or URL a line; paths are relative to it, and what follows # is a
    comment. Names that tell no place, and places that are named twice, are bad quads. Raises
    MosaicError where there is no quad at all.
    """
    locations = _files(source) if source.is_dir() else _lines(source)
    quads: dict[str, Quad] = {}
    bad = []
    for location in locations:
        try:
            quad = quad_of(location)
            if quad.name in quads:
                raise MosaicError(
                    f'"{location}" is the second file of the quad {quad.name}, after '
                    f'"{quads[quad.name].location}"; remove one of the two.'
                )
            quads[quad.name] = quad
        except MosaicError as error:
            bad.append(BadQuad(file_name(location), location, str(error)))
    if not quads:
        raise MosaicError(bad[0].reason if bad else f'There is no quad in "{source}".')
    ordered = sorted(quads.values(), key=lambda quad: (quad.box[1], quad.box[0]))
    return Listing(tuple(ordered), tuple(bad))


def quad_of(location: str) -> Quad:
    """Return the quad at a path or URL by its name.

    Raises MosaicError for another name, and for addresses that are not of http or https.
    """
    if is_address(location) and not is_url(location):
        raise MosaicError(
            f'"{location}" cannot be downloaded: give an address that begins with http:// or '
            "https://, or bring the file here and give its path."
        )
    found = _NAME.search(file_name(location))
    if found is None:
        raise MosaicError(
            f'The name of "{location}" does not tell where it lies; quads are named by their '
            "south-west corner, such as MurrayLab_CTX_V01_E004_N-28_Mosaic.tif."
        )
    west, south = (float(number) for number in found.groups())
    if not (-180 <= west < 180 and SOUTH_LIMIT <= south < 88) or west % 4 or south % 4:
        raise MosaicError(
            f'The name of "{location}" is of no quad: corners lie at every {QUAD_DEG:g} degrees '
            "from E-180 to E176 and from N-88 to N84."
        )
    return Quad(found.group(), location, (west, south, west + QUAD_DEG, south + QUAD_DEG))


def file_name(location: str) -> str:
    """Return the last part of a path or URL."""
    return PurePosixPath(urlsplit(location).path).name if is_url(location) else Path(location).name


def check_quad(path: str | Path, box: Bounds, reading: Reading) -> None:
    """Raise MosaicError unless a raster covers the box that its name tells."""
    west, south, east, north = box
    inset = _INSET * (east - west)
    lon = np.array([west + inset, east - inset, west + inset, east - inset])
    lat = np.array([south + inset, south + inset, north - inset, north - inset])
    with MosaicRaster(path, reading) as raster:
        if raster.contains(lon, lat).all():
            return
        swapped = np.abs(lon).max() <= 90 and raster.contains(lat, lon).all()
    name = f"E {west:g} to {east:g}, N {south:g} to {north:g}"
    if swapped:
        raise MosaicError(
            f'"{path}" has its axes swapped: its latitudes stand where longitudes belong ({name}).'
        )
    raise MosaicError(
        f'"{path}" does not cover the place that its name tells, {name}; rename or replace it.'
    )


def _files(folder: Path) -> list[str]:
    found = (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES)
    return [str(path) for path in found if not path.name.startswith(".")]


def _lines(source: Path) -> Iterable[str]:
    try:
        lines = source.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise MosaicError(f'"{source}" cannot be read: {error.strerror}.') from error
    except UnicodeDecodeError as error:
        raise MosaicError(
            f'"{source}" is no text; a list of quads has one path or URL a line.'
        ) from error
    for line in lines:
        location = line.partition("#")[0].strip()
        if location:
            yield location if is_address(location) else str(source.parent / location)
