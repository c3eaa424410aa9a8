"""The client's forge and its small server, for targets too."""

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parents[1] / "client")]

from served import running  # noqa: E402 -- found on the path set above


@pytest.fixture
def server():
    with running() as server:
        yield server
