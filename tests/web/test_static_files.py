import hashlib
import json
import re
from importlib.resources import files

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from assent.kernel.errors import NotFound
from assent.web.static_files import STATIC_FILES, static_route, static_url

VENDOR = files("assent.web") / "static" / "vendor"
VENDORED = json.loads((VENDOR / "vendored.json").read_text())
CSS = (files("assent.web") / "static" / "assent.css").read_text()


@pytest.fixture
def browser():
    return TestClient(Starlette(routes=[static_route]), base_url="http://127.0.0.1:8400")


@pytest.mark.parametrize("package", VENDORED, ids=lambda package: package["package"])
def test_vendored_files_are_those_that_were_reviewed(package):
    for path, sha256 in package["files"].items():
        assert hashlib.sha256(VENDOR.joinpath(*path.split("/")).read_bytes()).hexdigest() == sha256
    assert any(path.endswith("LICENSE") for path in package["files"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", package["version"])


def test_every_vendored_file_stands_in_the_manifest():
    listed = {path for package in VENDORED for path in package["files"]}
    present = {
        f"{folder.name}/{f.name}" for folder in VENDOR.iterdir() if folder.is_dir() for f in folder.iterdir()
    }

    assert present == listed


@pytest.mark.parametrize("path", sorted(STATIC_FILES))
def test_a_file_is_served_under_the_address_of_its_content_for_ever(browser, path):
    answer = browser.get(static_url(path))

    assert answer.status_code == 200
    assert answer.content == STATIC_FILES[path].content
    assert "immutable" in answer.headers["cache-control"]


@pytest.mark.parametrize(
    "address",
    ["/static/0000000000000000/assent.css", "/static/x/../../pages.py", "/static/x/vendor/vendored.json"],
)
def test_nothing_else_is_served(browser, address):
    assert browser.get(address).status_code == 404


def test_an_unknown_file_has_no_address():
    with pytest.raises(NotFound):
        static_url("missing.css")


def tokens():
    """Read the colours of both themes from the style sheet."""
    found = re.findall(r"--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", CSS)
    return [{name: light for name, light, _ in found}, {name: dark for name, _, dark in found}]


def luminance(colour):
    def linear(channel):
        return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(int(colour[i : i + 2], 16) / 255) for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    """Source: WCAG 2.2, contrast ratio."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


TEXT = [
    ("foreground", "background"),
    ("muted-foreground", "background"),
    ("muted-foreground", "card"),
    ("muted-foreground", "muted"),
    ("muted-foreground", "faint"),
    ("muted-foreground", "good-ground"),
    ("muted-foreground", "bad-ground"),
    ("faint-foreground", "background"),
    ("faint-foreground", "card"),
    ("primary", "background"),
    ("primary", "card"),
    ("primary-foreground", "primary"),
    ("secondary-foreground", "secondary"),
    ("danger-foreground", "danger"),
    ("success-foreground", "success"),
    ("warning-foreground", "warning"),
    ("foreground", "good-ground"),
    ("foreground", "bad-ground"),
    *((tone, f"{tone}-ground") for tone in ("good", "bad", "warn", "busy", "quiet")),
    *((tone, "card") for tone in ("good", "bad", "warn", "busy", "quiet")),
]
MARKS = [("input", "background"), ("input", "card"), ("ring", "background"), ("ring", "card")]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("front", "ground"), TEXT)
def test_text_has_the_contrast_of_wcag_aa(theme, front, ground):
    colours = tokens()[theme]

    assert contrast(colours[front], colours[ground]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("front", "ground"), MARKS)
def test_borders_of_fields_and_the_focus_ring_can_be_seen(theme, front, ground):
    colours = tokens()[theme]

    assert contrast(colours[front], colours[ground]) >= 3


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_marked_words_of_a_diff_can_be_read(theme):
    grounds = re.findall(
        r"\.diff \.line (?:del|ins) \{ background: light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", CSS
    )

    assert len(grounds) == 2
    assert all(contrast(tokens()[theme]["foreground"], pair[theme]) >= 4.5 for pair in grounds)
