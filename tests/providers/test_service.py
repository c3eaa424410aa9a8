"""Providers of a project, keys by reference, and the ends of base models."""

from datetime import date

import pytest

from assent.kernel.errors import Invalid, NotFound
from assent.providers import service
from assent.providers.service import Upstream
from tests.providers.conftest import PROJECT

MAIN = Upstream(base_url="https://api.example.com/v1", api_key="env:EXAMPLE_KEY")


def set_main(desk, **changes):
    upstream = Upstream(**{"base_url": MAIN.base_url, "api_key": MAIN.api_key, **changes})
    return desk.do(service.set_provider, PROJECT, "main", upstream)


def test_a_provider_is_set_changed_and_removed_by_events(desk):
    provider, is_new = set_main(desk)
    assert (is_new, provider.kind, provider.idle_timeout_s) == (True, "openai", 60)
    changed, is_new = set_main(desk, connect_timeout_s=0.25)
    assert (is_new, changed.connect_timeout_s) == (False, 0.25)
    assert desk.read(service.get_provider, PROJECT, "main") == changed
    desk.do(service.remove_provider, PROJECT, "main")
    assert desk.read(service.find_provider, PROJECT, "main") is None
    assert desk.events() == ["providers.provider.set"] * 2 + ["providers.provider.removed"]


def test_setting_the_same_again_records_nothing(desk):
    first, _ = set_main(desk)
    again, is_new = set_main(desk, base_url=f"{MAIN.base_url}/")
    assert (again, is_new) == (first, False)
    assert len(desk.events()) == 1


def test_a_provider_that_is_not_there_is_told_with_those_that_are(desk):
    set_main(desk)
    with pytest.raises(NotFound, match="it has: main"):
        desk.read(service.get_provider, PROJECT, "other")
    with pytest.raises(NotFound):
        desk.do(service.remove_provider, PROJECT, "other")


def test_a_provider_belongs_to_one_project(desk):
    set_main(desk)
    assert desk.read(service.find_provider, "elsewhere", "main") is None
    assert desk.read(service.list_providers, "elsewhere") == []
    with pytest.raises(NotFound, match="no project 'elsewhere'"):
        desk.do(service.set_provider, "elsewhere", "main", MAIN)


@pytest.mark.parametrize("name", ["", "Main", "a/b", "a" * 64])
def test_a_provider_has_a_plain_name(desk, name):
    with pytest.raises(Invalid, match="not a name for a provider"):
        desk.do(service.set_provider, PROJECT, name, MAIN)


def test_providers_are_listed_by_name(desk):
    for name in ("b", "a", "c"):
        desk.do(service.set_provider, PROJECT, name, MAIN)
    assert [one.name for one in desk.read(service.list_providers, PROJECT)] == ["a", "b", "c"]


def test_a_key_is_read_where_its_reference_says(tmp_path, monkeypatch):
    monkeypatch.setenv("UPSTREAM_KEY", " k1 \n")
    (tmp_path / "key").write_text("k2\n")
    assert service.resolve_key(None) is None
    assert service.resolve_key("env:UPSTREAM_KEY") == "k1"
    assert service.resolve_key(f"file:{tmp_path}/key") == "k2"


def test_a_key_that_cannot_be_read_says_where_and_what_to_do(tmp_path, monkeypatch):
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    (tmp_path / "empty").write_text(" \n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "long").write_text("k" * 5000)
    mistakes = {
        "env:NO_SUCH_KEY": "env:NO_SUCH_KEY is not set",
        f"file:{tmp_path}/none": "No such file",
        f"file:{tmp_path}/empty": "is empty",
        f"file:{tmp_path}/binary": "not text",
        f"file:{tmp_path}/long": "longer than a key",
        f"file:{tmp_path}": "Is a directory",
        "sk-secret": "named by env:NAME",
    }
    for reference, said in mistakes.items():
        with pytest.raises(Invalid, match=said) as refusal:
            service.resolve_key(reference)
        assert refusal.value.remedy
        assert "sk-secret" not in str(refusal.value)


def test_the_shipped_calendar_is_dated_and_sourced():
    ends = set(service.calendar().ends.values())
    assert len(ends) >= 10
    for end in ends:
        assert end.announced_on < end.ends_on
        assert end.announced_on <= end.as_of
        assert end.source.startswith("https://")
    assert service.ends_on(None, "gpt-4-32k-0613") == date(2025, 6, 6)
    assert service.ends_on(None, "anthropic/claude-2.1") == date(2025, 7, 21)
    assert service.ends_on(None, "llama-3-at-home") is None


def test_an_operators_word_goes_before_the_calendar_until_it_is_taken_back(desk):
    page = "https://acme.example/contract"
    desk.do(service.date_base_model, "gpt-4-32k", date(2030, 1, 1), page)
    for name in ("gpt-4-32k", "openai/gpt-4-32k"):
        end = desk.read(service.end_of, name)
        assert (end.ends_on, end.is_override, end.source) == (date(2030, 1, 1), True, page)
    desk.do(service.date_base_model, "gpt-4-32k", None, page)
    assert desk.read(service.ends_on, "gpt-4-32k") is None
    desk.do(service.undate_base_model, "gpt-4-32k")
    assert desk.read(service.ends_on, "gpt-4-32k") == date(2025, 6, 6)
    assert desk.events() == ["providers.base_model.dated"] * 2 + ["providers.base_model.undated"]


def test_a_word_on_the_name_with_its_provider_counts_for_the_bare_name(desk):
    desk.do(service.date_base_model, "openai/gpt-4-32k", date(2031, 1, 1), "https://a.example/b")
    assert desk.read(service.ends_on, "gpt-4-32k") == date(2031, 1, 1)


def test_what_the_calendar_does_not_know_can_be_dated(desk):
    desk.do(service.date_base_model, "acme/own-7b", date(2027, 1, 1), "https://a.example/b")
    desk.do(service.date_base_model, "acme/own-7b", date(2027, 1, 1), "https://a.example/b")
    assert desk.read(service.ends_on, "acme/own-7b") == date(2027, 1, 1)
    assert desk.read(service.ends_on, "own-7b") is None
    assert len(desk.events()) == 1


def test_all_ends_are_listed_once_and_by_name(desk):
    shipped = desk.read(service.list_ends)
    desk.do(service.date_base_model, "openai/gpt-4-32k", None, "https://a.example/b")
    listed = desk.read(service.list_ends)
    names = [end.base_model for end in listed]
    assert names == sorted(set(names))
    assert len(listed) == len(shipped)
    assert "gpt-4-32k" not in names
    assert [end.base_model for end in listed if end.is_override] == ["openai/gpt-4-32k"]


def test_nothing_is_taken_back_that_nobody_said(desk):
    with pytest.raises(NotFound, match="Nobody said"):
        desk.do(service.undate_base_model, "gpt-4-32k")
