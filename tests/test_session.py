"""Sessions as files: they come back exactly, or not at all."""

import base64
import copy
import json
import re
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mars_map.analysis.why import Explainer, Measured
from mars_map.covariates import Covariate
from mars_map.covariates.packed import PackedCovariate
from mars_map.errors import CovariateError, MarsMapError, SessionError
from mars_map.export.session import (
    FORMAT_VERSION,
    MAX_BYTES,
    MAX_COVARIATE_BYTES,
    MAX_COVARIATES,
    read_session,
)
from mars_map.planet.grid import EqualAreaGrid
from mars_map.planet.regions import Box, LatitudeBand
from mars_map.search import Part, Query
from mars_map.search.labels import LabelBook, LabelLayer
from mars_map.ui.own import Own, fitting
from mars_map.ui.session import ADDRESS_NAMES, VIEW_NAMES, _index_of, restored, session_of
from mars_map.ui.state import TABS, PageState
from mars_map.ui.visits import VISITS, Visit, Visits, come_back, copied
from mars_map.web import Service
from mars_map.web.compare import Other
from mars_map.web.indexes import INDEX_PARAM
from tests.conftest import make_index
from tests.test_page import page, payload  # noqa: F401

SCRIPT = "<script>alert(1)</script> “ü” \\ {{ 7 * 7 }}"
VIEW = "at=137.8,-5.4&z=4.5&base=relief&heat=35&view=north&style=360W"


@pytest.fixture
def visit(small_service):
    """A page after some work: parts, labels, a region, a comparison, and a step back."""
    state, book = PageState(), LabelBook()
    state.search("dunes")
    state.ask(region=Box(170, -40, -170, 40), top_k=77)
    state.add(Part("text", f"ice {SCRIPT}", weight=0.5, against=True))
    state.add(Part("tile", "r010c0001", muted=True, name=SCRIPT))
    state.call(("r012c0003", "r012c0004"), True)
    state.call(("r011c0001",), False)
    book.follow(state.query)
    state.search("chaos")
    state.step(-1)
    book.follow(state.query)
    book.layers.append(LabelLayer(SCRIPT, "#009e73", yes=("r009c0002",)))
    book.subjects.append(())
    state.compared = Other(Query("volcano"))
    state.look_at("r008c0005")
    state.units_shown, state.least_km2, state.tab = True, 1234.5, "Labels"
    assert not state.problem and len(state.history) > 4
    return state, book


def text_of(visit):
    state, book = visit
    # What the browser adds.
    return json.dumps(json.loads(session_of(state, book).to_json()) | {"view": VIEW})


def test_a_session_comes_back_exactly(visit):
    state, book = visit
    opened, labels, own = restored(read_session(text_of(visit).encode()), PageState())
    assert opened.view == (1, VIEW)
    passing = {"view": None, "go": None, "shown": None, "written": {}}
    assert replace(opened, **passing) == replace(state, **passing)
    assert labels == book and own == ()
    # Saved anew, it is the same file but for the date.
    again = json.loads(session_of(opened, labels).to_json()) | {"view": VIEW}
    before = json.loads(text_of(visit))
    assert again | {"saved": ""} == before | {"saved": ""}


def test_the_index_may_have_another_name_on_another_server(visit):
    address = json.loads(text_of(visit))["address"] | {"index": ["as it is called elsewhere"]}
    opened, *_ = restored(read_session(changed(visit, address=address)), PageState())
    assert opened.index == "" and opened.query == visit[0].query


def test_filters_by_unknown_covariates_are_refused(visit):
    filters = {"text": "dunes", "filters": ["ice_depth:0..1"]}
    for changes in ({"limits": filters}, {"history": [filters], "position": 0}):
        with pytest.raises(SessionError, match="ice_depth"):
            restored(read_session(changed(visit, **changes)), PageState())


def test_going_back_works_after_opening(visit):
    opened, *_ = restored(read_session(text_of(visit).encode()), PageState())
    opened.step(1)
    assert opened.query.text == "chaos"
    opened.step(-3)
    assert opened.query == visit[0].history[opened.position]


def test_a_bare_page_comes_back_with_its_limits(small_service):
    state = PageState()
    state.ask(region=LatitudeBand(-30, 30), top_k=9)
    opened, labels, _ = restored(
        read_session(session_of(state, LabelBook()).to_json().encode()), state
    )
    assert opened.query is None and opened.limits == state.limits
    assert opened.view == (1, "") and labels == LabelBook()


def test_two_sessions_in_a_row_are_both_obeyed_by_the_map(visit):
    session = read_session(text_of(visit).encode())
    first, *_ = restored(session, PageState())
    second, *_ = restored(session, first)
    assert (first.view[0], second.view[0]) == (1, 2)


