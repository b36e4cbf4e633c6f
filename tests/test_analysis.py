"""Why here: planted differences are found, and where there is none the intervals hold 0."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from rasterio.transform import from_bounds
from scipy.stats import ks_2samp

from mars_map.analysis.effects import (
    MIN_HITS,
    ROTATIONS,
    Delta,
    Ground,
    deltas,
    rotated,
)
from mars_map.analysis.own import read_own
from mars_map.analysis.why import Explainer, Measured
from mars_map.cli import main
from mars_map.covariates import COVARIATES, Covariate, Covariates
from mars_map.errors import MarsMapError
from mars_map.index.synthetic import MIN_DIM, read_truths, synthesize
from mars_map.planet.blocks import patch_numbers
from mars_map.planet.grid import EqualAreaGrid
from mars_map.planet.regions import Box, LatitudeBand
from mars_map.planet.sphere import great_circle_m
from mars_map.search import Query, Result
from mars_map.ui.why import chart, figures, forest

GRID = EqualAreaGrid(2.0)
LON, LAT = GRID.centers
OWN = Covariate("own:a<b>.tif", "a<b>", "", 2, "higher in a<b>", "lower in a<b>", "a<b>.tif")


@pytest.fixture(scope="module")
def covariates() -> Covariates:
    return Covariates(GRID)


@pytest.fixture(scope="module")
def explainer(covariates) -> Explainer:
    return Explainer(covariates)


def answer(hits, mask=None, **limits) -> Result:
    """Return an answer with these hits."""
    scores = np.zeros(GRID.n_tiles, np.float32)
    index = SimpleNamespace(grid=GRID, present=None)
    return Result(Query("dunes", **limits), index, scores, np.asarray(hits), {}, mask)


def clusters(random, number: int, radius_km: float) -> np.ndarray:
    """Return the tiles within a radius of points at random."""
    lon = random.uniform(-180, 180, number)
    lat = np.degrees(np.arcsin(random.uniform(-1, 1, number)))
    distance = great_circle_m(LON[:, np.newaxis], LAT[:, np.newaxis], lon, lat) / 1000
    return np.flatnonzero((distance < radius_km).any(axis=1))


def found(explanation, name: str):
    return next(one for one in explanation.comparisons if one.covariate.name == name)


def test_delta_is_the_chance_of_more_minus_that_of_less():
    random = np.random.default_rng(1)
    ground = random.integers(0, 20, 300).astype(np.float32)
    area = random.uniform(1, 2, 300)
    hits = random.choice(300, 40, replace=False)
    standings = Ground.of(ground, area).standing(ground[hits])
    pairs = np.sign(ground[hits][:, np.newaxis] - ground)
    expected = np.average(np.average(pairs, axis=1, weights=area), weights=area[hits])
    (delta,) = deltas(standings[np.newaxis], area[hits], np.arange(40))
    assert delta.value == pytest.approx(expected)
    assert delta.low < delta.value < delta.high


def test_the_greatest_gap_and_the_quantiles_are_those_of_the_textbook():
    random = np.random.default_rng(2)
    a, b = random.normal(size=500).astype(np.float32), random.normal(0.5, 2, 80).astype(np.float32)
    ground, hits = Ground.of(a, np.ones(500)), Ground.of(b, np.ones(80))
    assert ground.greatest_gap(hits) == pytest.approx(ks_2samp(a, b).statistic)
    assert ground.quantiles(np.array([0.5]))[0] == pytest.approx(np.median(a), abs=0.01)
    heavy = Ground.of(np.array([1, 2, 3, np.nan], np.float32), np.array([1.0, 1, 8, 50]))
    np.testing.assert_array_equal(heavy.quantiles(np.array([0.05, 0.5])), [1, 3])


def test_a_planted_difference_is_found_and_read(explainer, covariates):
    low = np.flatnonzero(covariates("elevation") < -3000)
    hits = np.random.default_rng(3).choice(low, 300, replace=False)
    explanation = explainer.explain(answer(hits))
    elevation = found(explanation, "elevation")
    assert elevation.delta.is_clear and elevation.delta.size == "large"
    assert -1 <= elevation.delta.low <= elevation.delta.value <= elevation.delta.high < 0
    assert elevation.hits[2] < -3000 < elevation.ground[2]
    assert explanation.sentence.startswith("Beside the planet, hits are ")
    assert "lower (median \N{MINUS SIGN}" in explanation.sentence
    values = json.loads(json.dumps(explanation.to_dict()))
    assert values["sentence"] == explanation.sentence and len(values["comparisons"]) == 12


@pytest.mark.parametrize(("number", "radius_km"), [(4, 900), (15, 300)])
def test_without_a_difference_intervals_hold_zero_as_often_as_they_say(
    explainer, number, radius_km
):
    """Nominal are 95 %. Blocks alone hold 0 in about 80 % of cases with the first kind of hits."""
    random = np.random.default_rng(number)
    held, clear = [], []
    for _ in range(25):
        explanation = explainer.explain(answer(clusters(random, number, radius_km)))
        known = [one.delta for one in explanation.comparisons if one.delta.low is not None]
        held += [delta.low <= 0 <= delta.high for delta in known]
        clear += [delta.is_clear for delta in known]
    # 300 intervals, but of 25 independent patterns only.
    assert len(held) == 300 and np.mean(held) > 0.88 and np.mean(clear) < 0.12


def test_rotations_keep_the_pattern_and_stray_about_zero(covariates):
    standings = Ground.of(covariates("elevation"), GRID.areas_km2).standing(covariates("elevation"))
    one = clusters(np.random.default_rng(5), 1, 800)
    many = np.random.default_rng(5).choice(GRID.n_tiles, len(one), replace=False)
    both = np.array([rotated(standings[np.newaxis], GRID, hits)[0] for hits in (one, many)])
    assert both.shape == (2, ROTATIONS) and np.abs(both.mean(axis=1)).max() < 0.1
    assert both[0].std() > 4 * both[1].std(), "a group strays further than single hits"


def test_in_a_region_hits_are_compared_with_the_region(explainer, covariates):
    north = LatitudeBand(20, 90)
    mask = north.contains(LON, LAT)
    plain = explainer.explain(answer(np.flatnonzero(mask)))
    assert found(plain, "latitude").delta.is_clear
    inside = explainer.explain(answer(np.flatnonzero(mask), mask, region=north))
    assert all(abs(one.delta.value) < 1e-6 for one in inside.comparisons)
    assert "the ground that was searched" in inside.sentence
    # North of the equator, nearer to the pole is further north.
    assert not any(one.covariate.name == "latitude_abs" for one in inside.comparisons)
    assert found(inside, "elevation").ground[2] < found(plain, "elevation").ground[2]


def test_too_few_hits_are_said(explainer):
    few = explainer.explain(answer(np.arange(MIN_HITS - 1)))
    assert "too few" in few.sentence and not any(c.delta.is_clear for c in few.comparisons)
    assert explainer.explain(answer(np.array([], int))).sentence.startswith("0 hits are too few")


@pytest.mark.parametrize(
    "region", [Box(0, -45, 90, 45), LatitudeBand(-30, 30)], ids=["box", "band"]
)
def test_in_a_region_intervals_hold_zero_too(explainer, region):
    """Patches alone hold 0 in about 80 % of these cases, or give no interval."""
    mask = region.contains(LON, LAT)
    random = np.random.default_rng(11)
    held = []
    while len(held) < 240:
        place = random.choice(np.flatnonzero(mask), 3)
        distance = great_circle_m(LON[:, np.newaxis], LAT[:, np.newaxis], LON[place], LAT[place])
        hits = np.flatnonzero((distance < 500_000).any(axis=1) & mask)
        explanation = explainer.explain(answer(hits, mask, region=region))
        known = [c.delta for c in explanation.comparisons if c.delta.low is not None]
        assert len(known) == 12
        held += [delta.low <= 0 <= delta.high for delta in known]
    assert np.mean(held) > 0.85


def test_in_a_region_a_planted_difference_is_found(explainer, covariates):
    region = Box(0, -45, 90, 45)
    mask = region.contains(LON, LAT)
    low = np.flatnonzero(mask & (covariates("elevation") < 0))
    hits = np.random.default_rng(12).choice(low, 150, replace=False)
    explanation = explainer.explain(answer(hits, mask, region=region))
    assert found(explanation, "elevation").delta.is_clear
    assert "Beside the ground that was searched, hits are" in explanation.sentence


def test_a_covariate_of_a_part_is_compared_within_it(explainer):
    values = np.where(LON < 0, LAT, np.nan).astype(np.float32)
    hits = np.random.default_rng(6).choice(np.flatnonzero(LAT > 30), 200, replace=False)
    explanation = explainer.explain(answer(hits), [Measured(OWN, values)])
    own = found(explanation, OWN.name)
    assert own.known_share == pytest.approx(0.5, abs=0.01)
    assert own.known_hits == (LON[hits] < 0).sum() and own.delta.value > 0.4
    # One cap is one piece of evidence, however many hits it has.
    assert not own.delta.is_clear
    nowhere = Measured(OWN, np.where(LAT > 88, 1.0, np.nan).astype(np.float32))
    lone = found(explainer.explain(answer(np.flatnonzero(LAT < 0)[:50]), [nowhere]), OWN.name)
    assert np.isnan(lone.delta.value) and lone.to_dict()["delta"] is None


def test_a_covariate_that_does_not_vary_says_so(explainer, tmp_path):
    path = tmp_path / "dull.tif"
    profile = dict(driver="GTiff", dtype="float32", count=1, width=360, height=180)
    where = from_bounds(-180, -90, 180, 90, 360, 180)
    with rasterio.open(path, "w", crs="IAU_2015:49900", transform=where, **profile) as raster:
        raster.write(np.full((180, 360), 0.1, np.float32), 1)
        raster.units = ("tiu",)
    dull = read_own(path, GRID)
    assert dull.covariate.unit == "tiu"
    hits = clusters(np.random.default_rng(13), 20, 300)
    explanation = explainer.explain(answer(hits), [dull])
    one = found(explanation, "own:dull.tif")
    assert not one.varies and one.to_dict()["varies"] is False and not one.delta.is_clear
    said = "dull does not vary: it is 0.10 tiu wherever it is known on the searched ground"
    assert one.constancy.startswith(said) and figures(one).startswith(said)
    assert len(explainer.distribution(answer(hits), dull).edges) > 2
    assert "1 does not vary" in explanation.sentence or "In none of 12" in explanation.sentence
    assert all(c.varies and not c.constancy for c in explanation.comparisons if c is not one)


def test_the_same_question_has_the_same_answer(covariates):
    hits = clusters(np.random.default_rng(7), 20, 300)
    first, second = (Explainer(covariates).explain(answer(hits)).to_dict() for _ in range(2))
    assert first == second


def test_distributions_add_up(explainer, covariates):
    hits = clusters(np.random.default_rng(8), 20, 300)
    for name, covariate in COVARIATES.items():
        spread = explainer.distribution(answer(hits), Measured(covariate, covariates(name)))
        assert spread.hits.sum() == pytest.approx(1) and spread.ground.sum() == pytest.approx(1)
        assert (np.diff(spread.edges) > 0).all()


def test_plots_say_what_the_figures_say_and_escape_names(explainer, covariates):
    hits = np.flatnonzero(covariates("elevation") < -3000)
    values = covariates("elevation")
    explanation = explainer.explain(answer(hits), [Measured(OWN, values)])
    drawn = forest(explanation)
    assert drawn.count('class="dot"') == 13 and "a&lt;b&gt;" in drawn and "a<b>" not in drawn
    clear = sum(one.delta.is_clear for one in explanation.comparisons)
    assert drawn.count('<div class="clear"') == clear > 1
    comparison = found(explanation, "elevation")
    assert "large difference" in figures(comparison)
    spread = explainer.distribution(answer(hits), Measured(OWN, values))
    picture = chart(spread, comparison).to_dict()
    assert len(picture["layer"]) == 3


@pytest.mark.parametrize(
    ("value", "low", "high", "clear", "size"),
    [
        (0.5, 0.2, 0.8, True, "large"),
        (-0.3, -0.5, -0.1, True, "medium"),
        (0.12, 0.01, 0.2, True, "small"),
        (0.05, 0.01, 0.09, False, "negligible"),
        (0.5, -0.1, 0.9, False, "large"),
        (0.5, None, None, False, "large"),
    ],
)
def test_clear_is_surely_away_from_zero_and_not_negligible(value, low, high, clear, size):
    delta = Delta(value, low, high, 10.0)
    assert delta.is_clear is clear and delta.size == size


def test_hits_of_one_patch_are_one_piece_of_evidence():
    """Two hundred hits in two groups are no surer than two."""
    random = np.random.default_rng(9)
    patch = patch_numbers(*np.array([[0.0, 10], [90, 10]]).T).repeat(100)
    (delta,) = deltas(random.normal(0.5, 0.1, (1, 200)), np.ones(200), patch)
    assert delta.low is None and delta.patches == pytest.approx(2)


def test_the_shell_tells_why(tmp_path):
    sites = tmp_path / "sites.csv"
    sites.write_text("lon,lat\n137.4,-4.6\n77.7,18.4\n")
    runner = CliRunner()
    asked = ["why", "--at", "-133.8,18.65", "--top-k", "200", "--covariate", str(sites)]
    told = runner.invoke(main, asked)
    assert told.exit_code == 0 and "higher (median" in told.output
    asked += ["--json", "--quadrangle", "Tharsis", "--where", "elevation:0.."]
    values = json.loads(runner.invoke(main, asked).stdout)
    assert values["query"]["region"] == {"kind": "quadrangle", "code": "MC-09"}
    assert values["against"] == "the ground that was searched"
    assert "Distance to sites" in [one["title"] for one in values["comparisons"]]
    for bad in (
        ["why"],
        ["why", "dunes", "--at", "0,0"],
        ["why", "--at", "0,0", "--covariate", str(tmp_path / "none.tif")],
        ["why", "--at", "0,0", "--circle", "0,0,9", "--bbox", "0,0,9,9"],
        ["why", "--at", "0,0", "--where", "elevation"],
    ):
        refused = runner.invoke(main, bad)
        assert refused.exit_code == 1 and refused.stderr.startswith("mars-map: ")
        assert refused.stderr.count("\n") == 1


def test_the_shell_explains_an_index_with_the_model_that_made_it(tmp_path):
    folder = tmp_path / "other"
    (truth, *_) = read_truths(synthesize(folder, tiles=2000, dim=MIN_DIM))
    told = CliRunner().invoke(main, ["why", truth.name, "--index", str(folder), "--top-k", "60"])
    assert told.exit_code == 0, told.stderr
    assert "Elevation" in told.output


def test_own_files_end_as_sentences(tmp_path):
    (tmp_path / "bad.gpkg").write_bytes(b"\0" * 100)
    with pytest.raises(MarsMapError, match=r"bad\.gpkg"):
        read_own(tmp_path / "bad.gpkg", GRID)
