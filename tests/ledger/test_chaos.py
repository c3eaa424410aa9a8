"""Eight writers are killed without warning, again and again; `make chaos` runs the long form."""

import json
import os
import subprocess
import sys

import sqlalchemy as sa

import assent.identity.store as identity
from assent.ledger import replay, service, verification
from assent_client.verify.note import verify_note
from tests.architecture.house_rules import ROOT

N_KILLS = int(os.environ.get("ASSENT_CHAOS_KILLS", "8"))
N_WRITERS = 8
SECONDS_PER_KILL = 5


def test_killed_writers_leave_no_gap_and_lose_nothing_committed_chaos(installed):
    script = [sys.executable, "-m", "tests.ledger.chaos_writers"]
    words = [installed.url, installed.folder, N_WRITERS, N_KILLS, os.getpid()]
    run = subprocess.run(
        [*script, *map(str, words)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60 + N_KILLS * SECONDS_PER_KILL,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["kills"] == N_KILLS + N_WRITERS

    after = installed.reopened()
    with after.session.read() as reader:
        found = verification.check(reader)
        leaves = [
            leaf for start in range(0, found.size, 1000) for leaf in service.leaves(reader, start, 1000)
        ]
        tables = (identity.projects, identity.environments, identity.groups)
        n_rows = sum(
            reader.conn.execute(sa.select(sa.func.count()).select_from(t)).scalar_one() for t in tables
        )
        replayed = replay.check(reader)
    assert [leaf.index for leaf in leaves] == list(range(found.size))
    assert found.size == n_rows == replayed.n_leaves
    assert replayed.differences == []
    committed = [line for path in (after.folder / "written").iterdir() for line in path.read_text().split()]
    assert set(committed) <= {leaf.event_id for leaf in leaves}
    assert len(committed) >= found.size - 3 * (N_KILLS + N_WRITERS)
    assert (
        verify_note(after.checkpoint(), [after.vkey]).size >= found.size
    )  # a server may finish a dead writer's commit
    after.session.engine.dispose()
