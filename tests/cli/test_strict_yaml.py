import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from assent_client.cli.strict_yaml import parse, read
from assent_client.errors import Invalid, TooLarge

FILE = Path("assent.yaml")
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=80), inner, max_size=3)
    ),  # YAML: a key has at most 1,024 characters
    max_leaves=10,
)


@given(VALUES)
def test_every_json_value_reads_back_as_itself(value):
    assert parse(json.dumps(value).encode(), FILE).value == value


@given(st.binary(max_size=60) | st.text(alphabet="a:-[]{}&*!|>'\"#%@` \n\t?,", max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused_and_nothing_else(content):
    try:
        value = parse(content, FILE).value
    except Invalid:
        return
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("2026-01-01", "2026-01-01"),
        ("2.1.0", "2.1.0"),
        ("1.10", 1.1),
        ("'1.10'", "1.10"),
        ("0777", "0777"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        (".inf", ".inf"),
        ("1e999", "1e999"),
        ("12:30:00", "12:30:00"),
        ("9" * 20, "9" * 20),
        ("1e3", 1000.0),
        ("~", None),
        ("key:", {"key": None}),
        ("<<: 1", {"<<": 1}),
        ("text: |\n  a\n  b\n", {"text": "a\nb\n"}),
    ],
)
def test_a_plain_word_is_what_it_looks_like(text, value):
    assert parse(text.encode(), FILE).value == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2\n", "assent.yaml:4: 'c' stands here twice"),
        ("a: &x 1\nb: *x\n", "assent.yaml:1: anchors"),
        ("b: *x\n", "assent.yaml:1: anchors"),
        ("a: !!python/object:os.system x\n", "assent.yaml:1: the tag"),
        ("a: 1\n---\nb: 2\n", "assent.yaml:2: a second document"),
        ("a: 1\n? [b]\n: 2\n", "assent.yaml:2: a key must be text"),
        ("a: [1, 2\nb: 3\n", "assent.yaml:2:"),
        ("a: b: c\n", "assent.yaml:1:5: not YAML"),
        ("\tb: 1", "assent.yaml:1:1: not YAML"),
        ("", "the file is empty"),
        ("# only a comment\n", "the file is empty"),
        ("[" * 60 + "]" * 60, "nested deeper than 50"),
        ("a: \x00", "not YAML"),
        ('a: "\\ud800"', "half a character"),
    ],
)
def test_what_is_not_plain_is_refused_with_its_line(text, said):
    with pytest.raises(Invalid) as caught:
        parse(text.encode(), FILE)
    assert said in str(caught.value)


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(Invalid, match="UTF-8 at byte 3"):
        parse(b"a: \xff", FILE)


def test_nesting_cannot_exhaust_the_stack():
    with pytest.raises(Invalid, match="nested"):
        parse(b"[" * 200_000, FILE)


def test_a_document_knows_the_line_of_every_place():
    document = parse(b"project:\n  name: support\nmodels:\n- name: a\n- name: b\n  tier: low\n", FILE)
    assert document.where(("project", "name")) == "assent.yaml:2"
    assert document.where(("models", 1, "tier")) == "assent.yaml:6"
    assert document.where(("models", 1, "missing", "deeper")) == "assent.yaml:5"
    assert document.where(("nothing",)) == "assent.yaml:1"
    with pytest.raises(Invalid, match=r"^assent\.yaml:6: too high") as caught:
        document.refuse(("models", 1, "tier"), "too high", "lower it")
    assert caught.value.remedy == "lower it"


def test_what_the_standard_loader_reads_as_json_we_read_alike():
    text = "a: {b: [1, 2.5, 'x', \"y\"]}\nlist:\n- - 1\n  - 2\n-\n  c: d\nfolded: >\n  x\n  y\n"
    assert parse(text.encode(), FILE).value == yaml.safe_load(text)


def test_a_file_is_read_up_to_its_limit(tmp_path):
    path = tmp_path / "assent.yaml"
    path.write_text("\ufeffa: 1")
    assert read(path).value == {"a": 1}
    with pytest.raises(TooLarge):
        read(path, max_bytes=3)


@pytest.mark.parametrize("name", [".", "missing.yaml"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name):
    with pytest.raises(Invalid, match="cannot be read"):
        read(tmp_path / name)
