"""Parts that the client's tests share."""

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "gateway")]

from plane import Upstream  # noqa: E402 -- found on the path set above
from served import running  # noqa: E402 -- as above

from assent_client.client import ClientSettings  # noqa: E402 -- as above


@pytest.fixture
def server():
    with running() as server:
        yield server


@pytest.fixture
def upstream():
    upstream = Upstream()
    upstream.start()
    yield upstream
    upstream.stop()


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
