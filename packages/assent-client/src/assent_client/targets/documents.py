"""The documents that engines read. Source: Envoy's v3 API; gateway.networking.k8s.io/v1, HTTPRoute."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from assent_client.targets.desired import Backend, Desired, Settings

Document = dict[str, Any]

_TYPE: Final = "type.googleapis.com/envoy.config"
_UNNAMED: Final = re.compile(r"[^a-z0-9.-]+")


def render(desired: Desired, settings: Settings) -> dict[str, Document]:
    """Write what an engine reads, by file name, in the order in which it is to be put there."""
    if settings.kind == "httproute":
        return {"httproute.json": httproute(desired, settings)}
    return {"clusters.json": clusters(settings), "routes.json": routes(desired, settings)}


def clusters(settings: Settings) -> Document:
    """Write one cluster for each backend, in use or not: a change of weights never waits for a cluster."""
    return {"resources": [_cluster(ref, backend) for ref, backend in sorted(settings.backends.items())]}


def _cluster(ref: str, backend: Backend) -> Document:
    address = {"socket_address": {"address": backend.host, "port_value": backend.port}}
    return {
        "@type": f"{_TYPE}.cluster.v3.Cluster",
        "name": ref,
        "type": "STRICT_DNS",
        "connect_timeout": "2s",
        "load_assignment": {
            "cluster_name": ref,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }


def routes(desired: Desired, settings: Settings) -> Document:
    """Write the route configuration `assent`; its version is the snapshot's position.

    Envoy takes the number in `bucket_header` modulo the sum of weights, and walks the list: with our ranges
    in their order it chooses what `decide` chooses. A call without the header is placed at random.
    """
    return {
        "version_info": ".".join(map(str, desired.generation)),
        "resources": [
            {
                "@type": f"{_TYPE}.route.v3.RouteConfiguration",
                "name": "assent",
                "virtual_hosts": [
                    {
                        "name": desired.route,
                        "domains": settings.hostnames or ["*"],
                        "routes": [{"match": {"prefix": "/"}, **_action(desired, settings)}],
                    }
                ],
            }
        ],
    }


def _action(desired: Desired, settings: Settings) -> Document:
    if not desired.slices:
        text = f"{desired.route} is switched off."
        return {"direct_response": {"status": 503, "body": {"inline_string": text}}}
    weighted = [
        {
            "name": one.ref,
            "weight": one.end - one.start,
            "response_headers_to_add": [{"header": {"key": "x-assent-version", "value": one.ref}}],
        }
        for one in desired.slices
    ]
    return {"route": {"weighted_clusters": {"clusters": weighted, "header_name": settings.bucket_header}}}


def httproute(desired: Desired, settings: Settings) -> Document:
    """Write a Gateway API HTTPRoute; each backend's weight is its millionths."""
    weights: dict[str, int] = {}
    for one in desired.slices:
        weights[one.ref] = weights.get(one.ref, 0) + one.end - one.start
    spec: Document = {
        "parentRefs": [{"name": settings.parent}],
        "rules": [{"backendRefs": [_backend(settings.backends[ref], n) for ref, n in weights.items()]}],
    }
    if settings.hostnames:
        spec["hostnames"] = settings.hostnames
    generation = ".".join(map(str, desired.generation))
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {
            "name": _UNNAMED.sub("-", desired.route.lower()).strip("-."),
            "namespace": settings.namespace,
            "annotations": {"assent/generation": generation},
        },
        "spec": spec,
    }


def _backend(backend: Backend, weight: int) -> Mapping[str, Any]:
    return {"name": backend.host, "port": backend.port, "weight": weight}
