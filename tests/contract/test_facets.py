"""Calls that were written before facets keep all that was known of them."""

import sqlalchemy as sa
from alembic import command

from assent.migrations import config
from tests.databases import before_revision

COMMON = (
    "series", "serial", "rule", "reason", "rollout", "sticky", "stream", "status", "error_class",
    "finish_reason", "response_model", "as_approved", "application", "guardrails", "language",
)  # fmt: skip
FIRST = (11, 7, None, "split", "ro_1", True, False, 200, None, "stop", "m", True, "key_1", None, "de")
SECOND = (11, 7, "r1", "rule", None, False, True, 500, "timeout", None, None, None, "key_2", "pii", None)
CALLS = {1: FIRST, 2: SECOND, 3: FIRST, 4: SECOND, 5: FIRST}


def test_calls_from_before_facets_keep_every_column(any_database, tmp_path):
    url = any_database or f"sqlite:///{tmp_path / 'old.db'}"
    with before_revision(url, "_calls_share_facets.py") as (engine, revision):
        before = sa.Table("monitoring_calls", sa.MetaData(), autoload_with=engine)
        with engine.connect() as conn, conn.execution_options(assent_writes=True).begin():
            for n, values in CALLS.items():
                own = {"n": n, "completion": f"c{n}", "at": float(n), "unit": f"u{n}", "latency_s": n / 10}
                conn.execute(before.insert().values({**own, **dict(zip(COMMON, values, strict=True))}))
        command.upgrade(config(url), revision)
        after = sa.MetaData()
        calls = sa.Table("monitoring_calls", after, autoload_with=engine)
        facets = sa.Table("monitoring_facets", after, autoload_with=engine)
        assert not set(COMMON) & set(calls.c.keys())
        with engine.connect() as conn:
            wanted = sa.select(calls.c.n, *(facets.c[name] for name in COMMON)).join(
                facets, calls.c.facet == facets.c.id
            )
            found = {row[0]: tuple(row[1:]) for row in conn.execute(wanted)}
            seen = conn.execute(sa.select(facets.c.seen_at).order_by(facets.c.seen_at)).scalars().all()
            own = conn.execute(
                sa.select(calls.c.completion, calls.c.unit, calls.c.latency_s).where(calls.c.n == 4)
            ).one()
    assert found == CALLS
    assert seen == [4.0, 5.0]
    assert tuple(own) == ("c4", "u4", 0.4)
