"""Flags: the list, a flag with its bar and rules, the switch, shares, two people, why, and undo."""

from assent.flags import service
from tests.approvals.shop import PROJECT
from tests.console.shop import HERE, words_of

FLAGS = "/projects/shop/flags"
ACME = {
    "id": "acme",
    "when": [{"attribute": "organisation", "op": "in", "value": ["acme", "<b>zeta</b>"]}],
    "variant": "on",
}


def place(environment="staging", **changes):
    return service.Place(project=PROJECT, environment=environment, name="new-search", **changes)


def made(console, environment="staging", by="ada", **document):
    wanted = service.Change(place=place(environment), form=document, reason="to try it")
    return console.do(by, service.create, wanted)


def send(browser, path, environment="staging", **fields):
    """Open the page that asks, and send its form; gives the answer."""
    address = f"{FLAGS}/{environment}/new-search/{path}"
    asked = browser.get(address, params={name: text for name, text in fields.items() if name != "reason"})
    assert asked.status_code == 200
    return browser.submit(asked, address, reason=fields.get("reason", ""))


def test_the_list_shows_each_environment_with_what_is_stale_and_what_waits(console):
    made(console, split={"on": 0.2}, owner="web", ends_on="2020-01-01")
    made(console, "production", split={"on": 0.1})
    segment = place(kind=service.SEGMENT)
    console.do("ada", service.set_segment, segment, {"any": [ACME["when"], ACME["when"]]}, None)
    page = console.signed_in("ada").get(FLAGS)
    words = words_of(page)
    assert "on 20 %, off 80 %" in words
    assert "It was to end on 2020-01-01" in words
    assert "Waits for a second person" in words
    assert "organisation in acme, <b>zeta</b> or organisation in acme" in words
    assert "<b>zeta" not in page.text
    assert "Flags" in words_of(console.signed_in("ada").get("/projects/shop/policies"))


def test_a_flag_shows_its_bar_rules_variants_and_history(console):
    made(console, rules=[ACME], split={"on": 0.2}, description="Finds more", prerequisites=[])
    page = console.signed_in("ada").get(f"{FLAGS}/staging/new-search")
    words = words_of(page)
    assert 'aria-label="Everybody else: on 20 %, off 80 %"' in page.text
    assert "acme organisation in acme, <b>zeta</b>" in words
    assert "Finds more" in words
    assert "never in 30 days" in words
    assert console.signed_in("ada").get(f"{FLAGS}/staging/gone").status_code == 404


def test_the_switch_asks_first_and_names_what_it_leads_to(console):
    made(console, split="on")
    browser = console.signed_in("ada")
    asked = browser.get(f"{FLAGS}/staging/new-search/switch-off")
    assert "At once everybody in staging gets “off”" in words_of(asked)
    refused = send(browser, "switch-off")
    assert (refused.status_code, "needs a reason" in words_of(refused)) == (422, True)
    assert send(browser, "switch-off", reason="slow").status_code == 303
    words = words_of(browser.get(f"{FLAGS}/staging/new-search"))
    assert "switched off: everybody gets the off variant" in words
    assert send(browser, "switch-on").status_code == 303
    assert "switched off" in words_of(browser.get(f"{FLAGS}/staging/new-search"))  # in the history
    assert browser.get(f"{FLAGS}/staging/new-search/dance").status_code == 404


def test_shares_are_looked_at_changed_and_gone_back_on(console):
    made(console, split={"on": 0.05})
    browser = console.signed_in("ada")
    asked = browser.get(f"{FLAGS}/staging/new-search/share", params={"share.on": "20", "share.off": "80"})
    assert "on 20 %, off 80 %. Who had a variant that grows keeps it. It takes effect at once." in words_of(
        asked
    )
    assert send(browser, "share", **{"share.on": "12,5"}).status_code == 303
    assert "on 12.5 %, off 87.5 %" in words_of(browser.get(f"{FLAGS}/staging/new-search"))
    wrong = browser.get(f"{FLAGS}/staging/new-search/share", params={"share.on": "lots"})
    assert (wrong.status_code, "not a percentage" in words_of(wrong)) == (422, True)
    assert send(browser, "restore", to="1").status_code == 303
    for to, status in (("x", 422), ("9", 404)):
        assert browser.get(f"{FLAGS}/staging/new-search/restore", params={"to": to}).status_code == status


def test_in_a_protected_environment_a_second_person_confirms_by_form(console):
    made(console, "production", split={"on": 0.1})
    ada, rita = console.signed_in("ada"), console.signed_in("rita")
    words = words_of(ada.get(f"{FLAGS}/production/new-search"))
    assert "You do not hold the permission flags.flag.confirm" in words
    assert "to try it" in words
    assert send(rita, "confirm", "production").status_code == 303
    asked = ada.get(f"{FLAGS}/production/new-search/share", params={"share.on": "50"})
    assert "a second person must confirm it" in words_of(asked)
    assert send(ada, "share", "production", **{"share.on": "50"}, reason="more").status_code == 303
    assert send(ada, "withdraw", "production").status_code == 303
    refused = rita.get(f"{FLAGS}/production/new-search/share", params={"share.on": "50"})
    assert "You do not hold the permission flags.flag.change" in words_of(refused)
    assert send(rita, "share", "production", **{"share.on": "50"}).status_code == 403


def test_who_proposed_it_is_told_to_ask_a_colleague(console):
    made(console, "production", by="root", split={"on": 0.1})
    assert "You proposed it yourself" in words_of(
        console.signed_in("root").get(f"{FLAGS}/production/new-search")
    )
    held = console.read(service.get, place("production")).proposal
    console.desk.runtime.session.ports.blobs.erase(held.body)
    assert console.signed_in("root").get(f"{FLAGS}/production/new-search").status_code == 200