def test_the_address_follows_the_opened_session(visit):
    """What was written last is the address of before, so that the new one is written."""
    before = PageState(written={"q": ["craters"]})
    opened, *_ = restored(read_session(text_of(visit).encode()), before)
    assert opened.written == before.written != opened.to_params()


@pytest.fixture
def own(small_index):
    """A covariate of a visitor's own, with unknown tiles and values of every size."""
    values = np.random.default_rng(3).normal(size=small_index.n_tiles).astype(np.float32) ** 9
    values[::7] = np.nan
    covariate = Covariate(
        "own:dust “ü”.tif", "dust (covers 86%)", "µm", 3, "higher in dust", "lower in dust", SCRIPT
    )
    return Own.of(Measured(covariate, values))


def session_with(visit, own):
    return session_of(*visit, [own.packed]).to_json().encode()


def test_own_covariates_come_back_to_the_last_bit(visit, own, small_engine):
    session = read_session(session_with(visit, own))
    _, _, (back,) = restored(session, PageState())
    assert back.measured.covariate == own.measured.covariate and back.packed == own.packed
    assert np.array_equal(back.measured.values, own.measured.values, equal_nan=True)
    result = small_engine.search(visit[0].query)
    before, after = (
        Explainer(small_engine.covariate).explain(result, [one.measured]).to_dict()
        for one in (own, back)
    )
    assert before == after


def test_a_planet_of_covariates_fits_into_a_file():
    values = np.random.default_rng(1).normal(size=165_016).astype(np.float32)
    packed = PackedCovariate.of(Covariate("own:a", "a", "", 2, "", "", ""), values)
    assert MAX_COVARIATES * len(packed.data) < MAX_COVARIATE_BYTES < MAX_BYTES
    large = Own(Measured(packed.covariate, values), replace(packed, data="A" * 10 * 2**20))
    small = Own(Measured(packed.covariate, values), packed)
    assert fitting([large, large, small, large]) == (large.packed, large.packed, packed)


def test_a_session_of_the_first_version_has_no_covariates(visit):
    values = json.loads(text_of(visit))
    del values["covariates"]
    assert read_session(json.dumps(values | {"version": 1}).encode()).covariates == ()
    with pytest.raises(SessionError):
        read_session(json.dumps(values).encode())


def bomb(size):
    return base64.b64encode(zlib.compress(bytes(size))).decode()


@pytest.mark.parametrize(
    "changes",
    [
        {"values": ""},
        {"values": "not base64 !"},
        {"values": 7},
        {"values": "AAAA"},
        {"values": bomb(100_000_000)},
        {"values": bomb(8)},
        {"values": base64.b64encode(zlib.compress(b"\xff" * 4632)).decode()},
        {"name": "elevation"},
        {"name": 3},
        {"name": "own:" + "x" * 300},
        {"title": "a\x00b"},
        {"title": "\ud800"},
        {"unit": ["m"]},
        {"decimals": 99},
        {"decimals": -1},
        {"decimals": 1.5},
        {"decimals": True},
        {"decimals": "2"},
        {"source": None},
    ],
    ids=lambda changes: json.dumps(changes)[:30],
)
def test_a_covariate_changed_by_hand_is_one_sentence(visit, own, changes, small_index):
    values = json.loads(session_with(visit, own))
    values["covariates"][0] |= changes
    before = PageState()
    with pytest.raises(MarsMapError) as error:
        restored(read_session(json.dumps(values).encode()), before)
    assert_sentence(error.value)
    assert before == PageState()


def test_covariates_of_one_name_and_infinite_ones_are_refused(visit, own, small_index):
    values = json.loads(session_with(visit, own))
    values["covariates"] *= 2
    with pytest.raises(SessionError):
        read_session(json.dumps(values).encode())
    endless = np.full(small_index.n_tiles, np.inf, np.float32)
    packed = PackedCovariate.of(own.measured.covariate, endless)
    with pytest.raises(CovariateError, match="endless"):
        packed.unpack(small_index.n_tiles)


