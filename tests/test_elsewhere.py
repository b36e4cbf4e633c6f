"""Addresses of a place at Murray Lab, the PDS and Mars Trek."""

from urllib.parse import parse_qs, urlsplit

import pytest

from mars_map.planet.elsewhere import ctx_quad_name, place_links


@pytest.mark.parametrize(
    ("lon", "lat", "name"),
    [
        (-3.9, -7.9, "E-004_N-08"),
        (4.1, -27.0, "E004_N-28"),
        (0.0, 0.0, "E000_N00"),
        (-0.1, 3.9, "E-004_N00"),
        (179.9, 87.9, "E176_N84"),
        (180.0, -88.0, "E-180_N-88"),
        (282.0, 18.0, "E-080_N16"),
    ],
)
def test_quads_are_named_by_their_south_west_corner(lon, lat, name):
    assert ctx_quad_name(lon, lat) == name


def test_the_mosaic_has_no_poles():
    assert ctx_quad_name(10.0, 88.0) is None and ctx_quad_name(10.0, -88.1) is None
    assert not any("CTX quad" in link.title for link in place_links((0, 89, 3, 90)))


def test_links_hold_the_place():
    links = {link.title: link.address for link in place_links((-60.2, -14.0, -60.0, -13.8))}
    assert links["CTX quad E-064_N-16"].endswith("/MurrayLab_GlobalCTXMosaic_V01_E-064_N-16.zip")
    asked = parse_qs(urlsplit(links["HiRISE images (PDS ODE)"]).query)
    assert (asked["westernlon"], asked["easternlon"]) == (["299.8000"], ["300.0000"])
    assert (asked["minlat"], asked["maxlat"]) == (["-14.0000"], ["-13.8000"])
    assert "x=-60.1000&y=-13.9000" in links["Mars Trek"]
    last = parse_qs(urlsplit(place_links((-0.5, 0, 0.0, 0.5))[1].address).query)
    assert last["easternlon"] == ["360.0000"], "a box that ends at 0 E ends at 360 for ODE"
