"""Flags on the command line, as docs/how-to/flags.md tells it."""

import json

import pytest

from assent_client.cli.flag_forms import read_file
from assent_client.cli.main import main
from assent_client.errors import Invalid
from assent_client.typed import read_condition

STAGING = ("--env", "staging")
PRODUCTION = ("--env", "production")


@pytest.fixture
def assent(served, monkeypatch, capsys, tmp_path):
    """Run a command line as somebody; gives its exit code, output and errors."""
    monkeypatch.setenv("ASSENT_URL", served.url)
    monkeypatch.setenv("ASSENT_PROJECT", "shop")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def run(*words, by="ada"):
        monkeypatch.setenv("ASSENT_TOKEN", served.tokens[by])
        code = main(["flag", *map(str, words)])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def shown(assent, name="new-search", where=STAGING):
    return json.loads(assent("show", name, *where, "--json")[1])


def test_a_flag_from_its_making_to_its_end(assent):
    made = assent(
        "create", "new-search", *STAGING, "--share", "on=0.05", "--owner", "web", "--ends-on", "2027-06-30"
    )
    assert (made[0], "0.05" in made[1]) == (0, True)
    assert assent("set", "new-search", *STAGING, "--share", "on=0.2", "--temporary")[0] == 0
    assert assent("set", "new-search", *STAGING)[0] == 10
    code, out, _ = assent("list", *STAGING)
    assert (code, "new-search" in out, "0.2" in out, "web" in out) == (0, True, True, True)
    code, _, err = assent("off", "new-search", *STAGING, "--reason", "slow")
    assert (code, "--yes" in err) == (10, True)
    assert assent("off", "new-search", *STAGING, "--reason", "slow", "--yes")[0] == 0
    assert assent("on", "new-search", *STAGING)[0] == 0
    assert assent("restore", "new-search", "1", *STAGING)[0] == 0
    assert shown(assent)["shares"]["on"] == 0.05
    code, out, _ = assent("history", "new-search", *STAGING)
    assert (code, "restore" in out, "slow" in out) == (0, True, True)
    assent("set", "new-search", *STAGING, "--share", "off")
    assert assent("archive", "new-search", *STAGING, "--reason", "done", "--yes")[0] == 0
    assert assent("show", "new-search", *STAGING)[0] == 13


def test_variants_needs_and_a_file(assent, tmp_path):
    assert assent("create", "base", *STAGING, "--share", "on")[0] == 0
    file = tmp_path / "colour.yaml"
    file.write_text("description: Colour of the button\nunit: organisation\n")
    words = (
        "--variant",
        'blue="#00f"',
        "--variant",
        'none=""',
        "--off",
        "none",
        "--needs",
        "base=on",
        "--file",
        file,
    )
    code, out, _ = assent("create", "colour", *STAGING, *words)
    assert (code, "needs base: on" in out, "organisation" in out) == (0, True, True)
    file.write_text("- 1\n")
    assert assent("set", "colour", *STAGING, "--file", file)[0] == 10
    assert assent("create", "x", *STAGING, "--variant", "blue")[0] == 10


def test_rules_and_segments(assent, tmp_path):
    assent("create", "new-search", *STAGING)
    add = ("rule", "add", "new-search")
    assert assent(*add, "staff", *STAGING, "--when", "email suffix @acme.com", "--give", "on")[0] == 0
    code, out, _ = assent("segment", "set", "beta", *STAGING, "--when", "organisation in acme, zeta")
    assert (code, "organisation in acme,zeta" in out) == (0, True)
    beta = (*add, "beta", *STAGING, "--when", "segment beta", "--when", "age ge 18", "--give", "on=0.5")
    assert assent(*beta, "--before", "staff")[0] == 0
    assert [one["id"] for one in shown(assent)["document"]["rules"]] == ["beta", "staff"]
    assert assent(*add, "staff", *STAGING, "--when", "not_segment beta", "--give", "on")[0] == 0
    assert [one["id"] for one in shown(assent)["document"]["rules"]] == ["beta", "staff"]
    assert assent(*add, "x", *STAGING, "--when", "a in b", "--give", "on", "--before", "gone")[0] == 13
    assert assent(*add, "x", *STAGING, "--give", "on")[0] == 10
    assert assent("rule", "remove", "new-search", "staff", *STAGING)[0] == 0
    assert assent("rule", "remove", "new-search", "staff", *STAGING)[0] == 13
    file = tmp_path / "beta.yaml"
    file.write_text('any:\n- [{attribute: plan, op: equals, value: "pro"}]\n')
    assert assent("segment", "set", "beta", *STAGING, "--file", file)[0] == 0
    assert "plan equals pro" in assent("segment", "show", "beta", *STAGING)[1]
    assert "beta" in assent("segment", "list", *STAGING)[1]
    assert "segment beta and age ge 18" in assent("show", "new-search", *STAGING)[1]