def test_harmless_settings_that_are_unknown_are_named_and_left_out(visit):
    values = json.loads(text_of(visit))
    address = values["address"] | {"shader": ["on"], "compare": ["cube"]}
    data = changed(visit, tab="Globe", address=address, view=VIEW + "&fog=3")
    opened, *_ = restored(read_session(data), PageState())
    assert opened.query == visit[0].query and opened.tab in TABS
    for name in ("Globe", "shader", "cube", "fog"):
        assert name in opened.note
    assert opened.note.endswith(".") and not opened.problem
    many = {f"x{n}": [] for n in range(30)}
    opened, *_ = restored(read_session(changed(visit, address=many)), PageState())
    assert "25 more" in opened.note
    elsewhere = values["address"] | {"tile": ["r999c999"]}
    opened, *_ = restored(read_session(changed(visit, address=elsewhere)), PageState())
    assert '"r999c999"' in opened.note and opened.tile is None
    whole, *_ = restored(read_session(text_of(visit).encode()), PageState())
    assert not whole.note


def test_the_settings_that_are_known_are_those_of_the_documentation():
    text = (Path(__file__).parent.parent / "docs" / "page.md").read_text()
    table = text.partition("## What the address holds")[2].partition("\n\nThe part")[0]
    named = re.findall(r"`([^`]+)`", "".join(row.split("|")[2] for row in table.splitlines()[3:]))
    assert {*named, INDEX_PARAM} == ADDRESS_NAMES | VIEW_NAMES


def changed(visit, **changes):
    return json.dumps(json.loads(text_of(visit)) | changes).encode()


def test_a_session_of_another_index_is_refused(visit):
    data = changed(visit, index={"digest": "ab" * 32})
    with pytest.raises(SessionError, match=r"abababababab.* where that index is"):
        restored(read_session(data), PageState())


def test_a_session_of_another_model_is_refused(visit):
    with pytest.raises(SessionError, match="where that model is"):
        restored(read_session(changed(visit, model={"sha256": "cd" * 32})), PageState())


def test_a_session_of_another_version_is_refused(visit):
    for version in (FORMAT_VERSION + 1, 0, "1", None, [1]):
        with pytest.raises(SessionError, match="format"):
            read_session(changed(visit, version=version))


def test_unknown_tiles_are_refused(visit):
    layer = {"name": "x", "colour": "#009e73", "yes": ["r999c9999"], "no": [], "for": []}
    for changes in (
        {"labels": [layer]},
        {"history": [{"tiles": ["r999c9999"]}], "position": 0},
        {"address": {"like": ["r999c9999"]}},
    ):
        with pytest.raises(MarsMapError, match="r999c9999"):
            restored(read_session(changed(visit, **changes)), PageState())


@pytest.mark.parametrize(
    "changes",
    [
        {"address": {"q": "dunes"}},
        {"address": ["q"]},
        {"address": {"q": [7]}},
        {"address": {"q": ["dunes"] * 500}},
        {"address": {str(n): [] for n in range(500)}},
        {"view": 'at=1"><script>'},
        {"view": "javascript:alert(1) "},
        {"view": "a=" + "1" * 9000},
        {"view": None},
        {"tab": 3},
        {"history": {}},
        {"history": ["dunes"]},
        {"history": [{"text": ""}]},
        {"history": [{"text": "dunes", "top_k": 10**30}]},
        {"history": [{"text": "dunes", "region": {"kind": "box", "bounds": [1, 2]}}]},
        {"history": [{"text": "dunes"}] * 51, "position": 0},
        {"position": 999},
        {"position": True},
        {"position": 1.5},
        {"labels": [{"name": "x"}]},
        {"labels": [{"name": "x", "colour": "red", "yes": [], "no": [], "for": []}]},
        {"labels": [{"name": "x", "colour": "#009e73", "yes": "abc", "no": [], "for": []}]},
        {"labels": [{"name": "x", "colour": "#009e73", "yes": ["a"], "no": ["a"], "for": []}]},
        {"limits": {"text": "dunes", "threshold": 7}},
        {"history": [{"text": "dunes", "top_k": 10**400}], "position": 0},
        {"tab": "\ud800"},
        {"address": {"q": ["\udfff"]}},
        {"limits": []},
        {"index": None},
        {"model": {}},
        {"program": {"deep": []}},
    ],
    ids=lambda changes: json.dumps(changes)[:40],
)
def test_a_file_changed_by_hand_is_one_sentence(visit, changes):
    with pytest.raises(SessionError) as error:
        read_session(changed(visit, **changes))
    assert_sentence(error.value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"dunes",
        b"[]",
        b"null",
        b'{"format": "other"}',
        b"\xff\xfe\x00",
        b"[" * 200_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"format": "mars_map session", "version": 1, "x": NaN}',
        b'{"format": "mars_map session", "version": ' + b"9" * 5_000 + b"}",
        b'{"format": "mars_map session", "version": 1}',
        b" " * (MAX_BYTES + 1),
        b'{"format": "mars_map session", "version": 1, "x": ' + b"[" * 14 + b"]" * 14 + b"}",
        b'{"format": "mars_map session", "version": 1, "x": [' + b"[]," * 400_000 + b"[]]}",
    ],
    ids=range(14),
)  # fmt: skip
def test_what_is_no_session_is_one_sentence(data):
    with pytest.raises(SessionError) as error:
        read_session(data)
    assert_sentence(error.value)


