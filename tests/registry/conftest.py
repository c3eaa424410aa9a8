"""A shelf to register versions on, on each database."""

import pytest

from tests.prompts.shelf import BOTH, database_for, opened_shelf


@pytest.fixture(params=BOTH)
def shelf(request, tmp_path):
    with database_for(request.param, tmp_path) as database, opened_shelf(database, tmp_path) as opened:
        yield opened


@pytest.fixture
def client(shelf):
    with shelf.client() as opened:
        yield opened
