"""Tables of monitoring.

Times in the tables that every call writes to are seconds since 1970 (a float costs a tenth of a text there);
governed tables keep text as everywhere.
"""

import sqlalchemy as sa

from assent.kernel.db import Json, Utc, table

ID = sa.String(64)
NAME = sa.String(63)
DIGEST = sa.String(71)
KEY = sa.String(200)
ROWS_PER_BATCH = 1 << 15  # numbers of calls that each batch has for itself
# SQLite numbers rows by itself only in a column that is called INTEGER.
BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")

blocks = table(
    "monitoring_blocks",
    sa.Column("rollout", ID, primary_key=True),
    sa.Column("block", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("project", NAME, nullable=False),
    sa.Column("opened_at", Utc, nullable=False),
    sa.Column("closed_at", Utc, nullable=False),
    sa.Column("guards", Json, nullable=False),
    sa.Column("amounts", Json),
    sa.Column("digest", DIGEST, nullable=False),
    sa.Column("event", ID, nullable=False),
    kind="governed",
)
incidents = table(
    "monitoring_incidents",  # what only guards know is null where a person opened it
    sa.Column("id", ID, primary_key=True),
    sa.Column("project", NAME, nullable=False, index=True),
    sa.Column("environment", NAME, nullable=False),
    sa.Column("rollout", ID, index=True),
    sa.Column("route", KEY),
    sa.Column("subject", DIGEST),
    sa.Column("guard", sa.String(32)),
    sa.Column("total", sa.String(64)),
    sa.Column("threshold", sa.String(64)),
    sa.Column("summary", sa.Text, nullable=False),
    sa.Column("last_block", sa.BigInteger),
    sa.Column("guards", Json, nullable=False),
    sa.Column("title", DIGEST),
    sa.Column("severity", sa.String(10)),
    sa.Column("alert", NAME),
    sa.Column("opened_at", Utc, nullable=False),
    sa.Column("opened_by", ID),
    sa.Column("acknowledged_at", Utc),
    sa.Column("acknowledged_by", ID),
    sa.Column("mitigated_at", Utc),
    sa.Column("mitigated_by", ID),
    sa.Column("resolved_at", Utc),
    sa.Column("resolved_by", ID),
    sa.Column("note", DIGEST),
    sa.Column("reviewed_at", Utc),
    sa.Column("reviewed_by", ID),
    sa.Column("review", DIGEST),
    kind="governed",
)
alerts = table(
    "monitoring_alerts",
    sa.Column("id", ID, primary_key=True),
    sa.Column("project", NAME, nullable=False),
    sa.Column("name", NAME, nullable=False),
    sa.Column("environment", NAME, nullable=False),
    sa.Column("route", KEY),
    sa.Column("condition", Json, nullable=False),
    sa.Column("set_at", Utc, nullable=False),
    sa.Column("set_by", ID, nullable=False),
    sa.Column("firing", sa.Boolean, nullable=False),
    sa.Column("fired_at", Utc),
    sa.Column("told_at", Utc),
    sa.Column("resolved_at", Utc),
    sa.Column("says", sa.Text),
    sa.Column("silenced_until", Utc),
    sa.Column("silenced_by", ID),
    sa.Column("silence_reason", DIGEST),
    sa.Index("uq_monitoring_alerts_name", "project", "name", unique=True),
    kind="governed",
)
alert_checks = table(
    "monitoring_alert_checks",  # the last look at each alert
    sa.Column("alert", ID, primary_key=True),
    sa.Column("checked_at", Utc, nullable=False),
    sa.Column("holds", sa.Boolean),
    sa.Column("says", sa.Text, nullable=False),
    sa.Column("value", sa.Double),
    sa.Column("n", sa.BigInteger, nullable=False),
    sa.Column("true_since", Utc),
    sa.Column("true_at", Utc),
    kind="operational",
)

batches = table(
    "monitoring_batches",
    sa.Column("seq", BIG_ID, primary_key=True, autoincrement=True),
    sa.Column("batch", KEY, nullable=False, unique=True),
    sa.Column("digest", DIGEST, nullable=False),
    sa.Column("instance", KEY, nullable=False),
    sa.Column("received_at", sa.Double, nullable=False, index=True),
    sa.Column("receipt", Json),
    kind="operational",
)
instances = table(
    "monitoring_instances",  # gateways and applications that observe: what each has lost in its life
    sa.Column("instance", KEY, primary_key=True),
    sa.Column("project", NAME, nullable=False, index=True),
    sa.Column("n_dropped", sa.BigInteger, nullable=False),
    sa.Column("seen_at", sa.Double, nullable=False),
    kind="operational",
)
span_export = table(
    "monitoring_span_export",  # one row while spans are sent to a collector
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("target", sa.String(600), nullable=False),
    sa.Column("next_n", sa.BigInteger, nullable=False),  # calls from this number on are still to be sent
    sa.Column("n_sent", sa.BigInteger, nullable=False),
    sa.Column("n_refused", sa.BigInteger, nullable=False),  # the collector will never take them
    sa.Column("n_dropped", sa.BigInteger, nullable=False),  # the ring let them go before they were sent
    sa.Column("started_at", Utc, nullable=False),
    sa.Column("sent_at", Utc),
    sa.Column("n_failures", sa.Integer, nullable=False),  # in a row
    sa.Column("retry_at", Utc),
    sa.Column("error", sa.String(500)),
    kind="operational",
)
series = table(
    "monitoring_series",
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),  # a hash of the other columns
    sa.Column("project", NAME, nullable=False),
    sa.Column("environment", NAME, nullable=False),
    sa.Column("route", KEY, nullable=False),
    sa.Column("variant", KEY, nullable=False),
    sa.Column("version", DIGEST, nullable=False),
    sa.Index("ix_monitoring_series_route", "project", "environment", "route"),
    kind="operational",
)
facets = table(
    "monitoring_facets",  # what many calls have in common, once
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),  # a hash of the other columns
    sa.Column("series", sa.BigInteger, nullable=False),
    sa.Column("serial", sa.BigInteger, nullable=False),
    sa.Column("rule", KEY),
    sa.Column("reason", sa.String(64), nullable=False),
    sa.Column("rollout", ID),
    sa.Column("sticky", sa.Boolean, nullable=False),
    sa.Column("stream", sa.Boolean, nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("error_class", KEY),
    sa.Column("finish_reason", KEY),
    sa.Column("response_model", KEY),
    sa.Column("as_approved", sa.Boolean),
    sa.Column("application", KEY, nullable=False),
    sa.Column("guardrails", KEY),  # names of those that stopped it, with commas
    sa.Column("language", sa.String(16)),
    sa.Column("unguarded", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("operation", sa.String(32), nullable=False, server_default="chat"),
    sa.Column("seen_at", sa.Double, nullable=False),  # when a batch had it last, for pruning
    sa.Index("ix_monitoring_facets_seen_at", "seen_at"),
    kind="operational",
)
calls = table(
    "monitoring_calls",  # the raw ring: the recent calls, one row each
    sa.Column("n", BIG_ID, primary_key=True, autoincrement=False),  # batch * ROWS_PER_BATCH + index
    sa.Column("completion", KEY, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("facet", sa.BigInteger, nullable=False),
    sa.Column("unit", ID, nullable=False),
    sa.Column("latency_s", sa.Double, nullable=False),
    sa.Column("ttft_s", sa.Double),
    sa.Column("tokens_in", sa.BigInteger),
    sa.Column("tokens_out", sa.BigInteger),
    # Each call once. Each database fills one of the two, the other has no row: ids come in no order, and
    # times in almost their own, in which SQLite writes three times as fast.
    sa.Index(
        "uq_monitoring_calls_completion", "completion", "at", unique=True, sqlite_where=sa.text("at IS NULL")
    ),
    sa.Index(
        "uq_monitoring_calls_at", "at", "completion", unique=True, postgresql_where=sa.text("at IS NULL")
    ),
    kind="operational",
)
completions = table(
    "monitoring_completions",  # calls by completion on SQLite: see `store.completions`
    sa.Column("key", sa.BigInteger, primary_key=True, autoincrement=False),  # part of the ring, and a hash
    sa.Column("n", sa.BigInteger, primary_key=True, autoincrement=False),  # of the call
    kind="operational",
    in_key_order=True,
)
feedback = table(
    "monitoring_feedback",
    sa.Column("completion", KEY, primary_key=True),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("badness", sa.Double, nullable=False),  # 0 good, 1 bad
    sa.Column("application", KEY, nullable=False),
    sa.Column("matched", sa.Boolean, nullable=False),  # the call that it speaks of is known
    sa.Column("in_window", sa.Boolean, nullable=False),  # counted in its unit's score
    sa.Index("ix_monitoring_feedback_at", "at"),
    sa.Index("ix_monitoring_feedback_matched", "matched"),
    kind="operational",
)
rollups = table(
    "monitoring_rollups",  # sums per 10 s and series
    sa.Column("series", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("slot", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("n_calls", sa.BigInteger, nullable=False),
    sa.Column("n_errors", sa.BigInteger, nullable=False),
    sa.Column("n_refusals", sa.BigInteger, nullable=False),
    sa.Column("n_not_as_approved", sa.BigInteger, nullable=False),
    sa.Column("tokens_in", sa.BigInteger, nullable=False),
    sa.Column("tokens_out", sa.BigInteger, nullable=False),
    sa.Column("n_guardrails", sa.BigInteger, nullable=False, server_default="0"),  # calls that one stopped
    sa.Column("n_unguarded", sa.BigInteger, nullable=False, server_default="0"),  # that passed one unseen
    sa.Column("n_counted", sa.BigInteger, nullable=False, server_default="0"),  # calls with known tokens
    sa.Column("in_in", sa.Double, nullable=False, server_default="0"),  # sums of squares and products,
    sa.Column("in_out", sa.Double, nullable=False, server_default="0"),  # from which any linear price
    sa.Column("out_out", sa.Double, nullable=False, server_default="0"),  # has its spread
    sa.Column("n_feedback", sa.BigInteger, nullable=False),
    sa.Column("badness", sa.Double, nullable=False),
    kind="operational",
)
latencies = table(
    "monitoring_latencies",  # histograms per 10 s and series, by kind: see `service.sums.Kind`
    sa.Column("series", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("slot", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("bucket", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("n", sa.BigInteger, nullable=False),
    kind="operational",
)
usage = table(
    "monitoring_usage",  # what applications used, by day (UTC, since 1970): for their budgets
    sa.Column("application", KEY, primary_key=True),
    sa.Column("day", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("series", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("n_calls", sa.BigInteger, nullable=False),
    sa.Column("n_counted", sa.BigInteger, nullable=False),  # calls of known tokens, or free
    sa.Column("tokens_in", sa.BigInteger, nullable=False),
    sa.Column("tokens_out", sa.BigInteger, nullable=False),
    kind="operational",
)
watches = table(
    "monitoring_watches",  # one per rollout: fixed at its first look, and how far blocks are closed
    sa.Column("rollout", ID, primary_key=True),
    sa.Column("window_s", sa.Double, nullable=False),
    sa.Column("block_s", sa.Double, nullable=False),
    sa.Column("slow_above_s", sa.Double),  # p95 of the stable version's latency before the start
    sa.Column("closed_through", sa.BigInteger, nullable=False),  # index of the last closed block
    sa.Column("state", Json),  # the e-processes after it; recomputable from the blocks
    kind="operational",
)
units = table(
    "monitoring_units",  # one per unit and rollout: first arm, first exposure, outcomes within its window
    sa.Column("rollout", ID, primary_key=True),
    sa.Column("unit", ID, primary_key=True),
    sa.Column("arm", sa.String(6), nullable=False),
    sa.Column("first_at", sa.Double, nullable=False),
    sa.Column("block", sa.BigInteger, nullable=False),  # in which its window closes
    sa.Column("n_calls", sa.BigInteger, nullable=False),
    sa.Column("n_errors", sa.BigInteger, nullable=False),
    sa.Column("n_refusals", sa.BigInteger, nullable=False),
    sa.Column("n_slow", sa.BigInteger, nullable=False),
    sa.Column("n_feedback", sa.BigInteger, nullable=False),
    sa.Column("badness", sa.Double, nullable=False),
    sa.Column("n_late", sa.BigInteger, nullable=False),  # outcomes after the window: shown, not counted
    sa.Column("late_badness", sa.Double, nullable=False),
    sa.Column(
        "latency_s", sa.Double, nullable=False, server_default="0"
    ),  # sums over the calls in the window
    sa.Column("tokens_in", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("tokens_out", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("n_guarded", sa.BigInteger, nullable=False, server_default="0"),  # calls that a guardrail saw
    sa.Column("n_hits", sa.BigInteger, nullable=False, server_default="0"),  # of these, those that one hit
    sa.Column("n_judged", sa.BigInteger, nullable=False, server_default="0"),  # calls that a judge graded
    sa.Column("judged_badness", sa.Double, nullable=False, server_default="0"),  # the sum of 1 - its score
    sa.Column("application", KEY),  # of the first call, as is the language; null before it
    sa.Column("language", sa.String(16)),  # empty where nobody said it
    sa.Index("ix_monitoring_units_block", "rollout", "block"),
    kind="operational",
)

live_watches = table(
    "monitoring_live_watches",  # one per alert and live version: what is watched since when, against what
    sa.Column("id", ID, primary_key=True),
    sa.Column("project", NAME, nullable=False, index=True),
    sa.Column("environment", NAME, nullable=False),
    sa.Column("route", KEY, nullable=False),
    sa.Column("version", DIGEST, nullable=False),
    sa.Column("alert", ID, nullable=False, index=True),
    sa.Column("window_s", sa.Integer, nullable=False),
    sa.Column("block_s", sa.Integer, nullable=False),
    sa.Column("arl_days", sa.Integer, nullable=False),
    sa.Column("hold_s", sa.Integer, nullable=False),
    sa.Column("metrics", Json, nullable=False),
    sa.Column("slow_above_s", sa.String(40)),
    sa.Column("started_at", Utc, nullable=False),
    sa.Column("ended_at", Utc, index=True),
    kind="governed",
)
seals = table(
    "monitoring_seals",  # digests of the blocks of live versions, an hour at a time
    sa.Column("watch", ID, primary_key=True),
    sa.Column("first_block", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("last_block", sa.BigInteger, nullable=False),
    sa.Column("n_blocks", sa.Integer, nullable=False),
    sa.Column("digest", DIGEST, nullable=False),
    sa.Column("event", ID, nullable=False),
    kind="governed",
)
regressions = table(
    "monitoring_regressions",
    sa.Column("id", ID, primary_key=True),
    sa.Column("project", NAME, nullable=False),
    sa.Column("watch", ID, nullable=False, index=True),
    sa.Column("environment", NAME, nullable=False),
    sa.Column("route", KEY, nullable=False),
    sa.Column("version", DIGEST, nullable=False),
    sa.Column("metric", sa.String(32), nullable=False),
    sa.Column("block", sa.BigInteger, nullable=False),
    sa.Column("since_at", Utc, nullable=False),
    sa.Column("found_at", Utc, nullable=False),
    sa.Column("total", sa.String(64), nullable=False),
    sa.Column("n", sa.BigInteger, nullable=False),
    sa.Column("rate", sa.String(20), nullable=False),
    sa.Column("low", sa.String(20), nullable=False),
    sa.Column("high", sa.String(20), nullable=False),
    sa.Column("says", sa.Text, nullable=False),
    sa.Column("event", ID, nullable=False),
    kind="governed",
)
live_blocks = table(
    "monitoring_live_blocks",  # closed blocks of live versions; the ledger has the digests
    sa.Column("watch", ID, primary_key=True),
    sa.Column("block", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("scores", Json, nullable=False),
    sa.Column("total", sa.String(64), nullable=False),  # the evidence after it, in days
    kind="operational",
)
