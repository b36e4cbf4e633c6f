"""Image-caption pairs to look at: a picture of a tile, a folder of pairs, and their counts."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mars_map.build.inputs import Inputs
from mars_map.build.windows import Progress
from mars_map.encoders.windows import Windows, WindowSpec
from mars_map.errors import BuildError, ExportError
from mars_map.planet.coordinates import check_point, format_point, parse_point
from mars_map.training.captions import LEAST_CAPTIONS, Captioner
from mars_map.training.data import GRID, TrainingData, label_data, prepare_facts
from mars_map.training.split import Split
from mars_map.training.texts import Glossary, Statement

PARTS = ("train", "validation", "test")
"""Parts of the planet by the committed split."""
ENLARGED = 5
"""Screen pixels for one pixel of a window."""
MARGIN = 30
"""Pixels above each picture, for its title."""
LIGHT = (-1.0, 1.0)
"""Where the light of a shaded relief comes from, east and north: the north-west."""
SUN_HEIGHT = 0.7
"""Height of that light in units of its distance on the ground."""
FEW_TILES = 30
"""A landform that fewer training tiles show is hardly learned."""


@dataclass(frozen=True)
class Pairs:
    """Windows of the planet with all that captions are made from."""

    data: TrainingData
    spec: WindowSpec
    captioner: Captioner

    @classmethod
    def prepare(cls, inputs: Inputs, work: Path, progress: Progress, seed: int = 0) -> "Pairs":
        """Read or make the windows, measures and labels in a work folder. Raises BuildError."""
        spec = kept_spec(work)
        windows, facts = prepare_facts(inputs, work, spec, progress)
        data = label_data(windows, facts)
        seen = np.flatnonzero(~Split.load().test_tiles(data.grid))
        captioner = Captioner.of(facts, data.glossary, data.labels, seen, spec, seed)
        return cls(data, spec, captioner)

    def picture(self, tile: int) -> Image.Image:
        """Draw the windows of a tile side by side: Viking above, shaded relief below."""
        windows = self.data.windows.take(np.array([tile]))
        lon, lat = (float(v[tile]) for v in self.data.grid.centers)
        title = f"{self.data.grid.names([tile])[0]}   {format_point(lon, lat)}"
        return draw_windows(windows, self.spec, title)

    def part(self, name: str) -> NDArray[np.int64]:
        """Return the numbers of the tiles of a part of the split."""
        return part_tiles(name, self.spec)

    def trained_texts(
        self, tiles: NDArray[np.int64], n: int, seed: int
    ) -> list[tuple[int, list[str]]]:
        """Return n of the tiles with their captions of landforms, at most n.

        Left out are captions of names, which no picture shows, of measures, and of nothing but
        where the tile lies; and tiles that have no others.
        """
        texts: list[tuple[int, list[str]]] = []
        for tile in np.random.default_rng(seed).permutation(tiles).tolist():
            if len(texts) == n:
                break
            captions = self.captioner.captions(tile)
            told = [c.text for c in captions if c.statement and self._shows(c.statement)]
            if told:
                texts.append((tile, told))
        return texts

    def _shows(self, statement: Statement) -> bool:
        return not set(statement.present) <= self.data.glossary.settings

    def unseen_texts(
        self, tiles: NDArray[np.int64], n: int, seed: int
    ) -> list[tuple[int, list[str]]]:
        """Return n of the tiles with one caption each, which tells it from the others'.

        In wordings that training never uses.
        """
        pairs = self.captioner.held_out_pairs(tiles, n, seed)
        return [(pair.tile, [pair.text]) for pair in pairs]

    def export(
        self, folder: Path, texts: list[tuple[int, list[str]]], scale: int, progress: Progress
    ) -> int:
        """Write pairs: a grey PNG of one window of each tile, and `pairs.csv`.

        texts: tiles with their captions; scale: number of the window, nearest first. Returns the
        rows written. Raises ExportError where the folder cannot be written.
        """
        width_km = self.spec.widths_km[scale]
        try:
            (folder / "images").mkdir(parents=True, exist_ok=True)
            rows = []
            for done, (tile, captions) in enumerate(texts, 1):
                image = f"images/{self.data.grid.names([tile])[0]}_{width_km:g}km.png"
                pixels = np.ascontiguousarray(self.data.windows.image[tile, scale, 0])
                Image.fromarray(pixels).save(folder / image)
                rows += [(image, text, f"{width_km:g}") for text in captions]
                progress("pairs", done, len(texts))
            with (folder / "pairs.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(("image", "caption", "width_km"))
                writer.writerows(rows)
        except OSError as error:
            raise ExportError(
                f"The pairs could not be written to {folder}: {error.strerror}."
            ) from error
        return len(rows)


@dataclass(frozen=True)
class Counts:
    """How much there is to learn from."""

    tiles: int
    widths_km: tuple[float, ...]
    glossary: Glossary
    present: dict[str, dict[str, int]]
    """Tiles that show each landform, by key: `all`, and those of `train` and `validation`."""

    @classmethod
    def of(cls, data: TrainingData, spec: WindowSpec) -> "Counts":
        """Count; what the test blocks hold is not told apart."""
        parts = {name: part_tiles(name, spec) for name in ("train", "validation")}
        shown = data.labels == 1
        present = {
            key: {
                "all": int(shown[:, column].sum()),
                **{name: int(shown[tiles, column].sum()) for name, tiles in parts.items()},
            }
            for column, key in enumerate(data.glossary.keys)
        }
        return cls(len(data.labels), spec.widths_km, data.glossary, present)

    def lines(self) -> Iterator[str]:
        """Tell the counts, and warn of landforms that are hardly learned."""
        widths = ", ".join(f"{width:g}" for width in self.widths_km)
        windows = self.tiles * len(self.widths_km)
        yield f"{windows:,} windows: {self.tiles:,} tiles, each {widths} km wide"
        yield f"{windows * LEAST_CAPTIONS:,} image-caption pairs at least: {LEAST_CAPTIONS} each"
        trained, unseen = (
            sum(map(len, words.values())) for words in (self.glossary.trained, self.glossary.unseen)
        )
        yield (
            f"{len(self.glossary.keys)} landforms in {trained + unseen:,} wordings, {unseen:,} of "
            "them kept out of training"
        )
        yield ""
        yield f"{'tiles that show it':22}{'all':>8}{'train':>8}{'validation':>12}"
        for key, n in self.present.items():
            few = f"   fewer than {FEW_TILES} to learn from" if n["train"] < FEW_TILES else ""
            yield f"{key:22}{n['all']:8,}{n['train']:8,}{n['validation']:12,}{few}"


def kept_spec(work: Path) -> WindowSpec:
    """Return which windows a work folder holds, or those of a new training where it has none."""
    try:
        described = json.loads((work / "windows" / "windows.json").read_text(encoding="utf-8"))
        return WindowSpec(described["spec"]["pixels"], tuple(described["spec"]["widths_km"]))
    except (OSError, ValueError, KeyError, TypeError):
        return WindowSpec()


def part_tiles(name: str, spec: WindowSpec) -> NDArray[np.int64]:
    """Return the numbers of the tiles of `train`, `validation` or `test`.

    For training those count whose nearest window may be learned from.
    """
    split = Split.load()
    if name == "train":
        return np.flatnonzero(split.training_tiles(GRID, spec.widths_km))
    held_out = split.test_tiles(GRID) if name == "test" else split.validation_tiles(GRID)
    return np.flatnonzero(held_out)


def parse_tile(text: str) -> int:
    """Return the number of the tile that is written as its id or as LON,LAT.

    Raises BuildError or CoordinateError.
    """
    if "," not in text and ";" not in text:
        tile = GRID.number_of(text.strip())
        if tile < 0:
            raise BuildError(
                f'There is no tile "{text}"; write an id such as {GRID.names([60000])[0]}, or '
                'LON,LAT such as "137.4,-4.6".'
            )
        return tile
    return int(GRID.tile_at(*check_point(*parse_point(text))))


def draw_windows(windows: Windows, spec: WindowSpec, title: str) -> Image.Image:
    """Draw the windows of one tile: a column for each scale, Viking above, relief below."""
    side = spec.pixels * ENLARGED
    size = (len(spec.widths_km) * (side + 10) + 10, 2 * (side + MARGIN) + MARGIN + 10)
    sheet = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(16)
    draw.text((10, 6), title, "black", font)
    for scale, width_km in enumerate(spec.widths_km):
        left = 10 + scale * (side + 10)
        elevation = windows.elevation[0, scale]
        low, high = int(elevation.min()), int(elevation.max())
        pictures = (
            (f"Viking, {width_km:g} km wide", viking_colour(windows.image[0, scale])),
            (f"relief, {low:,} to {high:,} m", shade(elevation, width_km)),
        )
        for row, (label, pixels) in enumerate(pictures):
            top = MARGIN + row * (side + MARGIN)
            draw.text((left, top + 6), label, "black", font)
            picture = Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC)
            sheet.paste(picture, (left, top + MARGIN))
    return sheet


def viking_colour(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the colours of a window's brightness and red less blue, (2, p, p), as (p, p, 3)."""
    brightness, difference = image[0].astype(np.int16), image[1].astype(np.int16) - 128
    bands = (brightness + difference, brightness, brightness - difference)
    return np.stack(bands, -1).clip(0, 255).astype(np.uint8)


def shade(elevation: NDArray[np.int16], width_km: float) -> NDArray[np.uint8]:
    """Shade a window's elevation in metres (p, p) as 8-bit grey, light from the north-west.

    Slopes are exaggerated so that the steepest hundredth of the window is at 45 degrees.
    """
    pixel_m = width_km * 1000 / elevation.shape[-1]
    south, east = np.gradient(elevation.astype(np.float64), pixel_m)
    steep = np.percentile(np.hypot(south, east), 99)
    # Plains would show nothing but noise; a slope of a thousandth stays faint.
    factor = 1.0 / max(float(steep), 2e-3)
    normal = np.stack([-east * factor, south * factor, np.ones_like(east)])
    light = np.array([*LIGHT, SUN_HEIGHT * np.sqrt(2)])
    lit = np.tensordot(light / np.linalg.norm(light), normal, 1) / np.linalg.norm(normal, axis=0)
    return (255 * lit.clip(0, 1)).round().astype(np.uint8)
