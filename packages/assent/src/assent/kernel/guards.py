"""Triggers that refuse a change of what is registered for good, whoever tries it."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

WHY = "a registered version never changes"
GUARDED = "guarded"

_POSTGRES_FUNCTION = f"""
CREATE OR REPLACE FUNCTION kernel_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '{WHY}'; END $$
"""


def guards(name: str, dialect: str, verbs: Sequence[str] = ("UPDATE", "DELETE")) -> Sequence[str]:
    """Give the statements that make a table refuse `verbs`, for `create_all` and migrations."""
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER IF NOT EXISTS {name}_no_{verb.lower()} BEFORE {verb} ON {name} "
            f"BEGIN SELECT RAISE(ABORT, '{WHY}'); END"
            for verb in verbs
        ]
    events = " OR ".join([*verbs, *(["TRUNCATE"] if "DELETE" in verbs else [])])
    return [
        _POSTGRES_FUNCTION,
        (
            f"CREATE OR REPLACE TRIGGER {name}_unchanging BEFORE {events} ON {name} "
            "FOR EACH STATEMENT EXECUTE FUNCTION kernel_refuse_change()"
        ),
    ]


def unchanging(table: sa.Table, *, erasable: bool = False) -> sa.Table:
    """Have a table refuse UPDATE, and DELETE too unless its rows are bodies that may be erased."""
    verbs = ("UPDATE",) if erasable else ("UPDATE", "DELETE")
    table.info[GUARDED] = verbs

    def install(created: sa.Table, conn: sa.Connection, **_: Any) -> None:
        for statement in guards(created.name, conn.dialect.name, verbs):
            conn.exec_driver_sql(statement)

    sa.event.listen(table, "after_create", install)
    return table
