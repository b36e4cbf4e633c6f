"""From mosaics and catalogues to what `data/` holds: windows, vectors, index, basemaps, names."""