def test_two_people_in_a_protected_environment(assent):
    code, _, err = assent("create", "new-search", *PRODUCTION, "--share", "on=0.1", "--reason", "try it")
    assert (code, "a second person confirms it: assent flag confirm new-search" in err) == (0, True)
    assert "Proposal" in assent("show", "new-search", *PRODUCTION)[1]
    assert assent("confirm", "new-search", *PRODUCTION, by="olga")[0] == 0
    assert assent("confirm", "new-search", *PRODUCTION, by="olga")[0] == 10
    rule = ("rule", "add", "new-search", "all", *PRODUCTION, "--when", "segment beta", "--give", "on")
    assent("segment", "set", "beta", *PRODUCTION, "--when", "plan equals pro")
    assert "confirm new-search" in assent(*rule, "--reason", "for beta")[2]
    assert assent("withdraw", "new-search", *PRODUCTION)[0] == 0
    assent(*rule, "--reason", "for beta")
    assent("confirm", "new-search", *PRODUCTION, by="olga")
    wider = assent("segment", "set", "beta", *PRODUCTION, "--when", "plan equals free", "--reason", "more")
    assert "confirm beta --env production --segment" in wider[2]
    assert assent("confirm", "beta", *PRODUCTION, "--segment", by="olga")[0] == 0
    assert "change" in assent("history", "beta", *PRODUCTION, "--segment")[1]


def test_why_and_who_and_what_a_change_would_do(assent, tmp_path):
    assent("create", "new-search", *STAGING)
    assent("rule", "add", "new-search", "acme", *STAGING, "--when", "organisation in acme", "--give", "on")
    code, out, _ = assent(
        "explain", "new-search", *STAGING, "--unit", "ada", "--context", "organisation=acme"
    )
    assert (code, "✓ holds" in out, "It gets on (rule)." in out) == (0, True, True)
    assert assent("explain", "new-search", *STAGING, "--unit", "ada", "--context", "acme")[0] == 10
    users = tmp_path / "users.csv"
    users.write_text("user,organisation\nada,acme\nbob,zeta\n")
    code, out, err = assent("preview", "new-search", users, *STAGING, "--share", "on", "--lines")
    assert (code, "1 (50 %)" in out, "2 (100 %)" in out, "ada" in out, "1 of 2 would" in err) == (
        0,
        *[True] * 4,
    )
    lines = tmp_path / "users.jsonl"
    lines.write_text('{"unit": "ada", "organisation": "acme"}\n\n{"user": "bob"}\n')
    found = json.loads(assent("preview", "new-search", lines, *STAGING, "--json")[1])
    assert (found["n"], found["counts"], found["n_changed"]) == (2, {"on": 1, "off": 1}, None)


def test_what_is_stale_and_the_export(assent, served, tmp_path):
    assert assent("stale", *STAGING) == (0, "", "No stale flags.\n")
    assent("create", "new-search", *STAGING, "--share", "on=0.2")
    assent("create", "base", *STAGING, "--needs", "new-search=on")
    served.flags.desk.clock.advance(25 * 86_400)
    code, out, _ = assent("stale", *STAGING, "--days", "20")
    assert (code, "No application asked for it" in out) == (1, True)
    out_file = tmp_path / "flags.flagd.json"
    code, _, err = assent("export", *STAGING, "--out", out_file)
    assert (code, "base is left out" in err, "32 % get another variant" in err) == (0, True, True)
    assert json.loads(out_file.read_text())["flags"]["new-search"]["state"] == "ENABLED"
    assert json.loads(assent("export", *STAGING)[1])["flags"]
    assert json.loads(assent("export", *STAGING, "--json")[1])["disagreement"] == {"new-search": 0.32}


