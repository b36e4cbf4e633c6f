"""Makes the rasters of thermal inertia and albedo by which hits are filtered and explained.

Both are TES maps at two cells a degree, stored in the steps in which the source has them. Where TES
did not look, near the poles, the source holds its least value; here that is no data. Tracks of the
orbits remain as stripes poleward of about 70 degrees, and thermal inertia stops at 2200: ice and
rock may have more.
"""

from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_bounds

from mars_map.build.inputs import ALBEDO, THERMAL_INERTIA, Inputs
from mars_map.build.windows import Progress
from mars_map.errors import BuildError
from mars_map.files import whole_file
from mars_map.planet.sphere import CRS_AUTHORITY

UNSEEN_FROM_DEG = 80.0
"""Latitude from which the least value of a map means that TES did not look; dust nearer to the
equator may well have the least thermal inertia."""
ALBEDO_STEP, ALBEDO_LEAST = 0.26 / 255, 0.06
"""Albedo of one step of the stored bytes, and of byte 0, which is no data."""
INERTIA_NODATA, ALBEDO_NODATA = -1, 0


def build_covariates(inputs: Inputs, out: Path, progress: Progress) -> list[Path]:
    """Write thermal_inertia.tif (int16) and albedo.tif (uint8, scaled) and return their paths.

    Raises BuildError where an input is absent or the disk cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    progress("covariates", 0, 2)
    inertia = inputs.raster(THERMAL_INERTIA)[0]
    stored = np.where(unseen(inertia), INERTIA_NODATA, np.rint(inertia)).astype(np.int16)
    tags = {
        "SOURCE": "MGS TES thermal inertia, 2 cells a degree, to whole units; not seen near poles",
        "LICENCE": "public domain (NASA)",
        "UNITS": "J m-2 K-1 s-1/2",
    }
    _write(out / "thermal_inertia.tif", stored, INERTIA_NODATA, (1.0, 0.0), tags)
    progress("covariates", 1, 2)
    albedo = inputs.raster(ALBEDO)[0]
    steps = np.clip(np.rint((albedo - ALBEDO_LEAST) / ALBEDO_STEP), 1, 255)
    stored = np.where(unseen(albedo), ALBEDO_NODATA, steps).astype(np.uint8)
    tags = {
        "SOURCE": "MGS TES Lambert albedo, 2 cells a degree, in its 255 steps; not seen near poles",
        "LICENCE": "public domain (NASA)",
        "UNITS": "1",
    }
    _write(out / "albedo.tif", stored, ALBEDO_NODATA, (ALBEDO_STEP, ALBEDO_LEAST), tags)
    progress("covariates", 2, 2)
    return [out / "thermal_inertia.tif", out / "albedo.tif"]


def unseen(values: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Tell which cells of a map of the planet, (rows, columns) from the north, TES did not see."""
    rows = values.shape[0]
    latitude = 90.0 - (np.arange(rows) + 0.5) * 180.0 / rows
    return (values == values.min()) & (np.abs(latitude) > UNSEEN_FROM_DEG)[:, np.newaxis]


def _write(
    target: Path,
    values: NDArray,
    nodata: int,
    scale: tuple[float, float],
    tags: dict[str, str],
) -> None:
    """Write one band of the whole planet as COG."""
    rows, columns = values.shape
    profile = {"driver": "COG", "compress": "DEFLATE", "predictor": 2, "level": 9}
    profile |= {"blocksize": 256, "overviews": "NONE", "nodata": nodata, "count": 1}
    profile |= {"height": rows, "width": columns, "dtype": values.dtype.name}
    profile |= {"crs": ":".join(CRS_AUTHORITY)}
    try:
        transform = from_bounds(-180, -90, 180, 90, columns, rows)
        with (
            whole_file(target) as part,
            rasterio.open(part, "w", transform=transform, **profile) as raster,
        ):
            raster.write(values, 1)
            raster.scales, raster.offsets = (scale[0],), (scale[1],)
            raster.update_tags(**tags)
    except (rasterio.errors.RasterioError, OSError) as error:
        raise BuildError(f"{target} could not be written: {error}.") from error
