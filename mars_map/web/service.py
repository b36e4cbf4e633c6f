"""What every session and every route shares: an engine an index and one gazetteer, loaded once.

Opening the index takes milliseconds; the text encoder takes seconds, so `Service.warm` loads it in
the background while the first page is drawn, and a query that comes earlier waits for it.
"""

import gc
import logging
import threading
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mars_map import settings
from mars_map.analysis.units import units_table
from mars_map.covariates import COVARIATES
from mars_map.errors import MarsMapError
from mars_map.index import TileIndex
from mars_map.maps.basemap import Basemaps
from mars_map.maps.heat import heat_png
from mars_map.planet.gazetteer import Gazetteer
from mars_map.search import Engine, Query, Result, open_engine
from mars_map.search.cluster import ClusterScan
from mars_map.search.opening import fitting_folder, model_folder
from mars_map.search.scan import warm_up
from mars_map.search.threshold import histogram
from mars_map.web.indexes import folder_of, index_name, named_folders

if TYPE_CHECKING:
    from mars_map.encoders.compact import CompactImageEncoder

_log = logging.getLogger(__name__)


class Service:
    """The program behind the page. Safe to share between threads; nothing in it is per session."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._others: dict[str, Engine] = {}
        self._warming = threading.Lock()
        self._warm = False
        self.visited = threading.Event()
        """Set when a browser has loaded the page and begins to draw the map."""

    @property
    def folders(self) -> dict[str, Path]:
        """The folders of the indexes that are offered, by name, the first first."""
        return named_folders((settings.INDEX_DIR, *settings.INDEX_DIRS[1:]))

    @property
    def index_name(self) -> str:
        """Name of the index that this request or this run of the page searches; see `indexes`."""
        return index_name() or next(iter(self.folders))

    @property
    def engine(self) -> Engine:
        """The engine of that index; its encoder loads at the first query in words.

        Raises QueryError for a name that no index has, IndexMissingError, IndexVersionError or
        IndexDamagedError.
        """
        name = index_name()
        if name:
            folders = self.folders
            folder = folder_of(folders, name)
            if name != next(iter(folders)):
                with self._lock:
                    if name not in self._others:
                        self._others[name] = open_engine(folder)
                    return self._others[name]
        with self._lock:
            if self._engine is None:
                self._engine = open_engine(folder_of(self.folders, ""))
            return self._engine

    @property
    def model_folder(self) -> Path:
        """Folder of the model that made the index, or of the first model where it is unknown."""
        return model_folder(self.index) or settings.MODEL_DIR

    @property
    def index(self) -> TileIndex:
        """The index that is searched. Raises like `engine`."""
        return self.engine.index

    def image_encoder(self, index: TileIndex) -> "CompactImageEncoder":
        """Return what makes vectors of an index of pictures, loaded once.

        Raises ModelMismatchError where its model is not at hand, and ModelError.
        """
        return _image_encoder(fitting_folder(index))

    @cached_property
    def gazetteer(self) -> Gazetteer:
        """Names of features. Raises FeatureNotFoundError where the table cannot be read."""
        return Gazetteer.load(settings.GAZETTEER_FILE)

    @cached_property
    def basemaps(self) -> Basemaps:
        """Basemaps and elevations; files are opened when they are first needed."""
        return Basemaps(settings.BASEMAP_DIR)

    @property
    def is_warm(self) -> bool:
        """Whether a query in words need not wait for the text encoder to load."""
        return self._warm

    def search(self, query: Query) -> Result:
        """Answer a query; scores are cached by the engine. Raises like `Engine.search`."""
        return self.engine.search(query)

    def warm(self) -> None:
        """Load the encoder, the vectors and the colours; who comes while that goes on, waits.

        What fails here is logged, and fails again with its sentence when a visitor asks for it.
        """
        with self._warming:
            if self._warm:
                return
            try:
                if not isinstance(self.engine.scan, ClusterScan):
                    warm_up(self.index)
                result = self.search(Query("impact crater", top_k=1))
                heat_png(result.scores, result.index.grid)
                _ = result.estimate, histogram(result).knee
            except MarsMapError as error:
                _log.warning("%s", error)
            # Torch and its kin stay for good: without them a collection takes a tenth of the time.
            gc.collect()
            gc.freeze()
            self._warm = True

    def warm_covariates(self) -> None:
        """Compute what filters and "Why here" look at; what fails is logged and fails again."""
        try:
            for name in COVARIATES:
                self.engine.covariate(name)
        except MarsMapError as error:
            _log.warning("%s", error)

    def warm_tables(self) -> None:
        """Import what tables of hits and units are made with; geopandas alone takes a second."""
        try:
            units_table(self.search(Query("impact crater", top_k=1)))
        except MarsMapError as error:
            _log.warning("%s", error)


@cache
def _image_encoder(folder: Path) -> "CompactImageEncoder":
    from mars_map.encoders import load_image_encoder

    return load_image_encoder(folder)


@cache
def service() -> Service:
    """Return the service of this process."""
    return Service()
