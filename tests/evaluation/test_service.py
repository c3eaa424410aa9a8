"""Datasets, suites and runs over the service, on a real database with a real ledger."""

import msgspec
import pytest
import sqlalchemy as sa

from assent.evaluation import jobs, service, store, verification
from assent.evaluation.journal import read_lines, write_line
from assent.evaluation.service import NewRun, NewVersion, RunProgress
from assent.kernel.canonical import canonical
from assent.kernel.errors import Conflict, Invalid, NotFound

PROJECT = "demo"


def rows(n, **changes):
    return [{"id": f"q{i}", "input": f"question {i}", "target": f"A{i}", **changes} for i in range(n)]


def suite_document(dataset="cases", **changes):
    return {
        "kind": "regression",
        "dataset": dataset,
        "scorers": [{"kind": "exact"}],
        "gate": {"metric": "exact", "margin": 0.05},
        **changes,
    }


def test_the_same_rows_under_the_same_name_are_the_same_version(desk):
    first, created = desk.write(service.register_dataset, NewVersion(PROJECT, "cases", rows(3)))
    again, created_again = desk.write(service.register_dataset, NewVersion(PROJECT, "cases", rows(3)[::-1]))
    assert (created, created_again) == (True, False)
    assert again == first
    assert first.ref == "cases@1.0.0"
    other, _ = desk.write(service.register_dataset, NewVersion(PROJECT, "cases", rows(4)))
    assert other.number == "1.1.0"
    assert desk.read(service.get_dataset, PROJECT, "cases") == other
    assert [v.number for v in desk.read(service.list_datasets, PROJECT, "cases")] == ["1.1.0", "1.0.0"]
    assert [row.id for row in desk.read(service.rows_of, first)] == ["q0", "q1", "q2"]


def test_a_number_is_never_given_other_content(desk):
    desk.write(service.register_dataset, NewVersion(PROJECT, "cases", rows(3), "1.9.0"))
    desk.write(service.register_dataset, NewVersion(PROJECT, "cases", rows(4), "1.10.0"))
    assert desk.read(service.get_dataset, PROJECT, "cases").number == "1.10.0"
    with pytest.raises(Conflict, match="never change"):
        desk.write(service.register_dataset, NewVersion(PROJECT, "cases", rows(5), "1.9.0"))
    with pytest.raises(Conflict, match=r"as 1\.9\.0"):
        desk.write(service.register_dataset, NewVersion(PROJECT, "cases", rows(3), "2.0.0"))
    for wrong in ("two", "1.0"):
        with pytest.raises(Invalid):
            desk.write(service.register_dataset, NewVersion(PROJECT, "cases", rows(6), wrong))


def test_a_suite_fixes_its_dataset_by_digest(desk):
    data, _ = desk.write(service.register_dataset, NewVersion(PROJECT, "cases", rows(3)))
    by_name, _ = desk.write(service.register_suite, NewVersion(PROJECT, "quality", suite_document()))
    by_ref, created = desk.write(
        service.register_suite, NewVersion(PROJECT, "quality", suite_document("cases@1.0.0"))
    )
    by_digest, _ = desk.write(
        service.register_suite, NewVersion(PROJECT, "quality", suite_document(data.digest))
    )
    assert by_name == by_ref == by_digest
    assert not created
    assert by_name.dataset == data.digest
    assert by_name.gate["margin"] == "0.05"
    assert desk.read(service.dataset_ref, by_name) == "cases@1.0.0"
    desk.write(service.register_dataset, NewVersion(PROJECT, "cases", rows(4)))
    newer, created = desk.write(service.register_suite, NewVersion(PROJECT, "quality", suite_document()))
    assert (newer.number, created) == ("1.1.0", True)
    assert [v.number for v in desk.read(service.list_suites, PROJECT)] == ["1.1.0", "1.0.0"]
    for unknown in ("nothing", "cases@9.0.0", "sha256:" + "0" * 64):
        with pytest.raises(NotFound):
            desk.write(service.register_suite, NewVersion(PROJECT, "q2", suite_document(unknown)))


def test_a_preview_says_what_registering_would_do_and_does_nothing(desk):
    new = NewVersion(PROJECT, "cases", rows(3))
    assert desk.read(service.preview_dataset, new)["exists"] is False
    data, _ = desk.write(service.register_dataset, new)
    assert desk.read(service.preview_dataset, new) == {
        "name": "cases", "version": "1.0.0", "digest": data.digest, "ref": "cases@1.0.0", "created": False, "exists": True,
    }  # fmt: skip
    assert (
        desk.read(service.preview_suite, NewVersion(PROJECT, "quality", suite_document()))["exists"] is False
    )
    with pytest.raises(NotFound):
        desk.read(service.get_suite, PROJECT, "quality")


