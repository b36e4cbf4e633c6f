"""Every error that mars_map shows to a user.

The message of each is one clear sentence that says what is wrong and what to do; the page and the
shell print it as it is. Anything else that is raised is a defect of the program.

    MarsMapError
    ├── QueryError            words, tiles or limits of a query that cannot be searched
    ├── CoordinateError       a longitude or latitude that is not on the planet or cannot be read
    ├── RegionError           a box, band or polygon that encloses nothing
    ├── FeatureNotFoundError  a name that the gazetteer does not have
    ├── BusyError             more searches at once than the program lets wait
    ├── ClusterError          a Dask cluster that does not answer or loses what it was given
    ├── SupersededError       a search that whoever asked no longer waits for
    ├── IndexMissingError     no index where one was expected
    ├── IndexDamagedError     an index file that is absent, truncated or not what the manifest says
    ├── IndexVersionError     an index of a format that this program does not read
    ├── ForeignIndexError     embeddings of another program that cannot be read or placed on a grid
    ├── ModelError            encoder files that are absent or not what they should be
    ├── ModelMismatchError    an encoder asked to search an index that another model made
    ├── MosaicError           a raster to cut tiles from that is damaged, misplaced or not of Mars
    ├── BasemapError          a basemap or elevation file that is absent, damaged or not of Mars
    ├── CovariateError        rasters or names by which hits are limited or explained
    ├── CatalogueError        features to evaluate with that cannot be read or are not on Mars
    ├── LabelsError           a layer or a file of tiles called right and wrong that is unusable
    ├── PictureError          labelled or captioned pictures that cannot be read or compared
    ├── SessionError          a session file that cannot be read or belongs to another index
    ├── ExportError           a result that could not be written
    └── BuildError            inputs of a build or of a training run that are absent or unusable
"""


class MarsMapError(Exception):
    """Base of all errors that are meant for a user's eyes."""


class QueryError(MarsMapError):
    """The words, tiles or limits of a query cannot be searched."""


class CoordinateError(MarsMapError):
    """A longitude or latitude is not on the planet or cannot be read."""


class RegionError(MarsMapError):
    """A box, band or polygon encloses nothing."""


class FeatureNotFoundError(MarsMapError):
    """The gazetteer has no feature of that name."""


class BusyError(MarsMapError):
    """More searches wait than the program lets wait."""


class ClusterError(MarsMapError):
    """A Dask cluster is not there, has no workers or does not answer."""


class SupersededError(MarsMapError):
    """A search was given up because whoever asked no longer waits for its answer."""


class IndexMissingError(MarsMapError):
    """There is no index where one was expected."""


class IndexDamagedError(MarsMapError):
    """An index file is absent, truncated or not what the manifest says."""


class IndexVersionError(MarsMapError):
    """The index is of a format that this program does not read."""


class ForeignIndexError(MarsMapError):
    """Embeddings of another program cannot be read or lie on no grid that is known."""


class ModelError(MarsMapError):
    """Encoder files are absent or not what they should be."""


class ModelMismatchError(MarsMapError):
    """An encoder was asked to search an index that another model made."""


class MosaicError(MarsMapError):
    """A raster of a mosaic is absent, damaged, not of Mars, or not where its name says."""


class BasemapError(MarsMapError):
    """A basemap or elevation file is absent, damaged or not of Mars."""


class CovariateError(MarsMapError):
    """A covariate has no such name, cannot be read, is not of Mars or covers too little."""


class CatalogueError(MarsMapError):
    """A catalogue of features cannot be read, is not of Mars, or has nothing to evaluate with."""


class LabelsError(MarsMapError):
    """A layer, an outline or a file of tiles called right and wrong cannot be used."""


class PictureError(MarsMapError):
    """Labelled or captioned pictures cannot be read, or there is nothing to compare."""


class SessionError(MarsMapError):
    """A session file cannot be read, or belongs to another index or model."""


class ExportError(MarsMapError):
    """A result could not be written."""


class BuildError(MarsMapError):
    """Inputs of a build or of a training run are absent or unusable."""
