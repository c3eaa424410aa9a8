"""An installation with a live assistant whose versions end."""

import pytest

from assent.monitoring import store as monitoring_store
from assent.retirement import store as retirement_store
from tests.delivery.conftest import opened_desk
from tests.delivery.releases import PROJECTIONS


@pytest.fixture
def desk(database, tmp_path):
    known = (*PROJECTIONS, monitoring_store.projections, retirement_store.projections)
    with opened_desk(database, tmp_path, known) as opened:
        yield opened
