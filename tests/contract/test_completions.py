"""Calls that were written before they were written in the order of time are found, and taken once, as before."""

import sqlalchemy as sa
from alembic import command

from assent.migrations import config
from assent.monitoring.store import observations
from assent.monitoring.store.tables import ROWS_PER_BATCH, facets
from tests.databases import before_revision

NUMBERS = [*range(3 * ROWS_PER_BATCH, 3 * ROWS_PER_BATCH + 5), 1 << 40, (1 << 40) + 1]


def test_calls_from_before_are_found_and_taken_once(any_database, tmp_path):
    url = any_database or f"sqlite:///{tmp_path / 'old.db'}"
    with before_revision(url, "_in_order_of_time.py") as (engine, _):
        before = sa.Table("monitoring_calls", sa.MetaData(), autoload_with=engine)
        shared = {"id": 1, "series": 11, "serial": 7, "reason": "split", "rollout": "ro_1", "sticky": True}
        shared |= {"stream": False, "status": 200, "application": "key_1", "unguarded": False, "seen_at": 0.0}
        with engine.connect() as conn, conn.execution_options(assent_writes=True).begin():
            conn.execute(sa.insert(facets).values(shared))
            for n in NUMBERS:
                own = {"completion": f"c{n}", "at": float(n), "unit": f"u{n}", "latency_s": 0.1}
                conn.execute(before.insert().values(n=n, facet=1, **own))
        command.upgrade(config(url), "head")
        wanted = [f"c{n}" for n in NUMBERS]
        again = [(n + 100, f"c{n}", float(n), 1, "u", 0.1, None, None, None) for n in NUMBERS]
        new = (5, "c5", 5.0, 1, "u", 0.1, None, None, None)
        with engine.connect() as conn, conn.execution_options(assent_writes=True).begin():
            found = observations.find_calls(conn, wanted)
            n_written = observations.add_calls(conn, 7, [*again, new])
    assert {name: one.unit for name, one in found.items()} == {f"c{n}": f"u{n}" for n in NUMBERS}
    assert n_written == 1
