"""Tables of delivery."""

from __future__ import annotations

import sqlalchemy as sa

from assent.kernel.db import Json, Utc, table

NAME = sa.String(63)
ID = sa.String(64)
DIGEST = sa.String(71)

routes = table(
    "delivery_routes",
    sa.Column("project", NAME, primary_key=True),
    sa.Column("environment", NAME, primary_key=True),
    sa.Column("name", NAME, primary_key=True),
    sa.Column("document", Json, nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("changed_at", Utc, nullable=False),
    sa.Column("warm_until", Utc, index=True),
    kind="governed",
)
rollouts = table(
    "delivery_rollouts",
    sa.Column("id", ID, primary_key=True),
    sa.Column("project", NAME, nullable=False),
    sa.Column("environment", NAME, nullable=False),
    sa.Column("name", NAME, nullable=False),
    sa.Column("kind", sa.String(10), nullable=False),
    sa.Column("subject", DIGEST, nullable=False, index=True),
    sa.Column("ref", sa.String(200), nullable=False),
    sa.Column("request", ID, nullable=False, index=True),
    sa.Column("plan", Json, nullable=False),
    sa.Column("plan_digest", DIGEST, nullable=False),
    sa.Column("salt", sa.String(64), nullable=False),
    sa.Column("state", sa.String(15), nullable=False, index=True),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("step_started_at", Utc),
    sa.Column("units_before", sa.Integer, nullable=False),
    sa.Column("stable", DIGEST),
    sa.Column("receipt", Json),
    sa.Column("because", sa.String(20)),
    sa.Column("guard", sa.String(30)),
    sa.Column("e_value", sa.String(40)),
    sa.Column("figures", Json),
    sa.Column("winner", sa.String(10)),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("planned_by", ID, nullable=False),
    sa.Column("planned_at", Utc, nullable=False),
    sa.Column("started_by", ID),
    sa.Column("started_at", Utc),
    sa.Column("ended_by", ID),
    sa.Column("ended_at", Utc),
    sa.Column("reason", DIGEST),
    sa.Index("ix_delivery_rollouts_name", "project", "environment", "name"),
    kind="governed",
)
admissions = table(
    "delivery_admissions",
    sa.Column("project", NAME, primary_key=True),
    sa.Column("environment", NAME, primary_key=True),
    sa.Column("subject", DIGEST, primary_key=True),
    sa.Column("kind", sa.String(15), nullable=False),
    sa.Column("event", ID, nullable=False),
    sa.Column("admitted_at", Utc, nullable=False),
    kind="governed",
)
samplings = table(
    "delivery_samplings",  # whose answers a judge grades on live calls; a name that has none is not sampled
    sa.Column("project", NAME, primary_key=True),
    sa.Column("environment", NAME, primary_key=True),
    sa.Column("name", NAME, primary_key=True),
    sa.Column("judge", NAME, nullable=False),
    sa.Column("share", sa.String(10), nullable=False),
    sa.Column("per_day", sa.Integer, nullable=False),
    sa.Column("keep_days", sa.Integer, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("salt", sa.String(64), nullable=False),
    sa.Column("key", sa.String(44), nullable=False),
    sa.Column("set_at", Utc, nullable=False),
    sa.Column("set_by", ID, nullable=False),
    kind="governed",
)
judgements = table(
    "delivery_judgements",
    sa.Column("rollout", ID, primary_key=True),
    sa.Column("judged_at", Utc, nullable=False),
    sa.Column("judgement", Json, nullable=False),
    kind="operational",
)
acknowledgements = table(
    "delivery_acknowledgements",
    sa.Column("project", NAME, primary_key=True),
    sa.Column("environment", NAME, primary_key=True),
    sa.Column("account", ID, primary_key=True),
    sa.Column("replica", sa.String(100), primary_key=True),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("serial", sa.Integer, nullable=False),
    sa.Column("acknowledged_at", Utc, nullable=False),
    kind="operational",
)
drills = table(
    "delivery_drills",
    sa.Column("id", ID, primary_key=True),
    sa.Column("project", NAME, nullable=False),
    sa.Column("environment", NAME, nullable=False),
    sa.Column("name", NAME, nullable=False),
    sa.Column("drilled_at", Utc, nullable=False),
    sa.Column("drilled_by", ID, nullable=False),
    sa.Column("event", ID, nullable=False),
    sa.Column("measured_at", Utc),
    sa.Column("slowest_ms", sa.Integer),
    sa.Column("replicas", Json),
    sa.Column("silent", Json),
    sa.Index("ix_delivery_drills_name", "project", "environment", "name"),
    kind="governed",
)
