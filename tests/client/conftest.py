"""Parts that the client's tests share."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from served import running

from assent_client.client import ClientSettings


@pytest.fixture
def server():
    with running() as server:
        yield server


@pytest.fixture
def settings(server, tmp_path):
    return ClientSettings(
        url=f"http://127.0.0.1:{server.server_port}",
        token="t",
        project="acme",
        environment="production",
        data_dir=tmp_path,
        poll_s=0.3,
    )
