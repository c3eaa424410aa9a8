"""The database's schema as a line of revisions, kept in the wheel (Alembic)."""

import logging
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from assent.kernel.db import connect
from assent.kernel.errors import Unavailable

FOLDER = Path(__file__).parent


def config(url: str = "") -> Config:
    """Give Alembic's configuration; there is no ini file."""
    made = Config()
    made.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    made.attributes["url"] = url
    return made


def upgrade(url: str) -> None:
    """Bring the schema to the newest revision; a current one is left alone."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    engine = connect(url, pool_size=1)
    try:
        if _revision(engine) != _newest():
            command.upgrade(config(url), "head")
    finally:
        engine.dispose()


def require_current(engine: sa.Engine) -> None:
    """Check that the schema is the one this release knows. Raises: Unavailable."""
    found, newest = _revision(engine), _newest()
    if found != newest:
        raise Unavailable(
            f"The database's schema is {found or 'not there'}; this release works with {newest}.",
            remedy="Run `assent init` (it keeps what is there), or use the release that made it.",
        )


def _revision(engine: sa.Engine) -> str | None:
    with engine.connect() as conn:
        return MigrationContext.configure(conn).get_current_revision()


def _newest() -> str | None:
    return ScriptDirectory.from_config(config()).get_current_head()
