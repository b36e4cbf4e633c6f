"""Mars itself: sphere, coordinates, tile grids, regions and feature names. Knows no other package."""
