import json

import pytest

from assent.kernel.errors import Conflict, Invalid, TooLarge
from assent.monitoring import service
from assent.monitoring.service.batch import ANCIENT_S, MAX_ROWS
from tests.monitoring.conftest import STABLE


def unit(desk, name):
    return next(row for row in desk.rows("units") if row.unit == name)


def test_a_batch_is_stored_and_counted(running):
    receipt = running.send(running.call("u1"), running.call("u1"), running.call("u2", "canary", status=500))
    assert receipt == {"batch": "b1", "n_accepted": 3, "n_duplicates": 0, "n_rejected": 0, "rejections": []}
    assert len(running.rows("calls")) == 3
    assert (unit(running, "u1").arm, unit(running, "u1").n_calls, unit(running, "u1").n_errors) == (
        "stable",
        2,
        0,
    )
    assert (unit(running, "u2").arm, unit(running, "u2").n_errors) == ("canary", 1)
    figures = running.read(service.live.by_version, "acme", last_s=60)
    assert [(f["variant"], f["n_calls"], f["errors"]["rate"]) for f in figures] == [
        ("canary", 1, 1.0),
        ("stable", 2, 0.0),
    ]
    assert figures[1]["latency_s"]["p50"] == pytest.approx(0.2, rel=0.02)
    assert figures[1]["tokens_in"] == 20
    assert figures[1]["ttft_s"]["p50"] is None


def test_every_column_of_a_call_comes_back(running):
    call = running.call(
        "u1",
        "canary",
        rule="r1",
        ttft_s=0.05,
        error_class="timeout",
        finish_reason="length",
        as_approved=False,
        stream=True,
    )
    running.send(call)
    (row,), (facet,) = running.rows("calls"), running.rows("facets")
    assert row.facet == facet.id
    kept = {**facet._asdict(), **row._asdict()}
    for name in ("rule", "reason", "serial", "rollout", "unit", "sticky", "stream", "status", "error_class", "latency_s", "ttft_s",
                 "tokens_in", "tokens_out", "finish_reason", "response_model", "as_approved", "application"):  # fmt: skip
        assert kept[name] == getattr(call, name), name
    assert kept["completion"] == call.completion_id
    assert kept["at"] == call.at.timestamp()


def test_the_same_batch_twice_counts_once_and_gets_the_same_receipt(running):
    body = running.body(running.call("u1"))
    assert running.take(body) == running.take(body)
    assert unit(running, "u1").n_calls == 1


def test_another_batch_under_the_same_id_is_refused(running):
    running.send(running.call("u1"), batch="same")
    with pytest.raises(Conflict, match="Another batch"):
        running.send(running.call("u2"), batch="same")


def test_an_upstream_that_gives_one_id_to_all_answers_loses_no_call(running):
    calls = [running.call(f"u{i}", completion_id="cmpl-0", ago_s=i / 10) for i in range(5)]
    assert running.send(*calls)["n_accepted"] == 5
    running.send(running.thumb(calls[0], 0))
    assert (unit(running, "u0").badness, unit(running, "u1").badness) == (1, 0)


def test_a_call_counts_once_within_and_across_batches(running):
    call = running.call("u1")
    assert running.send(call, call)["n_duplicates"] == 1
    receipt = running.send(call, running.call("u1"))
    assert (receipt["n_accepted"], receipt["n_duplicates"]) == (1, 1)
    assert unit(running, "u1").n_calls == 2


def test_calls_without_a_completion_are_told_apart(running):
    assert (
        running.send(running.call("u1", completion_id=None), running.call("u1", completion_id=None))[
            "n_accepted"
        ]
        == 2
    )


def test_a_bad_row_costs_only_itself(running):
    good = running.call("u1")
    rows = json.loads(running.body(good, *(running.call("u2") for _ in range(9))))
    bad = rows["observations"]
    bad[1]["latency_s"] = -1
    bad[2]["surprise"] = 1
    bad[3]["kind"] = "mystery"
    bad[4]["version"] = "sha256:short"
    bad[5]["at"] = "2026-01-01T00:00:00"
    bad[6]["unit"] = ""
    bad[7]["at"] = "2026-01-01T00:02:00Z"
    bad[8]["at"] = "2025-12-01T00:00:00Z"
    bad[9] = 17
    receipt = running.take(json.dumps(rows).encode())
    assert (receipt["n_accepted"], receipt["n_rejected"]) == (1, 9)
    reasons = {r["index"]: r["reason"] for r in receipt["rejections"]}
    assert "latency_s" in reasons[1]
    assert "surprise" in reasons[2]
    assert "mystery" in reasons[3]
    assert "timezone" in reasons[5]
    assert "future" in reasons[7]
    assert "days back" in reasons[8]
    assert set(reasons) == set(range(1, 10))