def ready(desk, n=40, **changes):
    desk.write(service.register_dataset, NewVersion(PROJECT, "cases", rows(n)))
    suite, _ = desk.write(service.register_suite, NewVersion(PROJECT, "quality", suite_document(**changes)))
    desk.model("1.0.0", "good")
    desk.model("1.1.0", "good")
    desk.upstream.answer = lambda q, n: desk.upstream.Reply(desk.upstream.completion("A" + q.split()[-1]))
    return suite


def submit(desk, subject="assistant@1.1.0", **changes):
    return desk.write(service.submit, NewRun(PROJECT, "quality", subject, **changes))


def carried_out(desk, subject="assistant@1.1.0", **changes):
    run = submit(desk, subject, **changes)
    jobs.run(desk.runtime, run_id=run.id)
    return desk.read(service.get_run, run.id)


def test_a_run_against_a_named_baseline_closes_with_its_figures_and_evidence(desk):
    suite = ready(desk, gate={"metric": "exact", "margin": 0.1, "baseline": "assistant@1.0.0"})
    run = carried_out(desk)
    assert (run.state, run.verdict, run.baseline_ref) == ("closed", "pass", "assistant@1.0.0")
    assert run.figures["estimate"] == "0"
    assert run.figures["n"] == "40"
    result = desk.read(service.result_of, run)
    assert result["outcomes"]["baseline"]["scored"] == 40
    claim = desk.evidence(run.subject)
    assert claim["verdict"] == "pass"
    assert claim["suite_digest"] == suite.digest
    assert claim["baseline"] == run.baseline
    assert (claim["kind"], claim["metric"], claim["run"]) == ("regression", "exact", run.id)
    assert desk.read(service.progress_of, run.id).state == "done"
    assert not jobs.journal_path(desk.runtime, run.id).exists()


def test_the_gates_leaf_stands_before_the_runs(desk):
    suite = ready(desk, gate={"metric": "exact", "threshold": 0.5})
    run = carried_out(desk)
    order = [leaf["type"] for leaf in desk.leaves() if leaf["type"].startswith("evaluation.")]
    assert order.index("evaluation.suite.registered") < order.index("evaluation.run.submitted")
    registered = next(leaf for leaf in desk.leaves() if leaf["type"] == "evaluation.suite.registered")
    closed = next(leaf for leaf in desk.leaves() if leaf["type"] == "evaluation.run.closed")
    assert registered["data"]["gate"]["threshold"] == "0.5"
    assert registered["data"]["digest"] == suite.digest
    assert closed["data"]["digest"] == run.digest
    assert all(
        not isinstance(v, float) for v in [*closed["data"].values(), *closed["data"]["figures"].values()]
    )


def test_what_is_live_is_the_baseline(desk):
    ready(desk, n=60)
    with pytest.raises(Conflict, match="Nothing of assistant is live"):
        submit(desk)
    live = desk.model("1.0.0", "good")
    desk.go_live("production", live)
    run = carried_out(desk)
    assert (run.environment, run.baseline, run.verdict) == ("production", live.digest, "pass")
    with pytest.raises(Conflict, match="live in staging"):
        submit(desk, environment="staging")


def test_unchanged_answers_are_used_again_and_judged_anew(desk):
    ready(desk, n=40, gate={"metric": "exact", "margin": 0.1, "baseline": "assistant@1.0.0"})
    carried_out(desk)
    assert sum(desk.upstream.questions.values()) == 80
    changed = rows(40)
    changed[3]["target"] = "B"
    changed[4]["input"] = "question 400"
    desk.write(service.register_dataset, NewVersion(PROJECT, "cases", changed))
    gate = {"metric": "exact", "margin": 0.2, "baseline": "assistant@1.0.0"}
    desk.write(service.register_suite, NewVersion(PROJECT, "quality", suite_document(gate=gate)))
    run = carried_out(desk)
    assert sum(desk.upstream.questions.values()) == 84
    records = desk.read(service.records_of, run.journal)
    assert sum(r.reused_from is None for r in records) == 4
    assert desk.read(service.result_of, run)["outcomes"]["candidate"]["scored"] == 40
    again = carried_out(desk, fresh=True)
    assert sum(desk.upstream.questions.values()) == 164
    assert again.digest == run.digest


