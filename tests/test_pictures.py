"""Pictures that visitors bring: sound ones find their like, the rest get one sentence."""

import io

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from mars_map import web
from mars_map.errors import ModelMismatchError, PictureError
from mars_map.maps.thumbnails import thumbnail
from mars_map.planet.sphere import great_circle_m
from mars_map.search import Query
from mars_map.web import service
from mars_map.web.params import parse_part
from mars_map.web.pictures import picture_file_part, picture_part


def packed(picture: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def crater() -> Image.Image:
    """A shaded bowl with a rim, 200 pixels wide, lit from the left."""
    y, x = np.mgrid[-1:1:200j, -1:1:200j]
    r = np.hypot(x, y)
    height = np.where(r < 0.5, (r / 0.5) ** 2, np.exp(-(((r - 0.5) / 0.2) ** 2)))
    shade = 128 + 1500 * np.gradient(height, axis=1)
    return Image.fromarray(shade.clip(0, 255).astype(np.uint8))


def vector_of(data: bytes, **options) -> np.ndarray:
    part = picture_part("mine.png", data, **options)
    return service().engine.vector(Query((part,)))[0]


def test_a_picture_of_a_place_finds_the_place():
    korolev = (164.6, 72.8)
    picture = thumbnail(service().basemaps, *korolev, width_km=500, size=512)
    part = picture_part("korolev.jpg", picture, 500.0)
    result = service().search(Query((part,), top_k=10))
    lon, lat = (values[result.hits] for values in result.index.grid.centers)
    assert great_circle_m(*korolev, lon, lat).min() < 150_000


def test_formats_modes_and_frames_make_no_difference(crater):
    plain = vector_of(packed(crater))
    turned = Image.Exif()
    turned[0x0112] = 6
    alike = {
        "cmyk": packed(crater.convert("CMYK"), "TIFF"),
        "sixteen bits": packed(Image.fromarray(np.asarray(crater).astype(np.uint16) * 256)),
        "turned by EXIF": packed(crater.rotate(90), "PNG", exif=turned),
        "opaque alpha": packed(crater.convert("RGBA")),
        "animated": packed(
            crater, "GIF", save_all=True, append_images=[crater.rotate(180), crater.rotate(90)]
        ),
    }
    cosines = {name: float(vector_of(data) @ plain) for name, data in alike.items()}
    assert min(cosines.values()) > 0.98, cosines
    slope = packed(Image.linear_gradient("L"))
    assert float(vector_of(slope) @ plain) < 0.9


def test_what_is_transparent_does_not_count_as_black(crater):
    holes = crater.convert("RGBA")
    pixels = np.array(holes)
    pixels[:, :20, 3] = 0
    pixels[:, :20, :3] = 0
    assert vector_of(packed(Image.fromarray(pixels))) @ vector_of(packed(crater)) > 0.9


BAD = {
    "no picture": b"%PDF-1.4 this is a paper",
    "nothing": b"",
    "truncated": packed(Image.effect_noise((300, 300), 50))[:20_000],
    "too many pixels": packed(Image.new("1", (20_000, 6_000))),
    "one colour": packed(Image.new("RGB", (200, 200), "black")),
    "transparent": packed(Image.new("RGBA", (200, 200), (9, 99, 0, 0))),
    "no data": packed(Image.fromarray(np.full((200, 200), np.nan, np.float32)), "TIFF"),
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_a_bad_picture_gets_one_sentence(data):
    with pytest.raises(PictureError) as caught:
        picture_part("<b>mine</b>.png", data)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


def test_a_picture_that_is_too_large_is_not_to_be_given_in_another_format(tmp_path, small_index):
    large = BAD["too many pixels"]
    with pytest.raises(PictureError, match=r"larger than 100,000,000 pixels; cut it"):
        picture_part("large.png", large)
    file = tmp_path / "long.png"
    with file.open("wb") as sparse:
        sparse.truncate(65 * 2**20)
    with pytest.raises(PictureError, match=r"larger than 64 MB; cut it"):
        picture_file_part(file, None, small_index)


@pytest.mark.parametrize("width", [0, -3, 1e9, float("inf")])
def test_a_width_that_is_not_on_mars(width, crater):
    with pytest.raises(PictureError):
        picture_part("mine.png", packed(crater), width)


def test_twenty_thousand_pixels_are_taken(crater):
    data = packed(crater.resize((20_000, 200)))
    assert vector_of(data).shape == (service().index.dim,)


def test_a_picture_is_refused_where_another_model_made_the_index(small_service, crater):
    with pytest.raises(ModelMismatchError):
        picture_part("mine.png", packed(crater))


@pytest.fixture
def client(tmp_path):
    return TestClient(Starlette(routes=web.routes(tmp_path)))


def test_a_posted_picture_is_a_part_of_a_query(client, crater):
    reply = client.post("/mars/picture?name=a: b.png&width_km=30", content=packed(crater))
    part = parse_part(reply.json()["part"])
    assert part.kind == "vector" and part.name == "a: b.png"
    hits = client.get("/mars/search", params={"part": reply.json()["part"], "k": 5}).json()["hits"]
    assert len(hits) == 5


@pytest.mark.parametrize("query", ["", "?width_km=wide", "?width_km=nan", "?width_km=0"])
def test_a_bad_post_gets_one_sentence(client, query, crater):
    content = packed(crater) if query else b"no picture"
    reply = client.post(f"/mars/picture{query}", content=content)
    assert reply.status_code == 400 and reply.json()["error"].endswith(".")