@pytest.mark.parametrize("version", [f"{STABLE}0", STABLE[:-1], STABLE.upper(), STABLE[7:], "", None])
def test_a_version_that_is_no_digest_costs_its_row_only(running, version):
    rows = json.loads(running.body(*(running.call("u") for _ in range(3))))
    rows["observations"][1]["version"] = version
    receipt = running.take(json.dumps(rows).encode())
    assert (receipt["n_accepted"], [r["index"] for r in receipt["rejections"]]) == (2, [1])
    assert "$.version" in receipt["rejections"][0]["reason"]


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'{"batch": "b"}', b"\xff", b'{"batch":"b","instance":"i","project":"p","observations":[NaN]}',
     b'{"batch":"b","instance":"i","project":"p","observations":[],"more":1}'],
)  # fmt: skip
def test_what_is_no_batch_is_refused_with_what_to_do(running, body):
    with pytest.raises(Invalid, match="not a batch") as error:
        running.take(body)
    assert error.value.remedy


def test_a_number_beyond_all_numbers_costs_its_row_only(running):
    body = running.body(running.call("u1"), running.call("u2", latency_s=0.125)).replace(b"0.125", b"1e999")
    receipt = running.take(body)
    assert (receipt["n_accepted"], receipt["n_rejected"]) == (1, 1)


def test_a_nul_character_costs_its_row_only(running):
    rows = [
        running.call("u1"),
        running.call("u2", error_class="\0"),
        running.call("u3", guardrails=("a\0",)),
        running.call("\\u0000"),
    ]
    receipt = running.send(*rows)
    assert {one["index"] for one in receipt["rejections"]} == {1, 2}
    assert {row.unit for row in running.rows("calls")} == {"u1", "\\u0000"}
    with pytest.raises(Invalid, match="NUL"):
        running.send(running.call("u1"), instance="\0")


def test_a_large_batch_counts_as_many_small_ones(running):
    """Enough rows for the copy that PostgreSQL gets; some calls and units are known before."""
    known = [running.call(f"u{i % 7}", ago_s=i / 1000) for i in range(20)]
    running.send(*known)
    fresh = [
        running.call(f"u{i % 300}", "canary" if i % 3 else "stable", ago_s=1 - i / 1000) for i in range(900)
    ]
    assert running.send(*known, *fresh)["n_duplicates"] == 20
    assert len(running.rows("calls")) == 920
    units = running.rows("units")
    assert (len(units), sum(row.n_calls for row in units)) == (300, 920)
    assert sum(row.n_calls for row in running.rows("rollups")) == 920
    assert sum(row.n for row in running.rows("latencies") if row.kind == 0) == 920
    assert (
        sum(row.tokens_in for row in running.rows("rollups")) == sum(row.tokens_in for row in units) == 9200
    )


def test_a_block_that_closed_since_a_batch_was_prepared_stays_as_it_was(running):
    known = running.call("old")
    running.send(known)
    body = running.body(running.call("new"), running.call("old", ago_s=-0.5))
    batch = service.parse(body, running.clock.now())
    prepared = running.read(service.prepare, batch, body)
    running.clock.advance(60)
    running.tick()
    with running.writing() as tx:
        service.take(tx, batch, body, prepared)
    assert [(unit(running, name).n_calls, unit(running, name).n_late) for name in ("new", "old")] == [
        (0, 1),
        (1, 1),
    ]


def test_a_rollout_whose_first_call_comes_with_the_batch_is_watched_from_it(running):
    body = running.body(running.call("u1"))
    batch = service.parse(body, running.clock.now())
    prepared = running.read(service.prepare, batch, body)
    assert prepared.watches == {}
    with running.writing() as tx:
        service.take(tx, batch, body, prepared)
    assert unit(running, "u1").n_calls == 1


def test_too_many_rows_are_refused(running):
    rows = b",".join([b"0"] * (MAX_ROWS + 1))
    with pytest.raises(TooLarge, match="20,001 rows"):
        running.take(b'{"batch":"b","instance":"i","project":"p","observations":[' + rows + b"]}")


def test_calls_outside_a_running_rollout_have_no_units(running):
    running.send(running.call("u1", rollout=None), running.call("u2", rollout="ro_other"))
    assert running.rows("units") == []
    assert len(running.rows("calls")) == 2


def test_a_unit_that_changes_arm_counts_in_its_first(running):
    running.send(running.call("u1"))
    running.clock.advance(1)
    running.send(running.call("u1", "canary"))
    assert (unit(running, "u1").arm, unit(running, "u1").n_calls) == ("stable", 2)


def test_the_earliest_call_of_a_batch_fixes_the_arm_whatever_the_order(running):
    running.send(running.call("u1", "canary", ago_s=0), running.call("u1", ago_s=2))
    assert unit(running, "u1").arm == "stable"
    assert unit(running, "u1").first_at == running.clock.now().timestamp() - 2


def test_what_is_said_of_units_does_not_depend_on_the_order_of_rows(running):
    """Also of calls at the same moment, which differ in one thing each."""
    same = {"latency_s": 0.2, "application": "key_1", "variant": "stable", "tokens_in": 10}
    others = ({"variant": "canary"}, {"latency_s": 0.1}, {"application": "key_0"}, {"tokens_in": None}, {})
    pairs = [({**same, **one}, {**same, **other}) for one in others for other in others]
    for name, turned in (("a", 1), ("b", -1)):
        calls = [running.call(f"{name}{i}", **one) for i, pair in enumerate(pairs) for one in pair[::turned]]
        running.send(*calls[::turned])
    kept = {row.unit: row for row in running.rows("units")}
    assert [kept[f"a{i}"][2:] for i in range(len(pairs))] == [kept[f"b{i}"][2:] for i in range(len(pairs))]
    assert {kept[f"a{i}"].arm for i in range(5)} == {"canary"}


