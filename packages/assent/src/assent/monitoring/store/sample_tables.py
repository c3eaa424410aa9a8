"""Tables of sampled answers. Times are seconds since 1970, as in all tables that calls write to."""

import sqlalchemy as sa

from assent.kernel.db import Utc, table
from assent.monitoring.store.tables import DIGEST, ID, KEY, NAME

SAMPLE = sa.String(32)

samples = table(
    "monitoring_samples",  # one per sampled call: how it was judged; its contents are elsewhere
    sa.Column("id", SAMPLE, primary_key=True),
    sa.Column("project", NAME, nullable=False),
    sa.Column("environment", NAME, nullable=False),
    sa.Column("route", KEY, nullable=False),
    sa.Column("variant", KEY, nullable=False),
    sa.Column("version", DIGEST, nullable=False),
    sa.Column("rule", KEY),
    sa.Column("reason", ID, nullable=False),
    sa.Column("rollout", ID),
    sa.Column("unit", ID, nullable=False),
    sa.Column("completion", KEY),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("n_redacted", sa.BigInteger, nullable=False),
    sa.Column("is_cut", sa.Boolean, nullable=False),
    sa.Column("state", sa.String(12), nullable=False),  # see `domain.quality.State`
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_at", sa.Double, nullable=False),  # the judge is not asked before; while it is: until when
    sa.Column("judged_at", sa.Double),
    sa.Column("score", sa.Double),
    sa.Column("passport", ID),
    sa.Column("in_window", sa.Boolean),  # counted in its unit's score
    sa.Index("ix_monitoring_samples_due", "project", "environment", "route", "state", "next_at"),
    sa.Index("ix_monitoring_samples_at", "at"),
    kind="operational",
)
contents = table(
    "monitoring_contents",  # questions and answers of samples, sealed; erased after their time
    sa.Column("sample", SAMPLE, primary_key=True),
    sa.Column("project", NAME, nullable=False),
    sa.Column("environment", NAME, nullable=False),
    sa.Column("route", KEY, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("sealed", sa.Text, nullable=False),
    sa.Index("ix_monitoring_contents_at", "project", "environment", "route", "at"),
    kind="operational",
)
judges = table(
    "monitoring_judges",  # whether the judge of a sampling answers
    sa.Column("project", NAME, primary_key=True),
    sa.Column("environment", NAME, primary_key=True),
    sa.Column("route", KEY, primary_key=True),
    sa.Column("n_failures", sa.Integer, nullable=False),
    sa.Column("failing_since", sa.Double),
    sa.Column("next_at", sa.Double, nullable=False),
    sa.Column("answered_at", sa.Double),
    sa.Column("why", sa.String(300), nullable=False),
    kind="operational",
)
openings = table(
    "monitoring_openings",  # who read which sample
    sa.Column("event", ID, primary_key=True),
    sa.Column("project", NAME, nullable=False),
    sa.Column("sample", SAMPLE, nullable=False),
    sa.Column("opened_at", Utc, nullable=False),
    sa.Column("opened_by", ID, nullable=False),
    sa.Index("ix_monitoring_openings_sample", "project", "sample"),
    kind="governed",
)
