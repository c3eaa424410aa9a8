"""Time one decision, in the core, in the SDK and through OpenFeature.

`python benchmarks/decide.py` prints JSON, microseconds per decision, and keeps it as build/bench/decide.json.
"""

import json
import os
from pathlib import Path
from timeit import repeat
from types import SimpleNamespace
from typing import Any

from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagResolutionDetails
from openfeature.provider import Metadata
from openfeature.provider.no_op_provider import NoOpProvider

from assent_client.decide import BUCKETS, compile_route, compile_routes
from assent_client.local import Local
from assent_client.openfeature import AssentProvider
from assent_client.settings import ClientSettings

LOOPS = 50_000
ROUTE: dict[str, Any] = {
    "key": "support",
    "kind": "model",
    "variants": {"stable": "sha256:" + "a" * 64, "canary": "sha256:" + "b" * 64},
    "split": [
        {"variant": "canary", "start": 0, "end": 50_000},
        {"variant": "stable", "start": 50_000, "end": BUCKETS},
    ],
    "rules": [],
    "unit": "user",
    "algo": "b2b64-v1",
    "salt": "0123456789abcdef",
    "off": "stable",
    "enabled": True,
    "rollout": None,
    "generation": 1,
}
RULE = {
    "id": "r",
    "when": [{"attribute": "organisation", "op": "in", "value": ["acme", "beta"]}],
    "variant": "canary",
}


FLAGS: dict[str, Any] = {
    "base": ROUTE | {"key": "base", "kind": "flag", "variants": {"stable": False, "canary": True}},
    "flag": ROUTE
    | {
        "key": "flag",
        "kind": "flag",
        "variants": {"stable": False, "canary": True},
        "rules": [{"id": "s", "when": [{"segment": "beta"}], "variant": "canary"}],
        "prerequisites": [{"flag": "base", "variants": ["stable"]}],
    },
}
SEGMENTS = {"beta": {"any": [RULE["when"]]}}


def microseconds(statement: str, **names: Any) -> float:
    """Give the best of ten rounds, in µs per call."""
    return round(min(repeat(statement, globals=names, number=LOOPS, repeat=10)) / LOOPS * 1e6, 3)


class Served(Local):
    """A client with a snapshot in memory, which nothing keeps current."""

    def __init__(self) -> None:
        super().__init__(ClientSettings(url="", token="", project="p", environment="e", data_dir=Path()))
        split = [
            {"variant": "on", "start": 0, "end": 50_000},
            {"variant": "off", "start": 50_000, "end": BUCKETS},
        ]
        route = ROUTE | {"kind": "flag", "variants": {"on": True, "off": False}, "split": split, "off": "off"}
        payload = SimpleNamespace(routes={"gpt4": route}, gone={}, environment="e", serial=1)
        snapshot = SimpleNamespace(payload=payload, routes={"gpt4": compile_route(route)})
        self._store = SimpleNamespace(current=snapshot)

    def wait(self, _timeout_s: float) -> bool:
        """There is a snapshot."""
        return True


class Idle(NoOpProvider):
    """Always the same answer: what remains is the work of the package openfeature-sdk."""

    metadata = Metadata("idle")
    answer = FlagResolutionDetails(False)  # noqa: FBT003 -- a flag's value

    def get_metadata(self) -> Metadata:
        """Name the provider."""
        return self.metadata

    def resolve_boolean_details(self, **_: Any) -> FlagResolutionDetails[bool]:
        """Decide nothing."""
        return self.answer


def sdk_figures() -> dict[str, float]:
    """Time a boolean flag with a split, its exposure known already, as an application asks for it."""
    served = Served()
    figures = {
        "feature_enabled_us": microseconds("ask('gpt4', user='user-1234')", ask=served.feature_enabled),
    }
    context = EvaluationContext("user-1234", {})
    for name, provider in (("openfeature", AssentProvider(served)), ("openfeature_floor", Idle())):
        api.set_provider_and_wait(provider, name)
        ask = api.get_client(name).get_boolean_value
        figures[f"{name}_us"] = microseconds("ask('gpt4', False, c)", ask=ask, c=context)
    return figures


def main() -> None:
    """Print the figures."""
    split, ruled = compile_route(ROUTE), compile_route(ROUTE | {"rules": [RULE]})
    fixed = compile_route(ROUTE | {"split": [{"variant": "stable", "start": 0, "end": BUCKETS}]})
    figures = {
        "split_us": microseconds("decide('user-1234', {})", decide=split),
        "static_us": microseconds("decide('user-1234', {})", decide=fixed),
        "rule_miss_and_split_us": microseconds(
            "decide('user-1234', c)", decide=ruled, c={"organisation": "zeta"}
        ),
        "rule_hit_us": microseconds("decide('user-1234', c)", decide=ruled, c={"organisation": "acme"}),
        "flag_after_another_and_segment_us": microseconds(
            "decide('user-1234', c)",
            decide=compile_routes(FLAGS, SEGMENTS)["flag"],
            c={"organisation": "zeta"},
        ),
    }
    figures |= sdk_figures()
    report = json.dumps({"decide": figures, "load_1min": round(os.getloadavg()[0], 1)})
    path = Path("build/bench/decide.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(report + "\n")
    print(report)


if __name__ == "__main__":
    main()
