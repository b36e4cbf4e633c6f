"""How well searches find what is known to be there: MarsRetrieval's tasks on any index."""

from mars_map.evaluation.blocks import Blocks, read_blocks
from mars_map.evaluation.catalogues import Catalogue, read_catalogue
from mars_map.evaluation.geolocalization import GeoLocalization, GroundTruth
from mars_map.evaluation.report import Report, evaluate_query

__all__ = [
    "Blocks",
    "Catalogue",
    "GeoLocalization",
    "GroundTruth",
    "Report",
    "evaluate_query",
    "read_blocks",
    "read_catalogue",
]