def test_an_exposure_makes_a_unit_without_calls(running):
    running.send(running.exposure("u1", "canary"), running.exposure("u2", rollout="ro_other"))
    assert (unit(running, "u1").arm, unit(running, "u1").n_calls) == ("canary", 0)


def test_outcomes_after_the_window_are_late(running):
    call = running.call("u1")
    running.send(call)
    running.clock.advance(3.5)
    running.send(running.call("u1", status=500), running.thumb(call, 0))
    kept = unit(running, "u1")
    assert (kept.n_calls, kept.n_errors, kept.n_feedback) == (1, 0, 0)
    assert (kept.n_late, kept.late_badness) == (2, 1)


def test_feedback_finds_its_call_in_the_same_batch_and_in_an_earlier_one(running):
    early = running.call("u1")
    running.send(early)
    same = running.call("u2")
    running.send(same, running.thumb(same, 1), running.thumb(early, 0))
    assert (unit(running, "u1").n_feedback, unit(running, "u1").badness) == (1, 1)
    assert (unit(running, "u2").n_feedback, unit(running, "u2").badness) == (1, 0)
    assert [f["thumbs_down"]["rate"] for f in running.read(service.live.by_version, "acme", last_s=60)] == [
        0.5
    ]


def test_feedback_that_comes_before_its_call_waits_for_it(running):
    call = running.call("u1")
    running.send(running.thumb(call, 0))
    assert running.read(service.live.observers, "acme")["n_unmatched_feedback"] == 1
    running.send(call)
    assert unit(running, "u1").badness == 1
    assert running.read(service.live.observers, "acme")["n_unmatched_feedback"] == 0


def test_the_last_word_on_a_completion_stands(running):
    call = running.call("u1")
    running.send(call, running.thumb(call, 0, ago_s=1), running.thumb(call, 0.5))
    assert (unit(running, "u1").n_feedback, unit(running, "u1").badness) == (1, 0.5)
    running.send(running.thumb(call, 1))
    assert (unit(running, "u1").n_feedback, unit(running, "u1").badness) == (1, 0)


def test_feedback_on_a_call_of_no_rollout_counts_for_its_version_only(running):
    call = running.call("u1", rollout=None)
    running.send(call, running.thumb(call, 0))
    assert running.read(service.live.by_version, "acme", last_s=60)[0]["thumbs_down"]["n"] == 1
    assert running.rows("units") == []


def test_a_gateway_may_say_its_name(running):
    assert running.send(running.call("u1"), gateway="eu-1", environment="production")["n_accepted"] == 1


def test_losses_are_shown_and_never_fall(running):
    running.send(n_dropped=5)
    running.send(n_dropped=3)
    assert running.read(service.live.observers, "acme")["n_dropped"] == 5


def test_a_caller_that_hung_up_is_nobodys_error(running):
    running.send(running.call("u1", status=499, error_class="client_left"))
    assert unit(running, "u1").n_errors == 0


def test_slots_of_ten_seconds(running):
    running.send(running.call("u1"))
    running.clock.advance(10)
    running.send(running.call("u2"), running.call("u3"))
    slots = running.read(service.live.over_time, "acme", last_s=60, route="assistant")
    assert [slot["n_calls"] for slot in slots] == [1, 2]
    assert running.read(service.live.by_version, "acme", last_s=60, route="other") == []


def test_old_rows_are_pruned_a_bounded_number_at_a_time(running):
    call = running.call("u1")
    running.send(call, running.thumb(call, 1))
    running.clock.advance(ANCIENT_S)
    running.send(running.call("u2"))
    with running.writing() as tx:
        assert service.prune(tx) == 1
    assert [row.unit for row in running.rows("calls")] == ["u2"]
    running.clock.advance(40 * 86_400)
    with running.writing() as tx:
        assert service.prune(tx) == 5
    assert running.rows("batches") == running.rows("facets") == []


def test_old_slots_are_folded_into_hours_that_say_the_same(running):
    for n in range(30):
        call = running.call(f"u{n}", latency_s=0.1 + n / 100, status=500 if n % 7 == 0 else 200)
        running.send(call, running.thumb(call, n % 2))
        running.clock.advance(300)
    running.send(running.call("late"))
    running.clock.advance(9 * 86_400)
    running.send(running.call("new"))

    def figures():
        return running.read(service.live.by_version, "acme", last_s=30 * 86_400, route="assistant")

    before, n_before = figures(), len(running.rows("latencies"))
    gone = 1
    while gone:
        with running.writing() as tx:
            gone = service.prune(tx)
    assert figures() == before
    slots = {row.slot for row in running.rows("rollups")}
    assert len(slots) == len({slot - slot % 360 for slot in slots}) <= 5
    assert len(running.rows("latencies")) < n_before
