"""`Query`, exact scores of all tiles, ranking, and the engine that puts them together."""

from mars_map.search.calibration import Estimate
from mars_map.search.engine import Engine, Result, TextEncoder
from mars_map.search.opening import open_engine
from mars_map.search.parts import Filter, Part
from mars_map.search.query import Query

__all__ = ["Engine", "Estimate", "Filter", "Part", "Query", "Result", "TextEncoder", "open_engine"]
