"""The description of the routes: whole, valid, and true to what is answered."""

import re

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from starlette.applications import Starlette
from starlette.testclient import TestClient

from mars_map import web
from mars_map.web.openapi import ANSWERS, asked_names, description, plain_path
from mars_map.web.parameters import OTHERS, QUERY
from mars_map.web.routes import HANDLERS, LOOP_HANDLERS, POST_HANDLERS

EVERY = HANDLERS | LOOP_HANDLERS | POST_HANDLERS


@pytest.fixture
def client(small_service, tmp_path):
    return TestClient(Starlette(routes=web.routes(tmp_path)), raise_server_exceptions=True)


def test_the_document_is_valid_openapi(client):
    reply = client.get("/mars/openapi.json")
    assert reply.headers["content-type"].startswith("application/vnd.oai.openapi+json")
    assert reply.json() == description()
    validate(reply.json())


@pytest.mark.parametrize("path", EVERY)
def test_every_route_is_described(path):
    """The docstring of a handler tells its address, and each name in it has a meaning."""
    described = description()["paths"][f"/mars{plain_path(path)}"]
    (operation,) = described.values()
    handler = EVERY[path]
    told = re.search(r"`/mars([^`?]*)", handler.__doc__)[1]
    assert told == plain_path(path), "the docstring tells another address"
    assert len(operation["summary"]) > 10
    names = {name for name in asked_names(handler) if name != "{query}"}
    names |= set(re.findall(r"{(\w+)", path))
    assert names <= set(OTHERS) | set(QUERY), "add it to mars_map.web.parameters"


@pytest.mark.parametrize("path", ANSWERS)
def test_answers_are_what_their_schema_says(client, path):
    tile = client.get("/mars/search?q=dunes&k=1").json()["hits"][0]["tile"]
    values = {"collection": "hits", "tile": tile}
    address = re.sub(r"{(\w+)}", lambda name: values[name[1]], f"/mars{path}")
    names = asked_names(EVERY[path])
    asked = {"q": "dunes", "k": 3} if "{query}" in names else {}
    asked |= {n: OTHERS[n].example for n in names if n in OTHERS and OTHERS[n].example is not None}
    reply = client.get(address, params=asked)
    assert reply.status_code == 200, reply.text
    described = description()["paths"][f"/mars{path}"]["get"]["responses"]["200"]["content"]
    ((media_type, content),) = described.items()
    assert reply.headers["content-type"].split(";")[0] == media_type.split(";")[0]
    schema = content["schema"] | {"components": description()["components"]}
    Draft202012Validator(schema).validate(reply.json())
    assert not Draft202012Validator(schema).is_valid([])
    if not path.startswith("/ogc") and "properties" in schema:
        assert set(reply.json()) <= set(schema["properties"]), "the schema does not name them all"


def test_refusals_are_described(client):
    schema = description()["components"]["schemas"]["Problem"]
    Draft202012Validator(schema).validate(client.get("/mars/search").json())


def test_the_page_for_people_needs_nobody_else(client):
    reply = client.get("/mars/docs")
    assert reply.headers["content-type"].startswith("text/html")
    for path in EVERY:
        assert f"/mars{plain_path(path)}<" in reply.text
    assert "<script" not in reply.text and "://" not in reply.text