def assert_sentence(error):
    text = str(error)
    assert text.endswith(".") and len(text) < 300 and "Traceback" not in text
    assert not any(name in text for name in ("KeyError", "TypeError", "ValueError"))


def test_a_refused_session_changes_nothing(visit, small_service):
    state, _ = visit
    before = copy.deepcopy(state)
    for data in (
        changed(visit, index={"digest": "ab" * 32}),
        changed(visit, address={"like": ["r999c9999"]}),
        changed(visit, address={"q": ["dunes"], "k": ["many"]}),
    ):
        with pytest.raises(MarsMapError):
            restored(read_session(data), state)
        assert state == before


def test_a_session_finds_its_index_among_those_of_the_server(visit, monkeypatch, tmp_path):
    """The file was saved on one index, and another is shown when it is opened."""
    session = read_session(text_of(visit).encode())
    other = make_index(tmp_path / "other", EqualAreaGrid(20.0))
    folders = {"damaged": tmp_path / "nowhere", "other": tmp_path / "other"}
    monkeypatch.setattr(Service, "folders", folders)
    assert _index_of(session, "") == ""
    assert _index_of(replace(session, index_digest=other.digest), "") == "other"
    assert _index_of(replace(session, index_digest="ab" * 32), "here") == "here"


def visit_of(state, book, own=()):
    """What the server keeps of a page."""
    history, position = tuple(state.history), state.position
    return Visit(state.query, state.limits, state.tab, history, position, copied(book), own)


def test_a_reload_brings_back_what_the_address_does_not_hold(visit, own):
    state, book = visit
    kept = visit_of(state, book, (own,))
    fresh, labels = PageState(), LabelBook()
    fresh.read(state.to_params())
    labels.follow(fresh.query)
    back = come_back(kept, fresh, labels)
    assert (fresh.history, fresh.position, fresh.tab) == (state.history, state.position, state.tab)
    assert back.layers == book.layers and back.subjects == book.subjects
    assert back.open == book.open
    fresh.step(1)
    assert fresh.query.text == "chaos", "redo works"
    back.layers.clear()
    assert kept.book.layers, "what is kept does not change with the page"


def test_another_address_in_the_same_tab_is_asked_on_top_of_the_history(visit):
    kept = visit_of(*visit)
    fresh = PageState()
    fresh.search("craters")
    labels = come_back(kept, fresh, LabelBook())
    assert fresh.query.text == "craters" and fresh.history == [*kept.history, Query("craters")]
    assert fresh.position == len(fresh.history) - 1
    assert labels.layers == kept.book.layers and labels.open is None
    full = replace(kept, history=tuple(Query(f"dunes {'i' * n}") for n in range(1, 51)))
    fresh.history = [Query("craters")]
    come_back(full, fresh, LabelBook())
    assert len(fresh.history) == 50 and fresh.history[fresh.position] == fresh.query


def test_a_region_without_a_query_survives_a_reload(small_service):
    state = PageState()
    state.ask(region=LatitudeBand(-30, 30))
    fresh = PageState()
    come_back(visit_of(state, LabelBook()), fresh, LabelBook())
    assert fresh.limits == state.limits and fresh.query is None and fresh.tab is None


def test_the_oldest_visits_are_forgotten_first(own):
    empty = visit_of(PageState(), LabelBook())
    visits = Visits(most=3)
    for name in "abc":
        visits.keep(name, empty)
    visits.keep("a", empty)
    visits.keep("d", empty)
    assert [name for name in "abcd" if visits.get(name)] == ["a", "c", "d"]
    full = replace(empty, own=(own,))
    small = Visits(most_bytes=2 * full.size)
    for name in "abc":
        small.keep(name, full)
    assert [name for name in "abc" if small.get(name)] == ["b", "c"]
    one = Visits(most_bytes=1)
    one.keep("a", full)
    assert one.get("a") is full, "the present visit is always kept"


def test_the_page_tells_the_tab_a_name_and_keeps_the_visit(page, small_index):  # noqa: F811
    test = page(q="dunes")
    sent = payload(test, "mars-visit")
    assert sent["index"] == small_index.digest and sent["settled"] is False
    assert VISITS.get(sent["name"]).history == (Query("dunes"),)
    other = payload(page(q="dunes"), "mars-visit")
    assert other["name"] != sent["name"]
