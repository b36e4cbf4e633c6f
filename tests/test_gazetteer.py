"""Named features: found as people write them, and refused with a suggestion."""

import csv
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars_map.build.gazetteer import build_gazetteer
from mars_map.build.inputs import NOMENCLATURE, Inputs
from mars_map.errors import BuildError, CoordinateError, FeatureNotFoundError
from mars_map.planet.gazetteer import COLUMNS, Gazetteer, fold_name
from mars_map.settings import GAZETTEER_FILE

HEADER = "name,feature_type,lon,lat,diameter_km,origin\n"


@pytest.fixture(scope="module")
def gazetteer() -> Gazetteer:
    return Gazetteer.load(GAZETTEER_FILE)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("gale", "Gale"),
        ("GALE CRATER", "Gale"),
        ("crater Gale", "Gale"),
        ("sogel", "Sögel"),
        ("So\u0308gel", "Sögel"),
        ("ma'adim", "Ma'adim Vallis"),
        ("maadim vallis", "Ma'adim Vallis"),
        ("airy 0", "Airy-0"),
        ("Puławy", "Puławy"),
        ("pulawy", "Puławy"),
        ("olympus", "Olympus Mons"),
        ("marineris", "Valles Marineris"),
    ],
)
def test_finds_what_people_write(gazetteer, text, name):
    assert gazetteer.find(text).name == name


def test_places_are_where_they_are(gazetteer):
    gale = gazetteer.find("Gale")
    assert (gale.kind, gale.lon, gale.lat) == ("crater", 137.81, -5.37)
    assert gale.diameter_km == pytest.approx(154.08)
    olympus = gazetteer.find("Olympus Mons")
    assert (olympus.lon, olympus.lat) == pytest.approx((-133.8, 18.65))


def test_the_exact_name_goes_before_longer_and_larger_ones(gazetteer):
    assert gazetteer.find("Elysium Mons").name == "Elysium Mons"
    assert gazetteer.search("Gale", 3)[0].name == "Gale"
    assert len(gazetteer.search("a", 7)) == 7


@pytest.mark.parametrize(("text", "name"), [("Gael", "Gale"), ("Olimpus Mons", "Olympus Mons")])
def test_a_misspelt_name_gets_a_suggestion(gazetteer, text, name):
    with pytest.raises(FeatureNotFoundError, match=f'did you mean "{name}"'):
        gazetteer.find(text)


@pytest.mark.parametrize("text", ["", "  ", "'", "🦀", "qqqqq", "<script>", "x" * 10_000])
def test_a_name_that_is_none_gets_one_sentence(gazetteer, text):
    with pytest.raises(FeatureNotFoundError) as error:
        gazetteer.find(text)
    assert len(str(error.value)) < 250
    assert gazetteer.search(text) == []


@given(st.text(max_size=40))
def test_folding_a_folded_name_changes_nothing(text):
    assert fold_name(fold_name(text)) == fold_name(text)


def test_every_feature_is_found_by_its_own_name(gazetteer):
    assert len(gazetteer.features) > 1_900
    for feature in gazetteer.features[::10]:
        assert gazetteer.find(feature.name) == feature
    for feature in gazetteer.features:
        assert -180 <= feature.lon < 180
        assert -90 <= feature.lat <= 90


def test_the_nearest_feature(gazetteer):
    feature, metres = gazetteer.nearest(137.81, -5.37)
    assert (feature.name, metres) == ("Gale", 0.0)
    # Across the antimeridian from the west.
    east, _ = gazetteer.nearest(179.999, -10.0)
    west, _ = gazetteer.nearest(-179.999, -10.0)
    assert east == west
    with pytest.raises(CoordinateError):
        gazetteer.nearest(0.0, 91.0)


@pytest.mark.parametrize(
    "content",
    [None, "", "name,kind\nGale,crater\n", "name,kind,lon,lat,diameter_km\nGale,crater,137,x,1\n"],
)
def test_a_missing_or_damaged_table_is_one_sentence(tmp_path, content):
    path = tmp_path / "gazetteer.csv"
    if content is not None:
        path.write_text(content)
    if content == "":
        with pytest.raises(FeatureNotFoundError, match="empty"):
            Gazetteer.load(path).nearest(0, 0)
        return
    with pytest.raises(FeatureNotFoundError, match=r"gazetteer\.csv"):
        Gazetteer.load(path)


def test_the_build_keeps_facts_and_one_row_a_name(tmp_path):
    inputs = _inputs(
        tmp_path,
        'Gale,"Crater, craters",137.81,-5.37,154.08,"Walter F., of Sydney."\n'
        "AEOLIS,Albedo Feature,145,-5,,\n"
        "Aeolis,Albedo Feature,145.1,-4.9,0,\n"
        'Utopia Rupes,"Rupes, rupēs",86.03,43.53,2492.68,\n'
        'Utopia Rupēs,"Rupes, rupēs",86.03,43.53,2492.68,\n'
        "EUNOSTOS,Albedo Feature,140,22,,\n"
        "Eunostos,Albedo Feature,-120,21.8,,\n",
    )
    target = tmp_path / "gazetteer.csv"
    assert build_gazetteer(inputs, target) == 3
    with target.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [tuple(row) for row in rows] == [COLUMNS] * 3
    assert [(row["name"], row["kind"], row["diameter_km"]) for row in rows] == [
        ("Aeolis", "albedo feature", ""),
        ("Gale", "crater", "154.08"),
        ("Utopia Rupēs", "rupes", "2492.68"),
    ]
    assert "Sydney" not in target.read_text(encoding="utf-8")


def test_the_build_refuses_what_is_no_coordinate(tmp_path):
    inputs = _inputs(tmp_path, "Gale,Crater,east,-5.37,,\n")
    target = tmp_path / "gazetteer.csv"
    target.write_text("before")
    with pytest.raises(BuildError, match="Gale"):
        build_gazetteer(inputs, target)
    assert target.read_text() == "before"


def _inputs(folder, rows: str) -> Inputs:
    path = folder / "inputs" / NOMENCLATURE
    path.parent.mkdir(parents=True)
    path.write_text(HEADER + rows, encoding="utf-8")
    return Inputs(folder / "inputs")


def test_the_shipped_table_is_made_from_the_inputs(tmp_path):
    folder = os.environ.get("MARS_MAP_INPUTS")
    if not folder:
        pytest.skip("set MARS_MAP_INPUTS to the folder of inputs to compare with what is shipped")
    build_gazetteer(Inputs(Path(folder)), tmp_path / "gazetteer.csv")
    assert (tmp_path / "gazetteer.csv").read_bytes() == GAZETTEER_FILE.read_bytes()
