"""Time one decision: `python benchmarks/decide.py` prints JSON, microseconds per decision."""

import json
from timeit import repeat
from typing import Any

from assent_client.decide import BUCKETS, compile_route, compile_routes

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
    print(json.dumps({"decide": figures}))


if __name__ == "__main__":
    main()
