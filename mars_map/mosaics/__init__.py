"""Mosaics as they are published: quads and single rasters of Mars, and the pixels of any box.

    with MosaicRaster("MurrayLab_CTX_V01_E004_N-28_Mosaic.tif") as raster:
        frame = raster.frame((4.0, -24.2, 4.2, -24.0), 512, 512)

Nothing here knows of tiles, encoders or indexes. Rasterio is imported by these modules alone.
"""

from mars_map.mosaics.quads import BadQuad, Listing, Quad, check_quad, list_quads
from mars_map.mosaics.raster import Frame, MosaicRaster, Reading

__all__ = [
    "BadQuad",
    "Frame",
    "Listing",
    "MosaicRaster",
    "Quad",
    "Reading",
    "check_quad",
    "list_quads",
]
