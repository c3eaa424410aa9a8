"""What the server's distribution adds to the command `assent`."""

from assent.commands.root import app

__all__ = ["app"]
