"""Write the next revision from what the tables say: `python -m assent.commands.revision "what changes"`.

Read what it writes: triggers, and changes of data, are added by hand.
"""

import sys
import tempfile
from pathlib import Path

from alembic import command

import assent.installation  # noqa: F401 -- declares every table
from assent.migrations import FOLDER, config, upgrade


def write(message: str) -> None:
    """Compare the tables with a database at the newest revision, and write what differs."""
    n = len(list((FOLDER / "versions").glob("[0-9]*.py"))) + 1
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'head.db'}"
        if n > 1:
            upgrade(url)
        command.revision(config(url), message, autogenerate=True, rev_id=f"{n:04}")


if __name__ == "__main__":
    write(sys.argv[1])
