"""Heat rasters, footprints, basemaps, thumbnails and standalone maps of results."""
