"""A shelf to register versions on, on each database."""

import pytest

from tests.prompts.shelf import opened_shelf


@pytest.fixture
def shelf(database, tmp_path):
    with opened_shelf(database, tmp_path) as opened:
        yield opened


@pytest.fixture
def client(shelf):
    with shelf.client() as opened:
        yield opened
