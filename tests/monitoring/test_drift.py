import json
import random

import pytest
from scipy import stats

from assent.identity import service as identity
from assent.identity.domain import ProjectCreated
from assent.monitoring import jobs, service
from assent.monitoring.domain import drift as rules
from assent.monitoring.domain.kinds import Kind
from assent.monitoring.service.alerts import NewAlert
from assent_client.cli.main import main
from tests.monitoring.conftest import ENVIRONMENT, PROJECT


def counts(values):
    found = {}
    for value in values:
        found[value] = found.get(value, 0) + 1
    return found


@pytest.mark.parametrize("freedom", range(1, 12))
@pytest.mark.parametrize("x", [0.01, 1.0, 7.5, 40.0, 300.0])
def test_the_tail_of_chi_squared_equals_scipy(freedom, x):
    assert rules.tail_of_chi_squared(x, freedom) == pytest.approx(stats.chi2.sf(x, freedom), rel=1e-9)


def test_the_tail_without_freedom_or_difference_is_one():
    assert rules.tail_of_chi_squared(5.0, 0) == rules.tail_of_chi_squared(0.0, 3) == 1.0


def test_homogeneity_equals_scipy():
    first, second = {0: 310, 1: 44, 2: 46}, {0: 250, 1: 90, 2: 60}
    wanted = stats.chi2_contingency([list(first.values()), list(second.values())], correction=False)
    assert rules.chi_squared(first, second) == pytest.approx((wanted.statistic, wanted.pvalue))
    merged = rules.chi_squared({**first, 8: 1, 9: 1}, {**second, 7: 1})
    assert merged[1] == pytest.approx(
        stats.chi2_contingency([[310, 44, 46, 2], [250, 90, 60, 1]]).pvalue, rel=0.1
    )


def test_kolmogorov_smirnov_equals_scipy():
    rng = random.Random(5)
    first = [int(rng.gauss(100, 15)) for _ in range(900)]
    second = [int(rng.gauss(103, 15)) for _ in range(700)]
    wanted = stats.ks_2samp(first, second, method="asymp")
    statistic, p = rules.kolmogorov_smirnov(counts(first), counts(second))
    assert statistic == pytest.approx(wanted.statistic)
    # scipy corrects for small samples; without that both are the same series.
    size = (900 * 700 / 1600) ** 0.5
    assert p == pytest.approx(stats.kstwobign.sf(statistic * size), rel=1e-6)
    assert rules.kolmogorov_smirnov(counts(first), counts(first)) == (0.0, 1.0)


def test_what_is_alike_seldom_drifts_and_what_is_not_does():
    rng, false = random.Random(9), 0
    for _ in range(200):
        pair = [counts(int(rng.expovariate(0.05)) for _ in range(400)) for _ in range(2)]
        shifts = rules.correct([rules.compare(Kind.TOKENS_IN, *pair)] * 3)
        false += any(one.p <= 0.05 for one in shifts)
    assert false <= 12
    longer = counts(int(rng.expovariate(0.025)) for _ in range(400))
    (shift,) = rules.correct([rules.compare(Kind.TOKENS_IN, pair[0], longer)])
    assert (shift.drifted, shift.test) == (True, "Kolmogorov-Smirnov")
    assert shift.psi > 0.2


def test_the_number_of_comparisons_is_accounted_for():
    first, second = {0: 300, 1: 100}, {0: 270, 1: 130}
    one = rules.compare(Kind.FINISH, first, second)
    alone = rules.correct([one])
    many = rules.correct([one, *(rules.compare(Kind.FINISH, first, first) for _ in range(4))])
    assert many[0].p == pytest.approx(5 * alone[0].p)
    assert [round(shift.p, 3) for shift in many[1:]] == [1.0] * 4
    assert alone[0].drifted is False  # chance would hardly do it, and it is small


def test_too_few_calls_say_nothing():
    (shift,) = rules.correct([rules.compare(Kind.FINISH, {0: 199}, {0: 5000})])
    assert (shift.p, shift.psi, shift.drifted) == (None, None, None)


def week_and_day(desk, **changes):
    desk.send(*(desk.call(f"a{i}", rollout=None, tokens_in=100 + i % 7) for i in range(300)))
    desk.clock.advance(7 * 86_400)
    desk.send(*(desk.call(f"b{i}", rollout=None, tokens_in=100 + i % 7, **changes) for i in range(300)))


def test_longer_answers_than_a_week_before_are_found(desk):
    week_and_day(desk, tokens_out=900)
    found = desk.read(lambda r: service.drift.document(service.drift.compare(r, PROJECT, {})))
    assert found["drifted"] == ["tokens_out"]
    assert found["n_comparisons"] == 4
    assert {one["kind"] for one in found["shifts"]} == {"latency", "tokens_in", "tokens_out", "finish"}


def test_drift_is_an_alert_that_is_looked_at_every_five_minutes(running):
    running.record(ProjectCreated(project=PROJECT, title="Acme"))
    with running.writing() as tx:
        identity.create_environment(tx, PROJECT, ENVIRONMENT, protected=True)
        service.alerts.set_(tx, PROJECT, NewAlert("drift", ENVIRONMENT, {"kind": "drift"}))

    def look(seconds=0):
        running.clock.advance(seconds)
        jobs.alert(running.runtime)
        return running.read(service.alerts.get, PROJECT, "drift")

    assert look().holds is None
    week_and_day(running, finish_reason="length")
    first = look()
    assert first.firing
    assert first.last_says.startswith("drifted: finish (PSI")
    assert look(60).checked_at == first.checked_at
    assert look(240).checked_at > first.checked_at


def test_drift_on_the_command_line(served, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("ASSENT_URL", served.url)
    monkeypatch.setenv("ASSENT_TOKEN", served.tokens["admin"])
    monkeypatch.setenv("ASSENT_PROJECT", PROJECT)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    week_and_day(served.desk, latency_s=9.0)
    code = main(
        ["monitor", "drift", "--environment", ENVIRONMENT, "--window", "24h", "--back", "7d", "--json"]
    )
    assert (code, json.loads(capsys.readouterr().out)["drifted"]) == (1, ["latency"])
    assert main(["monitor", "drift", "other"]) == 0
    assert main(["monitor", "drift", "--back", "long"]) == 10
    assert main(["monitor", "drift", "--suite", "quality"]) == 10
    with served.desk.writing() as tx:
        identity.create_environment(tx, PROJECT, ENVIRONMENT, protected=True)
    where = ["assistant", "--environment", ENVIRONMENT]
    assert main(["monitor", "drift", *where, "--suite", "quality"]) == 13
    assert "passed no run of quality" in capsys.readouterr().err