def test_conditions_and_contexts_are_read_strictly(tmp_path):
    assert read_condition("flag billing on,half") == {"flag": "billing", "variants": ["on", "half"]}
    assert read_condition("app semver_ge 2.1.0")["value"] == "2.1.0"
    assert read_condition("plan equals true")["value"] is True
    with pytest.raises(Invalid, match="no condition"):
        read_condition("country in")
    file = tmp_path / "x.jsonl"
    for text, message in (
        ("[1]\n", "line 1: not a JSON object"),
        ('{"a": \n', "line 1: not JSON: Expecting value"),
        ('{"a": 1}\n', "no field `unit` or `user`"),
    ):
        file.write_text(text)
        with pytest.raises(Invalid, match=message):
            read_file(file, "user")
    for text, message in (
        ("user,country\nada,DE\nbob\n", "line 3: 1 field, the header has 2"),
        ("user,user\nada,DE\n", "line 1: the header has a name twice"),
        ('user,country\n"ada,DE\n', "not CSV: unexpected end of data"),
        ("name\nada\n", "line 2: no field `unit` or `user`"),
    ):
        file.write_text(text)
        with pytest.raises(Invalid, match=message):
            read_file(file, "user")
    file.write_text("\n".join(["user,country", *["ada"] * 30]))
    with pytest.raises(Invalid, match=r"30 lines of .*; the first 20 are named") as refused:
        read_file(file, "user")
    assert len(refused.value.reasons) == 20
    file.write_text("\ufeffuser,age,plan\n1e5,7,\n\n007,8,pro\n")  # ids stay as they are written
    assert read_file(file, "user") == [
        {"unit": "1e5", "context": {"user": "1e5", "age": 7}},
        {"unit": "007", "context": {"user": "007", "age": 8, "plan": "pro"}},
    ]
    with file.open("wb") as big:
        big.truncate(50_000_001)
    with pytest.raises(Invalid, match="more than"):
        read_file(file, "user")


FILE = """\
assent: 1
project: {name: shop}
environments:
- {name: staging, protected: false}
segments:
- {name: beta, environment: staging, any: [[{attribute: organisation, op: in, value: [acme]}]]}
- {name: beta, environment: production, any: [[{attribute: organisation, op: in, value: [acme]}]]}
flags:
- name: new-search
  environment: staging
  owner: web
  split: {"on": 0.2}
  rules:
  - {id: beta, when: [{segment: beta}], variant: "on"}
- {name: new-search, environment: production, enabled: true, rules: [{id: beta, when: [{segment: beta}], variant: "on"}]}
"""


def test_assent_yaml_brings_flags_to_what_it_says(served, assent, tmp_path, capsys, monkeypatch):
    file = tmp_path / "assent.yaml"

    def apply(text):
        file.write_text(text)
        monkeypatch.setenv("ASSENT_TOKEN", served.tokens["ada"])
        assert main(["apply", "-f", str(file), "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        return [(one["action"], one["name"], one["differs"]) for one in found["changes"][2:]]

    assert [one[0] for one in apply(FILE)] == ["create"] * 4
    waits = "production/new-search (waits for a second person)"
    again = apply(FILE)
    assert [one[:2] for one in again] == [
        ("unchanged", "staging/beta"),
        ("unchanged", "production/beta"),
        ("unchanged", "staging/new-search"),
        ("unchanged", waits),
    ]
    assert assent("confirm", "new-search", *PRODUCTION, by="olga")[0] == 0
    changed = apply(FILE.replace("[acme]", "[acme, zeta]").replace("0.2", "0.5"))
    assert changed[0] == ("update", "staging/beta", ["any"])
    assert changed[2] == ("update", "staging/new-search", ["split"])
    assert changed[3] == ("unchanged", "production/new-search", [])
    assert shown(assent)["shares"]["on"] == 0.5
    assert "production/beta (waits" in str(apply(FILE.replace("[acme]", "[acme, zeta]")))
