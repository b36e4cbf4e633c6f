"""Layers of labels: to GeoJSON and back, onto other grids, hostile files, and following a query."""

import json
from pathlib import Path

import numpy as np
import pytest
import shapely.geometry
from click.testing import CliRunner, Result
from streamlit.testing.v1 import AppTest

from mars_map.cli import main
from mars_map.errors import LabelsError
from mars_map.index import TileIndex
from mars_map.planet.grid import EqualAreaGrid, RegularGrid
from mars_map.planet.sphere import CRS_URN
from mars_map.search import Part, Query
from mars_map.search.labels import (
    COLOURS,
    MAX_FILE_BYTES,
    LabelBook,
    LabelLayer,
    read_geojson,
    tiles_in_outline,
)
from mars_map.ui.state import KEY
from mars_map.web import Service

PAGE = Path(__file__).parent.parent / "mars_map" / "ui" / "page.py"
GRID = EqualAreaGrid(2.0)
YES = ("r010c0003", "r045c0090")
NO = ("r044c0000",)


@pytest.fixture
def layer() -> LabelLayer:
    return LabelLayer("Dünen am Rand", "#D55E00", YES, NO)


def collection(*features: dict, **members: object) -> bytes:
    return json.dumps({"type": "FeatureCollection", "features": features, **members}).encode()


def feature(label: object = "yes", lon: object = 10.0, lat: object = 5.0, **others: object) -> dict:
    return {"type": "Feature", "properties": {"label": label, "lon": lon, "lat": lat}, **others}


def test_a_layer_comes_back_from_its_file_bit_for_bit(layer: LabelLayer) -> None:
    back = read_geojson(layer.to_geojson(GRID), GRID)
    assert back.layer == layer
    assert back.layer.colour == "#d55e00"
    assert back.note == ""


def test_a_layer_goes_to_plain_values_and_back(layer: LabelLayer) -> None:
    assert LabelLayer.from_dict(json.loads(json.dumps(layer.to_dict()))) == layer


def test_a_file_says_mars_and_outlines_its_tiles(layer: LabelLayer) -> None:
    document = json.loads(layer.to_geojson(GRID))
    assert document["crs"]["properties"]["name"] == CRS_URN
    first = document["features"][0]
    assert first["properties"]["tile"] == YES[0]
    outline = shapely.geometry.shape(first["geometry"])
    west, south, east, north = GRID.bounds(GRID.number_of(YES[0]))
    assert outline.bounds == pytest.approx((west, south, east, north), abs=1e-8)
    assert outline.exterior.is_ccw


def test_labels_of_another_grid_go_to_the_tiles_under_their_centres(layer: LabelLayer) -> None:
    fine = RegularGrid(0.2, -80, 80)
    back = read_geojson(layer.to_geojson(GRID), fine)
    lon, lat = (c[GRID.number_of(YES[0])] for c in GRID.centers)
    assert back.layer.yes[0] == fine.names([fine.tile_at(lon, lat)])[0]
    assert "labels of another grid, 3," in back.note.lower()


def test_a_tile_id_that_lies_elsewhere_is_not_trusted() -> None:
    wanted = GRID.names([GRID.tile_at(10.0, 5.0)])[0]
    astray = feature()
    astray["properties"]["tile"] = YES[0]
    assert read_geojson(collection(astray), GRID).layer.yes == (wanted,)


def test_geometry_serves_where_the_centre_is_not_named() -> None:
    box = shapely.geometry.mapping(shapely.box(9.5, 4.5, 10.5, 5.5))
    plain = {"type": "Feature", "properties": {"label": "no"}, "geometry": box}
    assert read_geojson(collection(plain), GRID).layer.no == (
        GRID.names([GRID.tile_at(10.0, 5.0)])[0],
    )


