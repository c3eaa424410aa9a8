"""Who would get what, for a file of contexts: of a flag, with what is proposed, and of what is live."""

import re

from assent.flags import service
from tests.approvals.shop import PROJECT
from tests.console.shop import HERE, words_of
from tests.console.test_flags import ACME, FLAGS, made, place

AT = f"{FLAGS}/staging/new-search/preview"
CSV = "user,organisation\nada,acme\nbob,zeta\n<b>,other\n"


def ask(browser, address, text="", file=None, **changes):
    """Send the form as a browser does: a file beside the fields, empty where none was chosen."""
    token = browser.fields(browser.get(address), address)
    files = {"file": ("users.csv", file) if file is not None else ("", b"")}
    headers = {"origin": HERE, **changes.pop("headers", {})}
    data = {**token, "contexts": text, **changes}
    return browser.post(address, data=data, files=files, headers=headers)


def test_a_file_of_contexts_shows_who_gets_what_and_why(console):
    made(console, split={"on": 0.000001}, rules=[ACME])
    browser = console.signed_in("ada")
    assert f'href="{AT}"' in browser.get(f"{FLAGS}/staging/new-search").text
    answer = ask(browser, AT, file=("\ufeff" + CSV).encode())
    words = words_of(answer)
    assert "3 in all" in words
    assert "off 2 (66.7 %) on 1 (33.3 %)" in words
    assert "ada on rule acme bob off bucket " in words
    assert "&lt;b&gt;" in answer.text
    assert words_of(ask(browser, AT, text=CSV)).count("rule acme") == 1


def test_what_waits_for_a_second_person_stands_beside_it(console):
    made(console, "production")
    console.do(
        "ada", service.change, service.Change(place=place("production"), form={"split": "on"}, reason="go")
    )
    words = words_of(ask(console.signed_in("rita"), AT.replace("staging", "production"), text=CSV))
    assert "3 would get another variant under what waits for a second person" in words
    assert "off 3 (100 %) 0 (0 %) on 0 (0 %) 3 (100 %)" in words
    assert "ada off everybody gets it on" in words


def test_more_lines_than_are_shown_are_counted(console):
    made(console, enabled=False)
    text = "unit\n" + "\n".join(f"u{i}" for i in range(250))
    words = words_of(ask(console.signed_in("ada"), AT, text=text))
    assert "250 in all" in words
    assert "The first 200 are shown; all are counted." in words
    assert "u199 off it is switched off" in words


def test_a_file_that_cannot_be_read_is_refused_by_line_and_what_was_pasted_stays(console):
    made(console)
    browser = console.signed_in("ada")
    wrong = ask(browser, AT, text="user,country\nada\nbob\n")
    assert wrong.status_code == 422
    words = words_of(wrong)
    assert "the text, line 2: 1 field, the header has 2" in words
    assert "the text, line 3" in words
    assert "user,country\nada\nbob" in wrong.text
    for sent, status, told in (
        ({}, 422, "nobody to decide for"),
        ({"file": b"user\n\xff\n"}, 422, "users.csv is no text in UTF-8: byte 6 is wrong"),
        ({"file": b"unit\n" + b"x\n" * 10_001}, 422, "10,001 contexts are too many"),
        ({"file": b"x" * 1_000_001}, 413, "may have 1,000,000 bytes"),
    ):
        answer = ask(browser, AT, **sent)
        assert (answer.status_code, told in words_of(answer)) == (status, True), told
    again = ask(browser, AT, text=CSV, form_token="wrong")
    assert (again.status_code, "ada,acme" in again.text) == (403, True)
    sent_again = browser.submit(again, AT, contexts=CSV)
    assert (sent_again.status_code, "3 in all" in words_of(sent_again)) == (200, True)
    torn = browser.post(
        AT, content=b"--x", headers={"origin": HERE, "content-type": "multipart/form-data; boundary=y"}
    )
    assert (torn.status_code, "The form cannot be read" in words_of(torn)) == (422, True)


def test_what_is_live_is_previewed_by_version(console):
    staff = [{"attribute": "organisation", "op": "in", "value": ["acme"]}]
    steps = [
        {"share": 0.25, "audience": staff, "min_time_s": 10, "min_units": 5, "max_time_s": 3600},
        {"share": 1, "min_time_s": 10},
    ]
    rollout = console.running(steps=steps)
    browser = console.signed_in("otto")
    address = f"/projects/{PROJECT}/systems/{rollout.name}/preview/{rollout.environment}"
    assert f'href="{address}"' in browser.get(f"/projects/{PROJECT}/systems/{rollout.name}").text
    words = words_of(ask(browser, address, text=CSV))
    assert f"ada canary: {rollout.ref} rule audience-1" in words
    assert re.search(r"bob (stable: support@2.0.0|canary: support@2.1.0) bucket [0-9,]+ of 1,000,000", words)
    assert ask(browser, address).status_code == 422
    assert browser.get(f"/projects/{PROJECT}/systems/nobody/preview/production").status_code == 404
