"""Captions of any tile, made from facts, for people to inspect what the encoder is taught.

What a caption says of landforms is a `Statement` in words of the glossary, the same that training
texts are made of; beside those, captions tell what was measured and which named features are near.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mars_map.encoders.windows import WindowSpec
from mars_map.planet.sphere import RADIUS_M, great_circle_m
from mars_map.training.craters import Craters
from mars_map.training.ground import Facts
from mars_map.training.named import DISPUTED, NamedPlace, NamedPlaces
from mars_map.training.places import unit_vectors
from mars_map.training.terrain import near_and_wide
from mars_map.training.texts import Company, Glossary, Statement

LEAST_CAPTIONS = 5
"""Every tile has at least so many captions."""
TES_LATITUDE = 65.0
"""Beyond it TES albedo and thermal inertia say little of the ground, degrees."""
MOST_NAMES = 4
"""Named features that one caption tells."""
REGION_KM = 500.0
"""A named feature of this size is a region; its extent is too vague to be seen from a tile."""
MOST_CRATERS = 4
"""Craters that one caption tells one by one."""


class Caption(NamedTuple):
    """A sentence about a tile."""

    text: str
    statement: Statement | None
    """The landforms that it states; None where it tells measures or names."""


class TileFacts(NamedTuple):
    """What is known of a tile."""

    present: tuple[str, ...]
    """Keys of the landforms in it, rarest first, and then of what tells where it lies."""
    missed: tuple[str, ...]
    """Keys of the landforms whose absence is worth telling: look-alikes and usual company."""
    unknown: tuple[str, ...]
    """Keys of the landforms of which it is not known whether they are there."""
    near: tuple[NamedPlace, ...]
    """Named features in the near window, smallest first."""
    wide: tuple[NamedPlace, ...]
    """Named features in the wide window only, smallest first."""
    craters: tuple[str, ...]
    """Craters that reach into the near window, largest first, in words."""
    ground: str
    """Elevation, relief, slope and roughness in words."""
    surface: str
    """Latitude belt, albedo and thermal inertia in words."""


class Pair(NamedTuple):
    """A tile and a caption that is true of it."""

    tile: int
    text: str
    statement: Statement


@dataclass(frozen=True)
class Captioner:
    """Makes captions of tiles; the same seed makes the same captions."""

    facts: Facts
    glossary: Glossary
    labels: NDArray[np.int8]
    """(n_tiles, n_landforms), columns in the order of the glossary."""
    company: Company
    """Counted on tiles that are not for testing."""
    spec: WindowSpec
    """The windows that captions speak of."""
    seed: int = 0

    @classmethod
    def of(
        cls,
        facts: Facts,
        glossary: Glossary,
        labels: NDArray[np.int8],
        tiles: NDArray[np.int64],
        spec: WindowSpec | None = None,
        seed: int = 0,
    ) -> "Captioner":
        """Make a captioner; which landforms are usual company is counted on some tiles."""
        company = Company.of(glossary, labels[tiles])
        return cls(facts, glossary, labels, company, spec or WindowSpec(), seed)

    def describe(self, tile: int) -> TileFacts:
        """Return the facts of a tile by number."""
        lon, lat = self._centre(tile)
        near_km, wide_km = (self.spec.widths_km[scale] for scale in near_and_wide(self.spec))
        places = self._named.near(lon, lat, wide_km / 2)
        near = tuple(place for place in places if place.gap_km <= near_km / 2)
        keys, row = self.glossary.keys, self.labels[tile]
        present = self._rarest_first(row)
        missed = np.zeros(len(keys), bool)
        for column in present:
            missed |= self.company.missed(column, self.glossary)
        return TileFacts(
            tuple(keys[column] for column in present),
            tuple(keys[column] for column in np.flatnonzero(missed & (row == 0))),
            tuple(keys[column] for column in np.flatnonzero(row < 0)),
            near,
            tuple(place for place in places if place not in near),
            self._craters(lon, lat, near_km / 2),
            self._ground(tile),
            self._surface(tile),
        )

    def captions(self, tile: int) -> list[Caption]:
        """Return at least `LEAST_CAPTIONS` captions of a tile, the rarest landforms first."""
        random = np.random.default_rng((self.seed, tile))
        facts, row = self.describe(tile), self.labels[tile]
        columns = {key: column for column, key in enumerate(self.glossary.keys)}
        statements = []
        for key, shape in zip(facts.present, ((3, 0), (1, 2), (2, 1), (2, 0)), strict=False):
            statement = self.company.statement(row, columns[key], *shape, self.glossary, random)
            statements.append(statement)
        told = {statement.present for statement in statements}
        for key in facts.present:
            if key in self.glossary.relations and (key,) not in told:
                statements.append(Statement((key,)))
        captions = [Caption(_sentence(self._say(s, random)), s) for s in dict.fromkeys(statements)]
        captions += [Caption(text, None) for text in self._names(facts)]
        captions.append(Caption(_sentence(facts.ground), None))
        captions.append(Caption(_sentence(facts.surface), None))
        captions.append(Caption(_sentence(_crater_words(facts.craters)), None))
        # Where little is known, what is there is said in other words.
        while len(captions) < LEAST_CAPTIONS and facts.present:
            statement = Statement((str(random.choice(facts.present)),))
            captions.append(Caption(_sentence(self._say(statement, random)), statement))
        while len(captions) < LEAST_CAPTIONS and (row == 0).any():
            captions.append(Caption(self._absence(row, random), None))
        return captions

    def held_out_pairs(self, tiles: NDArray[np.int64], n: int, seed: int = 0) -> list[Pair]:
        """Return n pairs of a tile and a caption in wordings that training never used.

        Tiles with too few facts, and tiles of which no caption can be told from an earlier one, are
        passed over, so that fewer than n may come back. A caption states three to five facts,
        chosen so that they hold for as few other of the tiles as possible.
        """
        random = np.random.default_rng(seed)
        pool = self.labels[random.permutation(tiles)[: max(20 * n, 2000)]]
        pairs: list[Pair] = []
        said: set[frozenset[str]] = set()
        for tile in random.permutation(tiles):
            if len(pairs) == n:
                break
            statement = self._telling(self.labels[tile], pool)
            facts = frozenset([*statement.present, *(f"no {key}" for key in statement.absent)])
            if len(facts) < 3 or facts in said:
                continue
            said.add(facts)
            text = statement.say(self.glossary.unseen, random, self.glossary.relations)
            pairs.append(Pair(int(tile), text, statement))
        return pairs

    def _telling(self, row: NDArray[np.int8], pool: NDArray[np.int8]) -> Statement:
        """State up to three landforms present and two absent that leave few of a pool of tiles."""
        left = np.ones(len(pool), bool)
        present: list[int] = []
        candidates = self._rarest_first(row)
        while candidates and len(present) < 3:
            best = min(candidates, key=lambda column: (left & (pool[:, column] == 1)).sum())
            candidates.remove(best)
            if self.company.tells_more(best, present):
                present.append(best)
                left &= pool[:, best] == 1
        if not present:
            return Statement(())
        missed = np.any([self.company.missed(c, self.glossary) for c in present], axis=0)
        absent: list[int] = []
        wanted = list(np.flatnonzero(missed & (row == 0)))
        while wanted and len(absent) < 2:
            best = min(wanted, key=lambda column: (left & (pool[:, column] == 0)).sum())
            wanted.remove(best)
            absent.append(int(best))
            left &= pool[:, best] == 0
        keys = self.glossary.keys
        return Statement(tuple(keys[c] for c in present), tuple(keys[c] for c in absent))

    def _rarest_first(self, row: NDArray[np.int8]) -> list[int]:
        """Columns of the landforms present, those that tell where a tile lies last."""
        present = np.flatnonzero(row == 1)
        setting = np.isin(self.glossary.keys, list(self.glossary.settings))[present]
        return present[np.lexsort((-self.company.odds[present], setting))].tolist()

    def _say(self, statement: Statement, random: np.random.Generator) -> str:
        return statement.say(self.glossary.trained, random, self.glossary.relations)

    def _absence(self, row: NDArray[np.int8], random: np.random.Generator) -> str:
        """Tell that one of the landforms that are not there is not there, common ones first."""
        absent = np.flatnonzero(row == 0)
        common = absent[np.argsort(self.company.odds[absent], kind="stable")][:12]
        key = self.glossary.keys[int(random.choice(common))]
        return _sentence(f"no {random.choice(self.glossary.trained[key])} here")

    def _names(self, facts: TileFacts) -> list[str]:
        texts = []
        groups = {
            "in view": [place for place in facts.near if place.diameter_km < REGION_KM],
            "in the region of": [place for place in facts.near if place.diameter_km >= REGION_KM],
            "not far away": [place for place in facts.wide if place.diameter_km < REGION_KM],
        }
        for start, places in groups.items():
            if places:
                # What is known to be something tells more than a mere name.
                told_first = sorted(places, key=lambda place: place.kind is None)
                told = [self._place(place) for place in told_first[:MOST_NAMES]]
                texts.append(_sentence(f"{start} {'; '.join(told)}"))
        return texts

    def _place(self, place: NamedPlace) -> str:
        """Tell a named feature and what it is known to be, in the glossary's first words."""
        if place.kind == DISPUTED:
            what = "whose origin is in dispute"
        elif place.kind == "crater":
            what = f"a crater {place.diameter_km:.0f} km wide"
        elif place.kind is None:
            return place.name
        else:
            what = self.glossary.trained[place.kind][0]
        return f"{place.name}, {what}"

    def _craters(self, lon: float, lat: float, reach_km: float) -> tuple[str, ...]:
        """Craters whose rims reach within a distance of a point, largest first, in words."""
        craters = self.facts.impacts
        radius = craters.radius_km
        chord = (reach_km + float(radius.max())) * 1000 / RADIUS_M
        found = np.array(self._crater_tree.query_ball_point(unit_vectors(lon, lat), chord), int)
        gap = great_circle_m(lon, lat, craters.lon[found], craters.lat[found]) / 1000
        shown = gap - radius[found] < reach_km
        found, gap = found[shown], gap[shown]
        order = np.argsort(-radius[found], kind="stable")
        return tuple(
            _crater(craters, int(i), g) for i, g in zip(found[order], gap[order], strict=True)
        )

    def _ground(self, tile: int) -> str:
        t = self.facts.terrain
        return (
            f"ground at {t.elevation[tile]:,.0f} m with {t.relief[tile]:,.0f} m of relief, slopes "
            f"of {t.slope[tile]:.1f} degrees in the middle and {t.steepest[tile]:.1f} at the "
            f"steepest, roughness {t.roughness[tile]:,.0f} m"
        )

    def _surface(self, tile: int) -> str:
        lat = float(self.facts.lat[tile])
        side = "north" if lat >= 0 else "south"
        belt = "equatorial" if abs(lat) < 30 else "middle" if abs(lat) < 60 else "high"
        brightness = self.facts.terrain.brightness[tile]
        text = f"{belt} latitude ({abs(lat):.1f} {side}), Viking brightness {brightness:.0f} of 255"
        if abs(lat) < TES_LATITUDE:
            albedo, inertia = self.facts.albedo[tile], self.facts.inertia[tile]
            text += f", albedo {albedo:.2f} ({_class(albedo, ALBEDO_CLASSES)})"
            text += f", thermal inertia {inertia:.0f} ({_class(inertia, INERTIA_CLASSES)})"
        return text

    def _centre(self, tile: int) -> tuple[float, float]:
        lon, lat = self.facts.grid.centers
        return float(lon[tile]), float(lat[tile])

    @cached_property
    def _named(self) -> NamedPlaces:
        return NamedPlaces(self.facts)

    @cached_property
    def _crater_tree(self) -> cKDTree:
        return cKDTree(unit_vectors(self.facts.impacts.lon, self.facts.impacts.lat))


