"""Sessions as files: they come back exactly, or not at all."""

import copy
import json
from dataclasses import replace

import pytest

from mars_map.errors import MarsMapError, SessionError
from mars_map.export.session import FORMAT_VERSION, MAX_BYTES, read_session
from mars_map.planet.grid import EqualAreaGrid
from mars_map.planet.regions import Box, LatitudeBand
from mars_map.search import Part, Query
from mars_map.search.labels import LabelBook, LabelLayer
from mars_map.ui.session import _index_of, restored, session_of
from mars_map.ui.state import PageState
from mars_map.web import Service
from mars_map.web.compare import Other
from tests.conftest import make_index

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
    opened, labels = restored(read_session(text_of(visit).encode()), PageState())
    assert opened.view == (1, VIEW)
    passing = {"view": None, "go": None, "shown": None, "written": {}}
    assert replace(opened, **passing) == replace(state, **passing)
    assert labels == book
    # Saved anew, it is the same file but for the date.
    again = json.loads(session_of(opened, labels).to_json()) | {"view": VIEW}
    before = json.loads(text_of(visit))
    assert again | {"saved": ""} == before | {"saved": ""}


def test_the_index_may_have_another_name_on_another_server(visit):
    address = json.loads(text_of(visit))["address"] | {"index": ["as it is called elsewhere"]}
    opened, _ = restored(read_session(changed(visit, address=address)), PageState())
    assert opened.index == "" and opened.query == visit[0].query


def test_going_back_works_after_opening(visit):
    opened, _ = restored(read_session(text_of(visit).encode()), PageState())
    opened.step(1)
    assert opened.query.text == "chaos"
    opened.step(-3)
    assert opened.query == visit[0].history[opened.position]


def test_a_bare_page_comes_back_with_its_limits(small_service):
    state = PageState()
    state.ask(region=LatitudeBand(-30, 30), top_k=9)
    opened, labels = restored(
        read_session(session_of(state, LabelBook()).to_json().encode()), state
    )
    assert opened.query is None and opened.limits == state.limits
    assert opened.view == (1, "") and labels == LabelBook()


def test_two_sessions_in_a_row_are_both_obeyed_by_the_map(visit):
    session = read_session(text_of(visit).encode())
    first, _ = restored(session, PageState())
    second, _ = restored(session, first)
    assert (first.view[0], second.view[0]) == (1, 2)


def test_the_address_follows_the_opened_session(visit):
    """What was written last is the address of before, so that the new one is written."""
    before = PageState(written={"q": ["craters"]})
    opened, _ = restored(read_session(text_of(visit).encode()), before)
    assert opened.written == before.written != opened.to_params()


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
    ],
    ids=range(13),
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