def test_errors_are_no_answers_and_are_asked_again(desk):
    ready(desk, n=5, gate={"metric": "exact", "threshold": 0.1})
    good = desk.upstream.answer
    desk.upstream.answer = lambda q, n: desk.upstream.Reply(b"", 404) if q.endswith("3") else good(q, n)
    first = carried_out(desk)
    assert desk.read(service.result_of, first)["outcomes"]["candidate"]["error"] == 1
    assert first.verdict == "inconclusive"
    desk.upstream.answer = good
    second = carried_out(desk)
    assert desk.upstream.questions["question 3"] == 2
    assert sum(desk.upstream.questions.values()) == 6
    assert desk.read(service.result_of, second)["outcomes"]["candidate"]["scored"] == 5


def test_rows_changed_in_the_blob_store_are_noticed(desk):
    version, _ = desk.write(service.register_dataset, NewVersion(PROJECT, "cases", rows(3)))
    other = desk.runtime.blobs.put(canonical(rows(2)))
    desk.behind_the_back(sa.update(store.datasets).values(body=other))
    with pytest.raises(Invalid, match="have the digest"):
        desk.read(service.rows_of, desk.read(service.get_dataset, PROJECT, "cases", version.number))


def test_a_project_that_is_none_and_a_name_that_is_none_are_refused(desk):
    for act, content in ((service.register_dataset, rows(3)), (service.register_suite, {})):
        with pytest.raises(NotFound):
            desk.write(act, NewVersion("none", "cases", content))
        with pytest.raises(Invalid, match="name"):
            desk.write(act, NewVersion(PROJECT, "A/B", content))


def test_old_answers_are_asked_again(desk):
    ready(desk, n=5, gate={"metric": "exact", "threshold": 0.1}, reuse_days=2)
    carried_out(desk)
    desk.clock.advance(400 * 86_400)
    carried_out(desk)
    assert sum(desk.upstream.questions.values()) == 10


def test_a_stopped_run_says_why_and_goes_on_where_it_was(desk):
    ready(desk, n=30, gate={"metric": "exact", "threshold": 0.5})
    good = desk.upstream.answer
    refuse = lambda q, n: desk.upstream.Reply(b"bad key", 401) if q.endswith("9") else good(q, n)  # noqa: E731 -- two doors, one line each
    desk.upstream.answer = refuse
    run = submit(desk)
    jobs.run(desk.runtime, run_id=run.id)
    step = desk.read(service.progress_of, run.id)
    assert step.state == "stopped"
    assert "refuses our key" in step.note
    assert desk.read(service.get_run, run.id).state == "submitted"
    desk.upstream.answer = good
    desk.write(service.resume, run.id)
    assert desk.queue[-1] == ("evaluation.run", {"run_id": run.id})
    assert desk.read(service.progress_of, run.id).state == "waiting"
    jobs.run(desk.runtime, run_id=run.id)
    assert desk.read(service.get_run, run.id).verdict == "pass"
    assert desk.read(service.get_run, run.id).figures["coverage"] == "1"


def test_a_run_that_cannot_begin_says_why(desk):
    ready(desk, gate={"metric": "exact", "threshold": 0.5})
    desk.model("3.0.0", "good", provider="unknown")
    run = submit(desk, "assistant@3.0.0")
    jobs.run(desk.runtime, run_id=run.id)
    step = desk.read(service.progress_of, run.id)
    assert (step.state, "unknown" in step.note) == ("stopped", True)


def test_a_job_that_comes_twice_changes_nothing(desk):
    ready(desk, gate={"metric": "exact", "threshold": 0.5})
    run = carried_out(desk)
    asked = sum(desk.upstream.questions.values())
    jobs.run(desk.runtime, run_id=run.id)
    assert sum(desk.upstream.questions.values()) == asked
    assert desk.read(service.get_run, run.id) == run
    assert desk.write(service.close, run.id, b"") == run


def test_a_run_that_another_worker_holds_is_left_alone(desk):
    ready(desk, gate={"metric": "exact", "threshold": 0.5})
    run = submit(desk)
    header = {"run": run.id, "subject": run.subject, "suite": run.suite, "baseline": run.baseline}
    with jobs.Journal(jobs.journal_path(desk.runtime, run.id), header):
        jobs.run(desk.runtime, run_id=run.id)
    assert desk.read(service.get_run, run.id).state == "submitted"
    assert not desk.upstream.questions


