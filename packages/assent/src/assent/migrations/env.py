"""What Alembic runs: one transaction for all revisions that are due."""

from typing import Literal

import sqlalchemy as sa
from alembic import context

from assent.kernel.db import Json, Utc, connect, metadata

LOCK = 0x41535345  # any number that other programs on this PostgreSQL do not lock


def _ours(obj: object, name: str | None, type_: str, reflected: bool, compare_to: object) -> bool:  # noqa: ARG001, FBT001 -- Alembic's signature
    """Leave alone what others keep in the same database, such as the job engine's tables."""
    return not (type_ == "table" and reflected and name not in metadata.tables)


def _render(kind: str, item: object, _context: object) -> str | Literal[False]:
    """Write our column types as what they are in the database: a revision never changes with the code."""
    if kind == "type" and isinstance(item, Utc):
        return "sa.String(27)"
    return "sa.Text()" if kind == "type" and isinstance(item, Json) else False


def _run() -> None:
    engine = connect(context.config.attributes["url"], pool_size=1)
    with engine.connect() as conn:
        conn.execution_options(assent_writes=True)
        with conn.begin():
            if conn.dialect.name == "postgresql":
                conn.execute(sa.text("SET LOCAL lock_timeout = '10s'"))
                conn.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
            context.configure(
                connection=conn,
                target_metadata=metadata,
                include_object=_ours,
                render_item=_render,
                transactional_ddl=True,
            )
            context.run_migrations()
    engine.dispose()


_run()
