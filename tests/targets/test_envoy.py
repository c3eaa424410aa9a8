"""A real Envoy follows our files: the same buckets as `decide`, changes, rollback, switch-off."""

import httpx
import pytest

from assent_client.decide import BUCKETS, bucket, compile_routes
from assent_client.targets import Desired, Slice, Target, read_settings
from tests.targets.engine import backend, binary, running, until

STABLE, CANARY = "assistant@2.0.0", "assistant@2.1.0"

pytestmark = pytest.mark.skipif(binary() is None, reason="no Envoy: make test-envoy brings one")


def desired(share, generation=1):
    slices = (
        [Slice(CANARY, 0, share), Slice(STABLE, share, BUCKETS)] if share else [Slice(STABLE, 0, BUCKETS)]
    )
    return Desired(route="assistant", generation=(0, generation), slices=slices)


@pytest.fixture
def place(tmp_path):
    folder = tmp_path / "assent"
    with backend() as stable, backend() as canary:
        backends = {
            ref: {"host": "127.0.0.1", "port": port} for ref, port in ((STABLE, stable), (CANARY, canary))
        }
        document = {"kind": "envoy", "route": "assistant", "folder": str(folder), "backends": backends}
        Target(read_settings(document)).apply(desired(50_000))
        with running(folder, tmp_path / "envoy.log") as (admin, url), httpx.Client(base_url=url) as http:
            yield Target(read_settings({**document, "admin": admin})), http


def version(http, number):
    return http.get("/", headers={"x-assent-bucket": str(number)}).headers.get("x-assent-version")


def applied(target, http, number, ref):
    until(lambda: version(http, number) == ref, f"{ref} for bucket {number}")


def test_envoy_chooses_what_decide_chooses(place):
    target, http = place
    assert target.observe().weights == {CANARY: 50_000, STABLE: 950_000}
    split = [
        {"variant": "canary", "start": 0, "end": 50_000},
        {"variant": "stable", "start": 50_000, "end": BUCKETS},
    ]
    route = {
        "key": "assistant", "kind": "model", "variants": {"canary": CANARY, "stable": STABLE}, "split": split, "rules": [],
        "unit": "user", "algo": "b2b64-v1", "salt": "salt", "off": "stable", "enabled": True, "rollout": None, "generation": 1,
    }  # fmt: skip
    decide = compile_routes({"assistant": route})["assistant"]
    units = [f"user-{n}" for n in range(400)]
    found = [version(http, bucket("salt", unit)) for unit in units]
    assert found == [decide(unit, {}).value for unit in units]
    assert 5 < found.count(CANARY) < 45
    for edge, ref in ((0, CANARY), (49_999, CANARY), (50_000, STABLE), (999_999, STABLE)):
        assert version(http, edge) == ref


def test_a_change_a_rollback_and_a_switch_off_take_effect(place):
    target, http = place
    target.apply(desired(200_000, generation=2))
    applied(target, http, 199_999, CANARY)
    until(lambda: target.observe().generation == "0.2", "the generation in Envoy")
    back = target.roll_back()
    assert (back.restores, back.generation) == (1, (0, 2))
    applied(target, http, 199_999, STABLE)
    assert version(http, 49_999) == CANARY
    assert target.apply(desired(200_000, generation=2)) == back
    target.apply(Desired(route="assistant", generation=(0, 3), slices=[]))
    until(lambda: http.get("/").status_code == 503, "the switch-off")
    assert "switched off" in http.get("/").text


def test_no_call_fails_while_shares_change(place):
    target, http = place
    for generation in range(2, 30):
        target.apply(desired(50_000 * (generation % 7), generation=generation))
        assert {http.get("/").status_code for _ in range(10)} == {200}
    assert target.observe().source == "engine"