def test_a_cancelled_run_stops_asking_and_says_nothing(desk):
    ready(desk, n=60, gate={"metric": "exact", "threshold": 0.5}, limits={"in_flight": 1})
    run = submit(desk)
    good = desk.upstream.answer

    def answer(question, nth):
        if sum(desk.upstream.questions.values()) == 3:
            desk.write(service.cancel, run.id)
        reply = good(question, nth)
        reply.delay_s = 0.05
        return reply

    desk.upstream.answer = answer
    jobs.run(desk.runtime, run_id=run.id)
    assert desk.read(service.get_run, run.id).state == "cancelled"
    assert sum(desk.upstream.questions.values()) < 60
    assert desk.evidence(run.subject) is None
    for act in (service.cancel, service.resume):
        with pytest.raises(Conflict, match="cancelled"):
            desk.write(act, run.id)
        with pytest.raises(NotFound):
            desk.write(act, "run_none")
    assert (
        desk.write(service.advance, RunProgress("run_none", "running", 1, 0, {}, "", desk.clock.now()))
        is False
    )


def test_runs_are_found_by_what_they_are_about(desk):
    ready(desk, n=5, gate={"metric": "exact", "threshold": 0.1})
    first, second = carried_out(desk), carried_out(desk, "assistant@1.0.0")
    assert desk.read(service.list_runs, PROJECT, {}) == [second, first]
    assert desk.read(service.list_runs, PROJECT, {"subject": first.subject}) == [first]
    assert desk.read(service.list_runs, PROJECT, {"subject_ref": "assistant@1.0.0"}) == [second]
    assert desk.read(service.list_runs, PROJECT, {}, before=second.id) == [first]
    assert desk.read(service.list_runs, "other", {}) == []
    with pytest.raises(Invalid):
        desk.read(service.list_runs, PROJECT, {"id": "x"})


def test_verification_computes_the_same_and_finds_what_was_changed(desk):
    ready(desk, n=40, gate={"metric": "exact", "margin": 0.2, "baseline": "assistant@1.0.0"})
    run = carried_out(desk)
    checks = desk.read(verification.verify, run.id)
    assert all(check.ok for check in checks)
    assert {"digest", "verdict", "figure estimate", "result levels", "records"} <= {c.id for c in checks}
    forged = dict(msgspec.json.decode(desk.runtime.blobs.get(run.result)), estimate="0.5")
    other = desk.runtime.blobs.put(canonical(forged))
    desk.behind_the_back(sa.update(store.runs).values(result=other, verdict="fail"))
    wrong = {check.id for check in desk.read(verification.verify, run.id) if not check.ok}
    assert wrong == {"verdict", "result estimate"}


def test_a_journal_with_another_answer_does_not_verify(desk):
    ready(desk, n=40, gate={"metric": "exact", "threshold": 0.5})
    run = carried_out(desk)
    journal = desk.runtime.blobs.get(run.journal)
    lines = [body for _, body in read_lines(journal)]
    worse = [lines[0], lines[1].replace(b'"text":"A', b'"text":"B'), lines[2], lines[2], *lines[4:]]
    other = desk.runtime.blobs.put(b"".join(write_line(line) for line in worse))
    desk.behind_the_back(sa.update(store.runs).values(journal=other))
    wrong = {check.id: check.computed for check in desk.read(verification.verify, run.id) if not check.ok}
    assert "digest" in wrong
    assert "record 1 scores otherwise" in wrong["records"]
    assert "record 3 stands twice" in wrong["records"]
    foreign = desk.runtime.blobs.put(journal.replace(run.id.encode(), run.id.encode()))
    desk.behind_the_back(sa.update(store.runs).values(journal=foreign, subject="sha256:" + "0" * 64))
    assert any("of another run" in check.computed for check in desk.read(verification.verify, run.id))


def test_only_a_closed_run_verifies(desk):
    ready(desk, gate={"metric": "exact", "threshold": 0.5})
    run = submit(desk)
    with pytest.raises(Conflict, match="submitted"):
        desk.read(verification.verify, run.id)
    assert desk.read(service.result_of, run) is None


def test_a_subject_is_named_with_its_version(desk):
    ready(desk, gate={"metric": "exact", "threshold": 0.5})
    for wrong, error in (("assistant", Invalid), ("assistant@9.0.0", NotFound)):
        with pytest.raises(error):
            submit(desk, wrong)
