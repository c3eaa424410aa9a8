"""Triggers: what is registered for good, and the ledger, refuse changes, whoever tries them."""

from alembic import op

revision = "0002"
down_revision = "0001"

LEDGER = ("the ledger is append-only", "ledger_append_only", "append_only")
VERSIONS = ("a registered version never changes", "kernel_refuse_change", "unchanging")
BOTH = ("UPDATE", "DELETE")

GUARDS = (
    ("ledger_leaves", LEDGER, BOTH),
    ("ledger_nodes", LEDGER, BOTH),
    ("ledger_mentions", LEDGER, BOTH),
    ("prompts_documents", VERSIONS, ("UPDATE",)),
    ("prompts_tags", VERSIONS, BOTH),
    ("prompts_versions", VERSIONS, BOTH),
    ("registry_documents", VERSIONS, ("UPDATE",)),
    ("registry_edges", VERSIONS, BOTH),
    ("registry_tags", VERSIONS, BOTH),
    ("registry_versions", VERSIONS, BOTH),
)


def upgrade() -> None:
    """Apply."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    for table, (why, function, name), verbs in GUARDS:
        if sqlite:
            for verb in verbs:
                op.execute(
                    f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                    f"BEGIN SELECT RAISE(ABORT, '{why}'); END"
                )
            continue
        events = " OR ".join([*verbs, "TRUNCATE"] if "DELETE" in verbs else verbs)
        op.execute(
            f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$ "
            f"BEGIN RAISE EXCEPTION '{why}'; END $$"
        )
        op.execute(
            f"CREATE TRIGGER {table}_{name} BEFORE {events} ON {table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
        )