def test_a_tile_called_both_is_left_out_and_said() -> None:
    read = read_geojson(collection(feature("yes"), feature("no"), feature(lat=40.0)), GRID)
    assert len(read.layer) == 1
    assert "tiles called both right and wrong, 1," in read.note.lower()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\xff\xfe\x00", "not a collection"),
        (b"[" * 100_000, "not a collection"),
        (b'{"features": 7}', "not a collection"),
        (b"[]", "not a collection"),
        (b" " * (MAX_FILE_BYTES + 1), "MB"),
        (collection(), "no label"),
        (collection(feature("maybe")), "no label"),
        (collection(feature(lon="NaN")), "no label"),
        (collection(feature(lat=91)), "no label"),
        (collection(feature(lon=[1], lat={})), "no label"),
        (collection({"geometry": 3}, None, "x", {"properties": []}), "no label"),  # type: ignore[arg-type]
        (collection(feature(["yes"])), "no label"),
        (collection(feature(lon=10**400)), "no label"),
        (collection(feature(lon=True, lat=None)), "no label"),
        *(
            (collection({"properties": {"label": "yes"}, "geometry": geometry}), "no label")
            for geometry in (
                {"type": "Blob", "coordinates": [1, 2]},
                {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]},
                {"type": "Polygon", "coordinates": [[[0, 0], [1, "x"], [2, 2], [0, 0]]]},
                {"type": "Point", "coordinates": [10**400, 0]},
                {"type": "Point", "coordinates": []},
                {"type": "GeometryCollection", "geometries": [{}]},
                {},
                [],
                "Point",
                None,
            )
        ),
        (
            collection(feature(), crs={"properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}),
            "reference system",
        ),
        (collection(feature(), crs="EPSG:4326"), "reference system"),
    ],
)
def test_unusable_files_are_one_sentence(data: bytes, says: str) -> None:
    with pytest.raises(LabelsError, match=says) as caught:
        read_geojson(data, GRID)
    assert "\n" not in str(caught.value)


def test_hostile_names_and_colours_do_no_harm() -> None:
    data = collection(
        feature(), name="<img src=x onerror=alert(1)>\u202e" * 50, mars_map={"colour": "red;x"}
    )
    layer = read_geojson(data, GRID).layer
    assert len(layer.name) <= 60
    assert "\u202e" not in layer.name
    assert layer.colour == COLOURS[0]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"name": 3},
        {"name": "a", "yes": "r010c0003"},
        {"name": "a", "yes": [1]},
        {"name": "a", "colour": "blue"},
        {"name": "a", "yes": ["r1"], "no": ["r1"]},
        {"name": "a", "yes": [f"r{n}" for n in range(1001)]},
    ],
)
def test_unusable_layers_are_refused(values: dict) -> None:
    with pytest.raises(LabelsError):
        LabelLayer.from_dict(values)


def test_a_label_without_its_tile_is_not_written() -> None:
    with pytest.raises(LabelsError, match="r999c0000"):
        LabelLayer("a", yes=("r999c0000",)).to_geojson(GRID)


def test_the_shell_takes_tiles_and_files(small_index: TileIndex, tmp_path: Path) -> None:
    def call(*arguments: str, expect: int = 0) -> Result:
        ends = ["--index", str(small_index.folder), "--top-k", "900", "--format", "json"]
        outcome = CliRunner().invoke(main, ["search", *arguments, *ends])
        assert outcome.exit_code == expect, outcome.output
        assert "Traceback" not in outcome.output
        return outcome

    yes, no = ["r010c0003", "r010c0004", "r011c0004"], "r004c0002"
    file = tmp_path / "labels.geojson"
    file.write_bytes(LabelLayer("a", yes=tuple(yes), no=(no,)).to_geojson(small_index.grid))
    single = call(*(f"--yes={tile}" for tile in yes), f"--no={no}")
    whole = call("--labels", str(file))
    assert json.loads(whole.stdout)["hits"] == json.loads(single.stdout)["hits"]
    assert json.loads(whole.stdout)["refinement"] == "Discriminant from 3 yes, 1 no"
    assert "Discriminant from 3 yes, 1 no." in whole.stderr
    assert no not in whole.stdout.partition('"hits"')[2]
    assert "cannot be read" in call("--labels", str(tmp_path / "none"), expect=1).stderr
    assert "no tile" in call("--yes", "r999c0000", expect=1).stderr


