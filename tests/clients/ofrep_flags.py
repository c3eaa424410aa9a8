"""Checks with an unchanged OpenFeature SDK and OFREP provider for Python."""

import os

import openfeature
from checks import GATEWAY, KEY, check, equal, run, until
from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext

ADA = EvaluationContext("ada", {"organisation": "acme"})
BOB = EvaluationContext("bob")


def client_of(token, domain, address=GATEWAY):
    provider = OFREPProvider(address, headers_factory=lambda: {"authorization": f"Bearer {token}"})
    api.set_provider(provider, domain)
    return api.get_client(domain)


FLAGS = client_of(KEY, "flags")


@check
def a_rule_decides_and_says_so():
    found = FLAGS.get_boolean_details("new-search", default_value=False, evaluation_context=ADA)
    equal((found.value, found.variant, str(found.reason)), (True, "on", "TARGETING_MATCH"))
    equal(found.flag_metadata["rule"], "acme")


@check
def whom_no_rule_names_gets_the_off_variant():
    assert FLAGS.get_boolean_value("new-search", default_value=True, evaluation_context=BOB) is False


@check
def texts_of_every_script_pass_unchanged():
    equal(FLAGS.get_string_value("greeting", "", BOB), "Zürich 東京")


@check
def numbers_and_objects_keep_their_types():
    equal(FLAGS.get_integer_value("limit", 1, BOB), 100)
    equal(FLAGS.get_float_value("ratio", 0.5, BOB), 0.75)
    equal(FLAGS.get_object_value("layout", {}, BOB), {"columns": [1, 2]})


@check
def a_share_sticks_to_a_user():
    users = [EvaluationContext(f"user-{n}") for n in range(15)]
    first = [FLAGS.get_boolean_value("half", default_value=False, evaluation_context=one) for one in users]
    equal(
        [FLAGS.get_boolean_value("half", default_value=False, evaluation_context=one) for one in users], first
    )
    equal(set(first), {True, False})


@check
def a_flag_that_is_off_says_that_it_is():
    found = FLAGS.get_boolean_details("broken", default_value=True, evaluation_context=ADA)
    equal((found.value, str(found.reason)), (False, "DISABLED"))


@check
def an_unknown_flag_gives_the_default_and_the_code():
    found = FLAGS.get_boolean_details("gone", default_value=True, evaluation_context=ADA)
    equal((found.value, found.error_code.value), (True, "FLAG_NOT_FOUND"))


@check
def a_missing_unit_gives_the_default_and_the_code():
    found = FLAGS.get_boolean_details("by-organisation", default_value=True, evaluation_context=BOB)
    equal((found.value, found.error_code.value), (True, "TARGETING_KEY_MISSING"))


@check
def another_type_gives_the_default_and_the_code():
    found = FLAGS.get_string_details("limit", "x", BOB)
    equal((found.value, found.error_code.value), ("x", "TYPE_MISMATCH"))


@check
def a_wrong_token_gives_the_default():
    found = client_of("wrong", "wrong").get_boolean_details(
        "new-search", default_value=True, evaluation_context=ADA
    )
    equal((found.value, found.error_code.value), (True, "GENERAL"))


@check
def too_many_evaluations_are_refused_until_the_time_that_is_told():
    limited = client_of(KEY, "limited", os.environ["LIMITED"])

    def ask():
        found = limited.get_boolean_details("half", default_value=False, evaluation_context=BOB)
        return found.error_message if found.error_code else None

    until(lambda: ask() is None, "an answer")
    equal(ask(), "Rate limited, retry after: 2")
    assert "paused due to TooManyRequests" in ask()


run(f"openfeature-ofrep-python {getattr(openfeature, '__version__', '')}".strip())
