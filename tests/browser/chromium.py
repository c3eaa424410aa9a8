"""A real Chromium that looks at a real server: where it is found, how it signs in, what axe-core says."""

import os
import shutil
import threading
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import uvicorn

from assent.app import bind

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
VENDORED = Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js"
PICTURES = Path(__file__).parents[2] / "build" / "browser"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
WIDTHS = {"narrow": {"width": 360, "height": 800}, "wide": {"width": 1440, "height": 900}}
LOOKS = [(width, scheme) for width in WIDTHS for scheme in ("light", "dark")]
READY_S = 15


@cache
def found():
    """Give the path of the system's Chromium; empty where there is none, or nothing to drive it with."""
    if find_spec("playwright") is None:
        return ""
    named = os.environ.get("ASSENT_TEST_CHROMIUM", "")
    return named or next(filter(None, map(shutil.which, NAMES)), "")


@contextmanager
def started():
    """Run one headless Chromium."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 -- only `make test-browser` brings it

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found(), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def serving(app):
    """Serve an application on a free port of the loopback; gives its address."""
    with bind("127.0.0.1", 0) as bound:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        ready = threading.Event()
        server.startup, begun = None, server.startup

        async def startup(sockets=None):
            await begun(sockets=sockets)
            ready.set()

        server.startup = startup
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        try:
            assert ready.wait(READY_S), "the server did not start"
            yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(READY_S)


def sign_in(page, house, name):
    """Sign in as a person does, by a one-time link."""
    page.goto(f"{house.address}/sign-in")
    page.get_by_label("One-time link, or its code").fill(house.link(name))
    page.locator("#code").press("Enter")
    page.get_by_text(f"Signed in as {name}").wait_for()


def violations(page):
    """Give what axe-core finds against WCAG 2.2 A and AA, one line for each element."""
    if not page.evaluate("typeof axe !== 'undefined'"):
        page.evaluate(VENDORED.read_text(encoding="utf-8"))
    result = page.evaluate(
        "tags => axe.run(document, {runOnly: {type: 'tag', values: tags}, resultTypes: ['violations']})", TAGS
    )
    assert result["passes"], "axe-core looked at nothing"
    return [
        f"{rule['id']}: {node['html'][:160]} ({node['failureSummary'][:200]})"
        for rule in result["violations"]
        for node in rule["nodes"]
    ]


def overflow(page):
    """Tell by how many pixels the document is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def show(page, look, name):
    """Keep a picture under build/browser/."""
    folder = PICTURES / look
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"{name}.png", full_page=True)
