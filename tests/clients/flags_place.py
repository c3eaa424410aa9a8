"""A server with flags in an environment, for providers of OpenFeature that speak OFREP."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from assent.app import create_app  # noqa: E402 -- found on the path set above
from assent.delivery import service as delivery  # noqa: E402 -- as above
from assent.flags import service  # noqa: E402 -- found on the path set above
from assent.identity import service as identity  # noqa: E402 -- as above
from tests.approvals.shop import PROJECT, open_shop  # noqa: E402 -- as above
from tests.conftest import installed  # noqa: E402 -- as above
from tests.serving import listening  # noqa: E402 -- as above

RULE = {"id": "acme", "when": [{"attribute": "organisation", "op": "in", "value": ["acme"]}], "variant": "on"}
FLAGS: dict[str, dict[str, Any]] = {
    "new-search": {"rules": [RULE]},
    "half": {"split": {"on": 0.5}},
    "greeting": {"variants": {"a": "Zürich 東京", "b": ""}, "off": "b", "split": "a"},
    "limit": {"variants": {"low": 10, "high": 100}, "off": "low", "split": "high"},
    "ratio": {"variants": {"low": 0.25, "high": 0.75}, "off": "low", "split": "high"},
    "layout": {"variants": {"a": {"columns": [1, 2]}, "b": {}}, "off": "b", "split": "a"},
    "broken": {"split": "on"},
    "by-organisation": {"split": {"on": 0.5}, "unit": "organisation"},
}


@contextmanager
def flags_standing(folder: Path) -> Iterator[dict[str, str]]:
    """Give the environment that the checks read: the base address, one that allows little, and a token."""
    with installed(folder) as desk:
        shop = open_shop(desk)

        def place(name: str) -> service.Place:
            return service.Place(project=PROJECT, environment="staging", name=name)

        for name, form in FLAGS.items():
            shop.do("ada", service.create, service.Change(place=place(name), form=form, reason="a trial"))
        shop.do("ada", service.switch_off, place("broken"), "it is")
        with desk.begin() as tx:
            account = identity.add_service(tx, "application-1")
            identity.bind(tx, account.id, "application", PROJECT)
            token = identity.issue_token(tx, account.id, "for flags", None)
        narrow = create_app(desk.runtime)
        narrow.state.ofrep_limits = delivery.RateLimit(0.5)
        with listening(desk.app) as port, listening(narrow) as narrow_port:
            base, limited = (
                f"http://127.0.0.1:{number}/v1/projects/{PROJECT}/environments/staging"
                for number in (port, narrow_port)
            )
            yield {"GATEWAY": base, "SEEN": base, "LIMITED": limited, "KEY": token}
