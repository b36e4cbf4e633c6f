"""Pictures of a collection to unit vectors, a few at a time, and nothing lost in silence."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mars_map.errors import MarsMapError, ModelError
from mars_map.evaluation.encoders import PictureEncoder
from mars_map.evaluation.picture_files import Files, UnreadableError, read_picture

if TYPE_CHECKING:
    from PIL.Image import Image

BATCH_PICTURES = 64
"""Most pictures that are encoded at a time."""
BATCH_PIXELS = 16_000_000
"""Pixels after which a batch is encoded although it is not full; bounds memory."""


class Source(NamedTuple):
    """A picture that is to be embedded."""

    name: str
    """Name of the file in its collection."""
    width_km: float | None
    """Width on the ground, kilometres; None where it is not known."""


class LeftOut(NamedTuple):
    """Something that takes no part in an evaluation."""

    name: str
    """The file, or the row of a table."""
    reason: str
    """Why, in a few words."""


def by_reason(left_out: Sequence[LeftOut]) -> dict[str, list[str]]:
    """Return the names of what was left out, by reason, the most frequent first."""
    names: dict[str, list[str]] = {}
    for name, reason in left_out:
        names.setdefault(reason, []).append(name)
    return dict(sorted(names.items(), key=lambda item: -len(item[1])))


def left_out_lines(left_out: Sequence[LeftOut]) -> list[str]:
    """Return what was left out for people: a line for each reason, with the first names."""
    lines = []
    for reason, names in by_reason(left_out).items():
        more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
        lines.append(f"left out     {len(names):,} {reason}: {', '.join(names[:3])}{more}")
    return lines


@dataclass(frozen=True, eq=False)
class Embedded:
    """Pictures as vectors."""

    vectors: NDArray[np.float32]
    """Unit vectors, (m, dim)."""
    kept: NDArray[np.int64]
    """Numbers of the sources that these are of, increasing, (m,)."""
    digests: list[str]
    """Hash of the pixels of each, hex: equal for identical pictures."""
    left_out: list[LeftOut]
    """The sources that are not among them."""


def embed(files: Files, sources: Sequence[Source], encoder: PictureEncoder) -> Embedded:
    """Embed pictures. Raises ModelError for an encoder that gives no sound vectors.

    A picture that cannot be read, or that the encoder refuses, is left out and named.
    """
    kept: list[int] = []
    parts: list[NDArray[np.float32]] = []
    digests: list[str] = []
    left_out: list[LeftOut] = []
    for numbers, pictures in _batches(files, sources, left_out):
        widths = [sources[i].width_km for i in numbers]
        outcomes = _encode(encoder, pictures, widths)
        for i, picture, outcome in zip(numbers, pictures, outcomes, strict=True):
            if isinstance(outcome, str):
                left_out.append(LeftOut(sources[i].name, outcome))
                continue
            kept.append(i)
            parts.append(outcome)
            digests.append(_digest(picture))
    order = np.argsort(kept, kind="stable") if kept else np.zeros(0, np.int64)
    vectors = np.array(parts, np.float32).reshape(-1, encoder.dim)
    return Embedded(
        vectors[order],
        np.array(kept, np.int64)[order],
        [digests[i] for i in order],
        left_out,
    )


def _batches(
    files: Files, sources: Sequence[Source], left_out: list[LeftOut]
) -> Iterator[tuple[list[int], "list[Image]"]]:
    """Yield numbers and pictures; those of known and of unknown width come apart."""
    for known in (True, False):
        numbers: list[int] = []
        pictures: list[Image] = []
        pixels = 0
        for i, source in enumerate(sources):
            if (source.width_km is not None) != known:
                continue
            try:
                picture = read_picture(files, source.name)
            except UnreadableError as error:
                left_out.append(LeftOut(source.name, str(error)))
                continue
            numbers.append(i)
            pictures.append(picture)
            pixels += picture.width * picture.height
            if len(numbers) == BATCH_PICTURES or pixels > BATCH_PIXELS:
                yield numbers, pictures
                numbers, pictures, pixels = [], [], 0
        if numbers:
            yield numbers, pictures


def _encode(
    encoder: PictureEncoder, pictures: "Sequence[Image]", widths: Sequence[float | None]
) -> list[NDArray[np.float32] | str]:
    """Return each picture's vector, or why the encoder refuses it."""
    try:
        return list(_vectors(encoder, pictures, widths))
    except ModelError:
        raise
    except MarsMapError as error:
        if len(pictures) == 1:
            return [f"refused by the encoder ({str(error).rstrip('.')})"]
    # One of them is the reason: each alone, so that the others are not lost with it.
    pairs = zip(pictures, widths, strict=True)
    return [_encode(encoder, [picture], [width])[0] for picture, width in pairs]


def _vectors(
    encoder: PictureEncoder, pictures: "Sequence[Image]", widths: Sequence[float | None]
) -> NDArray[np.float32]:
    width_km = None if widths[0] is None else [float(w) for w in widths if w is not None]
    vectors = np.asarray(encoder.encode_pictures(pictures, width_km), np.float32)
    if vectors.shape != (len(pictures), encoder.dim) or not np.isfinite(vectors).all():
        raise ModelError(
            f'The model "{encoder.model_id}" gave no sound vectors for {len(pictures)} pictures; '
            "it does not fit this program."
        )
    return vectors


def _digest(picture: "Image") -> str:
    if picture.mode == "P":
        picture = picture.convert("RGBA")
    state = hashlib.sha256(f"{picture.mode} {picture.size}".encode())
    state.update(picture.tobytes())
    return state.hexdigest()