ALBEDO_CLASSES = ((0.14, "dark"), (0.20, "moderate"), (0.26, "bright"), (1.0, "very bright"))
"""Upper bounds of the classes of TES Lambert albedo."""
INERTIA_CLASSES = ((110, "dust"), (200, "fine sand"), (380, "sand and crusts"), (1e9, "rocky"))
"""Upper bounds of the classes of TES thermal inertia, J m-2 K-1 s-1/2."""


def _class(value: float, classes: tuple[tuple[float, str], ...]) -> str:
    return next((name for bound, name in classes if value <= bound), classes[-1][1])


def _crater(craters: Craters, number: int, gap_km: float) -> str:
    diameter, fresh = 2 * craters.radius_km[number], craters.freshness[number]
    state = "fresh " if fresh > 0.55 else "degraded " if fresh < 0.25 else ""
    place = ", the tile inside" if gap_km < 0.9 * craters.radius_km[number] else ""
    return (
        f"a {state}crater {diameter:.0f} km wide and {craters.depth_m[number]:,.0f} m deep{place}"
    )


def _crater_words(craters: tuple[str, ...]) -> str:
    if not craters:
        return "no crater wider than 12 km was found"
    more = len(craters) - MOST_CRATERS
    rest = f"; {more} more" if more > 0 else ""
    return "; ".join(craters[:MOST_CRATERS]) + rest


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."
