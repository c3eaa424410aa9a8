"""Calls that applications made of a version, as a gateway reports them."""

from datetime import timedelta

import msgspec

from assent.kernel.tx import SYSTEM
from assent.monitoring import service as monitoring
from assent_client.observe import Call
from tests.approvals.shop import PROJECT


def called(shop, version, *applications):
    """Report one answered call by each application, a second ago."""
    at = shop.clock.now() - timedelta(seconds=1)
    rows = [
        Call(
            at=at, environment="production", route=version.name, variant="stable", version=version.digest,
            serial=1, rule=None, reason="split", rollout=None, unit=f"u{n}", sticky=True, stream=False,
            completion_id=f"cmpl-{application}-{n}", status=200, error_class=None, latency_s=0.2, ttft_s=None,
            tokens_in=1, tokens_out=1, finish_reason="stop", response_model="m", as_approved=True,
            application=application,
        )
        for n, application in enumerate(applications)
    ]  # fmt: skip
    envelope = {"batch": f"b-{at.timestamp()}", "instance": "gw", "project": PROJECT, "n_dropped": 0}
    body = msgspec.json.encode({**envelope, "observations": rows})
    shop.do(SYSTEM, lambda tx: monitoring.take(tx, monitoring.parse(body, tx.now()), body))
