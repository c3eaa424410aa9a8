"""Guardrails in a version's document: checked at once, written in one form."""

import pytest

from assent.kernel.errors import Invalid
from assent.registry.domain.document import parse_model
from assent.registry.service.guardrails import check_guardrails

MODEL = {"provider": "main", "upstream_model": "m"}


def parsed(*guardrails):
    return parse_model(MODEL | {"guardrails": list(guardrails)}, project="shop", name="a")


def test_guardrails_are_part_of_the_document_and_block_by_default():
    given = [
        {"name": "pii", "on": "request", "kind": "pii"},
        {"name": "mail", "on": "answer", "kind": "pii", "kinds": ["email"], "action": "flag"},
        {"name": "words", "on": "answer", "kind": "regex", "pattern": "we (promise|guarantee)"},
        {"name": "shape", "on": "answer", "kind": "json_schema", "schema": {"type": "object"}},
    ]
    assert parsed(*given)["guardrails"] == [{"action": "block", **one} for one in given]


HOOK = {"name": "words", "on": "request", "kind": "webhook", "url": "https://guard.example.com/check",
        "secret": "env:GUARD_SECRET"}  # fmt: skip


def test_a_webhook_is_asked_for_a_second_and_fails_closed_unless_its_author_says_otherwise():
    given = HOOK | {"timeout_s": 0.25, "fail": "open", "action": "flag"}
    assert parsed(HOOK, given | {"name": "b"})["guardrails"] == [
        {"action": "block", "timeout_s": 1, "fail": "closed", **HOOK}, given | {"name": "b"},
    ]  # fmt: skip
    check_guardrails(parsed(HOOK))


def test_a_document_without_guardrails_keeps_its_old_form():
    assert "guardrails" not in parsed()
    assert "guardrails" not in parse_model(MODEL, project="shop", name="a")


@pytest.mark.parametrize(
    ("guardrail", "where"),
    [
        ("x", "guardrails[0]"),
        ({"name": "A b", "on": "request", "kind": "pii"}, "guardrails[0].name"),
        ({"name": "a", "on": "both", "kind": "pii"}, "guardrails[0].on"),
        ({"name": "a", "on": "request", "kind": "magic"}, "guardrails[0].kind"),
        ({"name": "a", "on": "request", "kind": "pii", "action": "shout"}, "guardrails[0].action"),
        ({"name": "a", "on": "request", "kind": "pii", "pattern": "x"}, "guardrails[0].pattern"),
        ({"name": "a", "on": "request", "kind": "pii", "kinds": []}, "guardrails[0].kinds"),
        ({"name": "a", "on": "request", "kind": "regex"}, "guardrails[0].pattern"),
        ({"name": "a", "on": "request", "kind": "json_schema", "schema": {}}, "guardrails[0].schema"),
        ({"name": "a", "on": "answer", "kind": "json_schema", "schema": 7}, "guardrails[0].schema"),
        (HOOK | {"url": None}, "guardrails[0].url"),
        (HOOK | {"url": "ftp://guard.example.com/"}, "guardrails[0].url"),
        (HOOK | {"url": "https://ada:pw@guard.example.com/"}, "guardrails[0].url"),
        (HOOK | {"url": "http://metadata.google.internal/"}, "guardrails[0].url"),
        (HOOK | {"secret": "whsec_AAAA"}, "guardrails[0].secret"),
        (HOOK | {"secret": "file:/etc/passwd"}, "guardrails[0].secret"),
        (HOOK | {"timeout_s": 0.01}, "guardrails[0].timeout_s"),
        (HOOK | {"timeout_s": True}, "guardrails[0].timeout_s"),
        (HOOK | {"timeout_s": 11}, "guardrails[0].timeout_s"),
        (HOOK | {"fail": "shut"}, "guardrails[0].fail"),
        (HOOK | {"pattern": "x"}, "guardrails[0].pattern"),
    ],
)
def test_a_guardrail_out_of_form_is_refused_with_its_place(guardrail, where):
    with pytest.raises(Invalid) as refusal:
        parsed(guardrail)
    assert where in {reason.id for reason in refusal.value.reasons}


def test_a_guardrail_that_cannot_be_followed_is_refused_with_the_reason():
    good = {"name": "a", "on": "answer", "kind": "regex", "pattern": "a|b"}
    check_guardrails(parsed(good, {"name": "b", "on": "answer", "kind": "pii", "kinds": ["email"]}))
    wrong = [
        {"name": "c", "on": "request", "kind": "pii", "kinds": ["name"]},
        {"name": "d", "on": "request", "kind": "regex", "pattern": "(a"},
        {"name": "e", "on": "answer", "kind": "json_schema", "schema": {"type": "x"}},
        {"name": "f", "on": "answer", "kind": "json_schema", "schema": {"type": "object"}},
    ]
    with pytest.raises(Invalid) as refusal:
        check_guardrails(parsed(good, *wrong))
    assert [reason.id for reason in refusal.value.reasons] == [
        "guardrails[1]",
        "guardrails[2]",
        "guardrails[3]",
    ]


def test_too_many_or_two_of_one_name_are_refused():
    one = {"name": "a", "on": "request", "kind": "pii"}
    for many in ([one, one], [one] * 21):
        with pytest.raises(Invalid):
            parsed(*many)
    with pytest.raises(Invalid):
        parse_model(MODEL | {"guardrails": {"a": 1}}, project="shop", name="a")


def test_a_fallback_chain_is_part_of_the_document_in_its_order():
    hops = ["sha256:" + sign * 64 for sign in "ba"]
    document = parse_model(MODEL | {"fallback": hops}, project="shop", name="a")
    assert document["fallback"] == hops
    assert "fallback" not in parsed()
    for wrong in (["x"], hops * 2, ["sha256:" + f"{n:064x}" for n in range(6)], "x"):
        with pytest.raises(Invalid) as refusal:
            parse_model(MODEL | {"fallback": wrong}, project="shop", name="a")
        assert {reason.id for reason in refusal.value.reasons} == {"fallback"}
