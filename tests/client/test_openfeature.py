# ruff: noqa: FBT003 -- a flag's default stands where OpenFeature puts it
"""OpenFeature's own client reads our flags in process."""

import asyncio

import pytest
from forge import model_document
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent
from openfeature.exception import ErrorCode, ProviderNotReadyError
from openfeature.flag_evaluation import Reason
from openfeature.hook import Hook
from openfeature.provider import ProviderStatus
from served import until
from test_flags import BEYOND, flag, publish

from assent_client.client import Client
from assent_client.openfeature import AssentProvider

ADA = EvaluationContext("ada", {"organisation": "acme"})
ALL = 1_000_000
FLAGS = {
    "yes": flag(share=ALL),
    "split": flag(share=500_000),
    "ruled": flag(rules=[{"id": "r", "when": BEYOND, "variant": "on"}]),
    "off": flag(share=ALL, enabled=False),
    "blank": flag(share=ALL, enabled=False, off=None),
    "text": flag({"a": "x", "b": "y"}, share=ALL),
    "whole": flag({"a": 5, "b": 6}, share=ALL),
    "part": flag({"a": 0.5, "b": 0.25}, share=ALL),
    "shape": flag({"a": {"k": 1}, "b": {}}, share=ALL),
    "items": flag({"a": [1], "b": []}, share=ALL),
}


@pytest.fixture
def client(server, settings):
    publish(server, **FLAGS)
    with Client(settings) as client:
        assert client.wait()
        yield client


@pytest.fixture
def feature(client):
    api.set_provider_and_wait(AssentProvider(client))
    yield api.get_client()
    api.clear_providers()
    api.clear_hooks()


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("boolean", "yes", (False, True, Reason.STATIC)),
        ("boolean", "ruled", (False, True, Reason.TARGETING_MATCH)),
        ("boolean", "off", (True, False, Reason.DISABLED)),
        ("string", "text", ("-", "x", Reason.STATIC)),
        ("integer", "whole", (1, 5, Reason.STATIC)),
        ("float", "part", (1.0, 0.5, Reason.STATIC)),
        ("float", "whole", (1.0, 5.0, Reason.STATIC)),
        ("object", "shape", ({}, {"k": 1}, Reason.STATIC)),
        ("object", "items", ([], [1], Reason.STATIC)),
    ],
)
def test_all_five_types_come_with_reason_and_variant(feature, is_async, kind, name, expected):
    default, value, reason = expected
    ask = getattr(feature, f"get_{kind}_details" + ("_async" if is_async else ""))
    found = ask(name, default, ADA)
    found = asyncio.run(found) if is_async else found
    assert (found.value, found.reason, found.error_code) == (value, reason, None)
    assert type(found.value) is type(value)
    assert found.variant == ("off" if name == "off" else "on" if kind == "boolean" else "a")


def test_a_split_says_so(feature, client):
    found = feature.get_boolean_details("split", False, ADA)
    assert (found.value, found.reason) == (client.decide("split", unit="ada").value, Reason.SPLIT)


@pytest.mark.parametrize(
    ("kind", "name", "context", "default", "code"),
    [
        ("boolean", "unheard-of", ADA, True, ErrorCode.FLAG_NOT_FOUND),
        ("boolean", "split", None, True, ErrorCode.TARGETING_KEY_MISSING),
        ("boolean", "text", ADA, True, ErrorCode.TYPE_MISMATCH),
        ("integer", "yes", ADA, 7, ErrorCode.TYPE_MISMATCH),
        ("integer", "part", ADA, 7, ErrorCode.TYPE_MISMATCH),
        ("float", "text", ADA, 7.0, ErrorCode.TYPE_MISMATCH),
        ("object", "text", ADA, {"d": 1}, ErrorCode.TYPE_MISMATCH),
        ("boolean", "split", EvaluationContext(3.5), True, ErrorCode.INVALID_CONTEXT),
    ],
)
def test_doubt_is_the_default_with_its_code(feature, kind, name, context, default, code):
    found = getattr(feature, f"get_{kind}_details")(name, default, context)
    assert (found.value, found.reason, found.error_code) == (default, Reason.ERROR, code)
    assert found.error_message


def test_a_flag_that_is_off_without_an_off_variant_gives_the_default(feature):
    found = feature.get_boolean_details("blank", True, ADA)
    assert (found.value, found.reason, found.error_code) == (True, Reason.DISABLED, None)


def test_hooks_see_each_evaluation(feature):
    seen = []

    class Watch(Hook):
        def before(self, hook_context, hints):
            seen.append(("before", hook_context.flag_key, hook_context.provider_metadata.name))

        def after(self, hook_context, details, hints):
            seen.append(("after", details.value))

        def error(self, hook_context, exception, hints):
            seen.append(("error", type(exception).__name__))

    api.add_hooks([Watch()])
    feature.get_boolean_value("yes", False, ADA)
    feature.get_boolean_value("unheard-of", False, ADA)
    assert seen == [
        ("before", "yes", "assent"),
        ("after", True),
        ("before", "unheard-of", "assent"),
        ("error", "FlagNotFoundError"),
    ]


def test_exposures_of_an_evaluation_are_recorded(feature, client, server):
    feature.get_boolean_value("yes", False, ADA)
    feature.get_string_value("yes", "", ADA)
    client.close()
    assert [(row["route"], row["variant"]) for row in server.rows] == [("yes", "on")]


def test_events_tell_of_changes_refusals_and_a_server_that_went_away(feature, client, server):
    told = []
    for event in ProviderEvent:
        feature.add_handler(event, lambda details, event=event: told.append((event, details)))
    told.clear()
    publish(server, **FLAGS | {"yes": flag(share=ALL, enabled=False)})
    changed = until(lambda: [d for e, d in told if e is ProviderEvent.PROVIDER_CONFIGURATION_CHANGED])
    assert changed[0].flags_changed == ["yes"]
    assert feature.get_boolean_value("yes", True, ADA) is False

    good, server.serial = server.serial, 3
    publish(server, **FLAGS)
    refused = until(lambda: [d for e, d in told if e is ProviderEvent.PROVIDER_ERROR])
    assert "lies behind" in refused[0].message
    assert feature.get_provider_status() is ProviderStatus.ERROR
    assert feature.get_boolean_value("yes", True, ADA) is False

    server.envelope = b""
    until(lambda: feature.get_provider_status() is ProviderStatus.STALE)
    assert feature.get_boolean_value("yes", True, ADA) is False

    server.serial = good
    publish(server, **FLAGS)
    until(lambda: feature.get_provider_status() is ProviderStatus.READY)
    until(lambda: feature.get_boolean_value("yes", False, ADA))


def test_without_a_snapshot_it_is_not_ready_and_becomes_so_by_itself(server, settings):
    with Client(settings) as client:
        with pytest.raises(ProviderNotReadyError, match="no snapshot"):
            api.set_provider_and_wait(AssentProvider(client, wait_s=0.01))
        feature = api.get_client()
        found = feature.get_boolean_details("yes", False, ADA)
        assert (found.value, found.error_code) == (False, ErrorCode.PROVIDER_NOT_READY)
        publish(server, **FLAGS)
        until(lambda: feature.get_provider_status() is ProviderStatus.READY)
        assert feature.get_boolean_value("yes", False, ADA) is True
        api.clear_providers()
        server.publish(model_document())
        until(lambda: client.snapshot.payload.serial == server.serial)
