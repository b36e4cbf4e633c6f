"""How well an encoder finds what is known to be there: MarsRetrieval's three tasks.

Global geo-localization on any index, landform retrieval over labelled pictures, and retrieval of
captions by pictures and back. docs/evaluation.md defines every figure.
"""

from mars_map.evaluation.blocks import Blocks, read_blocks
from mars_map.evaluation.catalogues import Catalogue, read_catalogue
from mars_map.evaluation.encoders import Encoder, load_encoder
from mars_map.evaluation.geolocalization import GeoLocalization, GroundTruth
from mars_map.evaluation.landforms import LandformReport, evaluate_landforms
from mars_map.evaluation.pairs import PairReport, evaluate_pairs
from mars_map.evaluation.picture_query import PictureQuery
from mars_map.evaluation.report import Report, evaluate_query

__all__ = [
    "Blocks",
    "Catalogue",
    "Encoder",
    "GeoLocalization",
    "GroundTruth",
    "LandformReport",
    "PairReport",
    "PictureQuery",
    "Report",
    "evaluate_landforms",
    "evaluate_pairs",
    "evaluate_query",
    "load_encoder",
    "read_blocks",
    "read_catalogue",
]
