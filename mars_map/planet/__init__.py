"""Mars itself: sphere, coordinates, tile grids, regions, feature names. Knows no other package."""
