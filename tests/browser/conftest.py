"""A console on a real socket, and a real Chromium."""

import os

import pytest

from tests.browser import chromium
from tests.console.conftest import console, furnished
from tests.console.test_evaluations import runs

__all__ = ["console", "furnished", "runs"]


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/browser" not in item.path.as_posix():
            continue
        if not chromium.found():
            item.add_marker(
                pytest.mark.skip("no Chromium, or no Playwright: apt install chromium; make test-browser")
            )
        elif "smoke" not in item.name and not os.environ.get("ASSENT_TEST_BROWSER"):
            item.add_marker(pytest.mark.skip("the long form: make test-browser"))


@pytest.fixture(scope="session")
def browser():
    with chromium.started() as browser:
        yield browser


@pytest.fixture
def house(console):
    """The shop's console, on a real socket of the loopback."""
    console.browser()
    with chromium.serving(console.app) as console.address:
        yield console


@pytest.fixture
def visit(browser):
    """Open windows that are closed at the end: `visit(java_script_enabled=False)`."""
    contexts = []

    def opened(**options):
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.set_default_timeout(10_000)
        return page

    yield opened
    for context in contexts:
        context.close()