class TestOutline:
    def test_takes_the_tiles_whose_centres_lie_within(self) -> None:
        tiles = tiles_in_outline(GRID, [(0, 0), (8, 0), (8, 8), (0, 8)])
        lon, lat = (c[[GRID.number_of(tile) for tile in tiles]] for c in GRID.centers)
        assert len(tiles) == int(np.sum(_within(GRID.centers, 0, 8, 0, 8)))
        assert lon.min() > 0
        assert lat.max() < 8

    def test_runs_across_the_antimeridian(self) -> None:
        tiles = tiles_in_outline(GRID, [(176, 0), (184, 0), (184, 8), (176, 8)])
        lon = GRID.centers[0][[GRID.number_of(tile) for tile in tiles]]
        assert (lon > 176).any()
        assert (lon < -176).any()

    def test_may_cross_itself(self) -> None:
        assert tiles_in_outline(GRID, [(0, 0), (20, 20), (20, 0), (0, 20)])

    @pytest.mark.parametrize(
        "corners",
        [
            [],
            [(0, 0), (1, 1)],
            [(0.01, 0.01), (0.02, 0.01), (0.02, 0.02)],
            [(-180, -90), (180, -90), (180, 90), (-180, 90)],
            [(float("nan"), 0), (1, 1), (2, 0)],
        ],
    )
    def test_of_nothing_or_too_much_is_refused(self, corners: list) -> None:
        with pytest.raises(LabelsError):
            tiles_in_outline(GRID, corners)


class TestBook:
    DUNES = (Part("text", "dunes"),)
    CRATERS = (Part("text", "crater"),)

    def test_the_first_label_begins_a_layer_named_after_the_query(self) -> None:
        book = LabelBook()
        book.follow(Query(self.DUNES))
        assert not book.layers
        book.follow(Query(self.DUNES, yes=("a",)))
        assert book.layers[0].name == "dunes"
        assert book.open == 0

    def test_more_labels_change_the_layer(self) -> None:
        book = LabelBook()
        book.follow(Query(self.DUNES, yes=("a",)))
        book.follow(Query(self.DUNES, yes=("a", "b"), no=("c",)))
        assert [layer.to_dict()["yes"] for layer in book.layers] == [["a", "b"]]
        assert book.layers[0].no == ("c",)

    def test_another_subject_keeps_the_layer_and_undo_opens_it_again(self) -> None:
        book, labelled = LabelBook(), Query(self.DUNES, yes=("a",))
        book.follow(labelled)
        book.follow(Query(self.CRATERS))
        assert book.open is None
        assert book.layers[0].yes == ("a",)
        book.follow(Query(self.CRATERS, no=("x",), yes=("y",)))
        assert book.open == 1
        book.follow(labelled)
        assert book.open == 0
        assert len(book.layers) == 2
        assert book.layers[0].colour != book.layers[1].colour

    def test_a_part_added_keeps_the_layer(self) -> None:
        book = LabelBook()
        book.follow(Query(self.DUNES, yes=("a",)))
        book.follow(Query((*self.DUNES, Part("text", "crater", against=True)), yes=("a",)))
        assert len(book.layers) == 1

    def test_a_layer_that_is_switched_to_opens_and_undo_goes_back(self) -> None:
        book, first = LabelBook(), Query(self.DUNES, yes=("a",))
        book.follow(first)
        number = book.add(LabelLayer("other", yes=("b",)))
        book.follow(Query(self.DUNES, yes=("b",)))
        assert book.open == number
        book.follow(first)
        assert book.open == 0
        assert book.layers[0].yes == ("a",)

    def test_a_fresh_layer_leaves_the_old_one_as_it_is(self) -> None:
        book = LabelBook()
        book.follow(Query(self.DUNES, yes=("a",)))
        book.is_fresh = True
        book.follow(Query(self.DUNES))
        book.follow(Query(self.DUNES, yes=("b",)))
        assert [layer.yes for layer in book.layers] == [("a",), ("b",)]
        assert book.layers[1].name == "dunes 2"


def _within(centers: tuple, west: float, east: float, south: float, north: float) -> np.ndarray:
    lon, lat = centers
    return (lon > west) & (lon < east) & (lat > south) & (lat < north)


