"""An upstream that answers from recorded completions: for drills, backtests and demonstrations."""

from assent.providers.replay.player import Drill, Player
from assent.providers.replay.recordings import Recordings, read_recordings
from assent.providers.replay.server import Replay, serve

__all__ = ["Drill", "Player", "Recordings", "Replay", "read_recordings", "serve"]