def test_a_change_made_meanwhile_is_not_overwritten(console):
    made(console, split={"on": 0.1})
    browser = console.signed_in("ada")
    address = f"{FLAGS}/staging/new-search/share"
    asked = browser.get(address, params={"share.on": "20"})
    console.do("ada", service.change, service.Change(place=place(), form={"split": {"on": 0.3}}))
    late = browser.submit(asked, address)
    assert (late.status_code, "it is at 2" in words_of(late)) == (412, True)


def test_why_somebody_gets_what_they_get(console):
    made(console, rules=[ACME], split={"on": 0.5})
    browser = console.signed_in("ada")
    address = f"{FLAGS}/staging/new-search"
    asked = browser.get(
        address, params={"unit": "u1", "context": "organisation = acme\nage=7\npro=true\nx=1.5\n\n"}
    )
    assert "u1 gets on" in words_of(asked)
    assert "yes: organisation in acme" in words_of(asked)
    asked = browser.get(address, params={"unit": "u1", "context": "organisation = other"})
    assert "by bucket" in words_of(asked)
    assert "Does not hold" in words_of(asked)


def make(browser, environment="staging", **typed):
    return browser.submit(browser.get(FLAGS), f"{FLAGS}/{environment}", **typed)


def test_a_flag_is_made_by_form_and_gives_nobody_anything_yet(console):
    browser = console.signed_in("ada")
    answer = make(browser, name="new-search", description="Finds more", owner="web", ends_on="2099-01-31")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{FLAGS}/staging/new-search")
    words = words_of(browser.get(answer.headers["location"]))
    assert "Finds more" in words
    assert "until 2099-01-31" in words
    assert console.read(service.get, place()).flag.is_exposing is False


def test_a_flag_that_cannot_be_made_comes_back_as_it_was_typed(console):
    browser = console.signed_in("ada")
    wrong = make(browser, name="New Search", description="<b>Finds</b> more", ends_on="soon")
    assert wrong.status_code == 422
    assert 'value="&lt;b&gt;Finds&lt;/b&gt; more"' in wrong.text
    assert "The flag was not made" in words_of(wrong)
    made(console)
    assert make(browser, name="new-search").status_code == 409
    assert "Make a flag" not in words_of(console.signed_in("rita").get(FLAGS))
    sent = {**browser.fields(browser.get(FLAGS), f"{FLAGS}/staging"), "name": "other"}
    assert browser.post(f"{FLAGS}/nowhere", data=sent, headers={"origin": HERE}).status_code == 404
    rita = console.signed_in("rita")
    token = rita.fields(rita.get("/"), "/sign-out")
    posted = rita.post(f"{FLAGS}/staging", data={**token, "name": "other"}, headers={"origin": HERE})
    assert (posted.status_code, "flags.flag.change" in words_of(posted)) == (403, True)


def test_rules_are_set_changed_and_taken_away_by_form(console):
    made(console)
    browser = console.signed_in("ada")
    typed = {"rule": "germans", "when": "country in DE, AT\nplan equals 3", "gives": "on"}
    asked = browser.get(f"{FLAGS}/staging/new-search/rule-add", params=typed)
    assert "It then has the rules germans (country in DE, AT and plan equals 3: on)" in words_of(asked)
    assert send(browser, "rule-add", **typed).status_code == 303
    assert send(browser, "rule-add", **typed | {"rule": "second", "when": "plan gt 2"}).status_code == 303
    assert send(browser, "rule-add", **typed | {"when": "country in FR"}).status_code == 303
    rules = console.read(service.get, place()).document["rules"]
    assert [(one["id"], one["when"][0].get("value")) for one in rules] == [
        ("germans", ["FR"]),
        ("second", 2),
    ]
    page = browser.get(f"{FLAGS}/staging/new-search")
    assert f"{FLAGS}/staging/new-search/rule-remove?rule=second" in page.text
    for rule in ("second", "germans"):
        assert send(browser, "rule-remove", rule=rule).status_code == 303
    assert "It then has no rules" not in words_of(browser.get(f"{FLAGS}/staging/new-search"))
    assert console.read(service.get, place()).document["rules"] == []


def test_a_rule_that_cannot_be_is_refused_with_why(console):
    made(console)
    browser = console.signed_in("ada")
    for typed, why in (
        ({"rule": "r", "when": " ", "gives": "on"}, "needs a condition"),
        ({"rule": "r", "when": "country", "gives": "on"}, "is no condition"),
        ({"rule": "r", "when": "country in DE", "gives": "maybe"}, "maybe"),
        ({"rule": "", "when": "country in DE", "gives": "on"}, "rule"),
    ):
        asked = browser.get(f"{FLAGS}/staging/new-search/rule-add", params=typed)
        assert (asked.status_code, why in words_of(asked)) == (422, True), typed
    gone = browser.get(f"{FLAGS}/staging/new-search/rule-remove", params={"rule": "r"})
    assert gone.status_code == 404


def test_a_rule_that_gives_more_in_a_protected_environment_waits_for_a_second_person(console):
    made(console, "production")
    browser = console.signed_in("ada")
    typed = {"rule": "all", "when": "country in DE", "gives": "on"}
    asked = browser.get(f"{FLAGS}/production/new-search/rule-add", params=typed)
    assert "a second person must confirm it" in words_of(asked)
    assert send(browser, "rule-add", "production", **typed, reason="a try").status_code == 303
    stored = console.read(service.get, place("production"))
    assert stored.document["rules"] == []
    assert stored.proposal is not None