class TestPage:
    """The drawer's tab, by Streamlit's AppTest."""

    YES = ("r010c0003", "r010c0004", "r011c0004")

    @pytest.fixture
    def page(self, small_service: Service) -> AppTest:
        test = AppTest.from_file(str(PAGE), default_timeout=20)
        test.query_params["like"] = "r010c0001"
        test.query_params["yes"] = ",".join(self.YES)
        test.query_params["no"] = "r004c0002"
        test.run()
        return self.at_labels(test)

    def at_labels(self, test: AppTest) -> AppTest:
        test.session_state[KEY].tab = "Labels"
        test.run()
        assert not test.exception
        return test

    def query(self, test: AppTest) -> Query:
        return test.session_state[KEY].query

    def said(self, test: AppTest) -> str:
        return " ".join(caption.value for caption in test.caption)

    def test_an_address_with_labels_opens_as_a_layer(self, page: AppTest) -> None:
        assert "3 yes, 1 no. Discriminant from 4 yes, 1 no." in self.said(page).replace("\\", "")
        assert page.text_input(key="mars-label-name").value == "like tile r010c0001"
        assert len(page.session_state["mars-label-book"].layers) == 1

    def test_a_layer_is_named_and_coloured(self, page: AppTest) -> None:
        page.text_input(key="mars-label-name").set_value("Old ground").run()
        page.color_picker(key="mars-label-colour").set_value("#112233").run()
        assert not page.exception
        (layer,) = page.session_state["mars-label-book"].layers
        assert (layer.name, layer.colour) == ("Old ground", "#112233")
        (shown,) = self.on_the_map(page)
        assert (shown["name"], shown["colour"], shown["open"]) == ("Old ground", "#112233", True)

    def on_the_map(self, test: AppTest) -> list[dict]:
        (component,) = [c for c in test.get("bidi_component") if c.key == "mars-map"]
        return json.loads(component.proto.json)["layers"]

    def test_the_map_has_the_layers_that_are_not_used_and_not_those_that_are_hidden(
        self, page: AppTest, small_index: TileIndex
    ) -> None:
        tiles = small_index.grid.names([700, 701]).tolist()
        book = page.session_state["mars-label-book"]
        book.add(LabelLayer("Seen", "#112233", (tiles[0],), (tiles[1],)))
        book.add(LabelLayer("Hidden", "#445566", (tiles[0],), hidden=True))
        page.run()
        used, seen, hidden = self.on_the_map(page)
        assert used["open"] and used["yes"] == [], "its tiles are in the query"
        assert (seen["shown"], seen["yes"], seen["no"]) == (True, [700], [701])
        assert (hidden["shown"], hidden["yes"]) == (False, [])
        assert LabelLayer.from_dict(book.layers[2].to_dict()) == book.layers[2]

    def test_new_keeps_the_old_layer_and_undo_comes_back_to_it(self, page: AppTest) -> None:
        page.button(key="mars-label-new").click().run()
        assert self.query(page).yes == ()
        page.session_state[KEY].call(["r011c0005"], True)
        page.run()
        book = page.session_state["mars-label-book"]
        assert [layer.yes for layer in book.layers] == [self.YES, ("r011c0005",)]
        page.selectbox(key="mars-label-layer").set_value(0).run()
        assert self.query(page).yes == self.YES
        page.session_state[KEY].step(-1)
        page.run()
        assert self.query(page).yes == ("r011c0005",)
        assert page.session_state["mars-label-book"].open == 1

    def test_a_deleted_layer_takes_its_labels_along(self, page: AppTest) -> None:
        page.button(key="mars-label-delete").click().run()
        assert not page.exception
        assert self.query(page).yes == self.query(page).no == ()
        assert page.session_state["mars-label-book"].layers == []

    def test_a_file_is_imported_and_used(self, page: AppTest, small_index: TileIndex) -> None:
        data = LabelLayer("mine", yes=("r011c0005",)).to_geojson(small_index.grid)
        page.file_uploader(key="mars-label-file").set_value(("mine.geojson", data, "")).run()
        assert not page.exception
        assert self.query(page).yes == ("r011c0005",)
        assert page.session_state["mars-label-book"].layers[1].name == "mine"

    @pytest.mark.parametrize(
        "data",
        [
            b"<html>",
            collection(feature(), crs={"properties": {"name": "EPSG:4326"}}),
            collection(feature("perhaps")),
        ],
    )
    def test_a_useless_file_leaves_everything_as_it_was(self, page: AppTest, data: bytes) -> None:
        before = self.query(page)
        page.file_uploader(key="mars-label-file").set_value(("x.geojson", data, "")).run()
        assert not page.exception
        assert len(page.error) == 1
        assert self.query(page) == before
        assert len(page.session_state["mars-label-book"].layers) == 1

    def test_taking_back_the_last_label_forgets_the_layer(self, page: AppTest) -> None:
        page.session_state[KEY].tab = "Tile"
        page.session_state[KEY].look_at("r011c0005")
        page.session_state[KEY].call((*self.YES, "r004c0002"), None)
        page.run()
        page.button(key="mars-tile-yes").click().run()
        assert self.query(page).yes == ("r011c0005",)
        page.button(key="mars-tile-yes").click().run()
        assert not page.exception
        assert self.query(page).yes == ()
        assert page.session_state["mars-label-book"].layers == []
