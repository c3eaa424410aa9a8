"""Send made-up customers to the assistant through a gateway, and thumbs-down where they dislike an answer.

ASSENT_KEY=assent_app_… python examples/support/traffic.py --seconds 60 --dislike 2.2.0=0.6

Prints what the customers saw: requests, failures, and by version how many calls and thumbs-down.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from examples.story.processes import StoryFailed  # noqa: E402 -- the folder above comes first
from examples.story.traffic import Audience, Seen, Traffic  # noqa: E402 -- as above

SYSTEM = "customer-support-assistant"
USUALLY_UNHAPPY = 0.05


def main() -> int:
    """Send traffic for a time; 1 where a request failed."""
    options = _options()
    dislikes = dict(_dislike(text) for text in options.dislike)
    questions = [json.loads(line)["input"] for line in _lines("questions.jsonl")]
    audience = Audience(
        url=options.url,
        key=options.key,
        model=SYSTEM,
        questions=questions,
        rate=options.rate,
        unhappy=lambda version: dislikes.get(version, USUALLY_UNHAPPY),
    )
    traffic = Traffic(audience).start()
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait(options.seconds)
    try:
        seen = traffic.stop()
    except StoryFailed as failure:
        sys.stderr.write(f"traffic: {failure}\n")
        return 1
    _print(seen)
    return 1 if seen.n_failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    gateway = os.environ.get("ASSENT_GATEWAY", "http://127.0.0.1:8401")
    parser.add_argument("--url", default=gateway + "/v1", help="the gateway (default: $ASSENT_GATEWAY/v1)")
    parser.add_argument(
        "--key", default=os.environ.get("ASSENT_KEY"), help="an application's key (default: $ASSENT_KEY)"
    )
    parser.add_argument("--rate", type=float, default=60, help="requests a second (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=60, help="how long (default: %(default)s)")
    parser.add_argument(
        "--dislike",
        action="append",
        default=[],
        metavar="VERSION=SHARE",
        help="share of customers that dislike a version (default: 0.05 of them dislike each)",
    )
    options = parser.parse_args()
    if not options.key:
        parser.error("give --key or set ASSENT_KEY; `assent key issue` makes one")
    return options


def _dislike(text: str) -> tuple[str, float]:
    version, _, share = text.partition("=")
    return f"{SYSTEM}@{version.rpartition('@')[2]}", float(share)


def _lines(name: str) -> Sequence[str]:
    return (Path(__file__).parent / "data" / name).read_text(encoding="utf-8").splitlines()


def _print(seen: Seen) -> None:
    sys.stdout.write(f"{seen.n} requests, {seen.rate:.0f} a second, {seen.n_failed} failed\n")
    for version, n in sorted(seen.by_version.items()):
        sys.stdout.write(f"{version}: {n} calls, {seen.thumbs_down[version]} thumbs-down\n")
    for failure, n in seen.failures.most_common(3):
        sys.stdout.write(f"failed {n} times: {failure}\n")


if __name__ == "__main__":
    sys.exit(main())
