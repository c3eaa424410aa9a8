"""The databases that tests get: emptied in between, whatever the test before did to them."""

import pytest
import sqlalchemy as sa

from assent.installation import PROJECTIONS  # noqa: F401 -- declares every table
from assent.kernel.db import connect, metadata
from tests.databases import POSTGRES, prepared


@pytest.mark.skipif(not POSTGRES, reason="ASSENT_TEST_POSTGRES names no server")
def test_a_prepared_database_comes_back_empty_and_guarded(tmp_path):
    with prepared("postgres", tmp_path) as url:
        engine = connect(url)
        with engine.begin() as conn:
            conn.execute(sa.text("ALTER TABLE ledger_leaves DISABLE TRIGGER USER"))
            conn.execute(sa.text("INSERT INTO kernel_workers VALUES ('exe_1', 'now')"))
        left_open = engine.connect()
        left_open.execute(sa.text("SELECT 1"))
    with prepared("postgres", tmp_path) as again:
        assert again == url
        with connect(again).connect() as conn:
            for table in metadata.sorted_tables:
                assert not conn.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first(), table
            off = sa.text("SELECT count(*) FROM pg_trigger WHERE tgenabled = 'D'")
            assert conn.execute(off).scalar() == 0
    engine.dispose()
