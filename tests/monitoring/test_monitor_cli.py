"""`assent monitor` as an operator calls it."""

import json

import pytest

from assent_client.cli.main import main


@pytest.fixture
def assent(served, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("ASSENT_URL", served.url)
    monkeypatch.setenv("ASSENT_TOKEN", served.tokens["admin"])
    monkeypatch.setenv("ASSENT_PROJECT", "acme")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)

    def run(*words, as_json=True):
        code = main([*words, *(["--json"] if as_json else [])])
        out, err = capsys.readouterr()
        return code, (json.loads(out or err) if as_json else out + err)

    return run


def test_figures_are_shown_with_intervals(served, assent):
    desk = served.desk
    desk.send(desk.call("u1", status=500), desk.call("u2", "canary"), desk.call("u3", ttft_s=0.1))
    code, found = assent("monitor", "show", "assistant", "--environment", "production", "--since", "24h")
    assert (code, found["n_calls"], len(found["versions"])) == (0, 3, 2)
    text = assent("monitor", "show", as_json=False)[1]
    assert "50.00 % [" in text
    assert "unknown" in text
    assert "canary" in assent("monitor", "show", "--variants", as_json=False)[1]
    assert "Nothing was served." in assent("monitor", "show", "nothing", as_json=False)[1]


def test_a_period_is_a_length_or_two_moments(served, assent):
    now = served.desk.clock.now()
    served.desk.send(served.desk.call("u1"))
    hour = f"{now:%Y-%m-%dT%H}:00:00"
    assert assent("monitor", "show", "--since", hour)[1]["n_calls"] == 1
    assert (
        assent("monitor", "show", "--since", "1h", "--until", f"{now:%Y-%m-%d}T00:00:00Z")[1]["n_calls"] == 0
    )
    code, wrong = assent("monitor", "show", "--since", "yesterday")
    assert (code, wrong["code"]) == (10, "invalid")
