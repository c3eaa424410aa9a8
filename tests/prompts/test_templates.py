"""Templates: mistakes are told by line and column, and no short text can make a long one."""

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.kernel.errors import Invalid, TooLarge
from assent.prompts import service
from assent.prompts.domain import parse_prompt
from assent.prompts.service import schemas, templates
from assent_client.calls.prompting import Messages


def document(text, names=(), **changes):
    variables = names if isinstance(names, dict) else {name: {} for name in names}
    return parse_prompt({"text": text, "variables": variables, **changes}, project="shop", name="greeting")


def flaws(text, names=(), **changes):
    return templates.examine(document(text, names, **changes))


def text_of(text, values, **changes):
    found = service.render(document(text, tuple(values), **changes), values)
    return found[0]["content"]


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("Hi {{ name }}", 1, 7, "'name' is not declared"),
        ("Hi\n  {% for x in names %}{{ x }}{% endfor %}", 2, 15, "'names' is not declared"),
        ("name {{ x.name }} {{ name }}", 1, 22, "'name' is not declared"),
        ("a\nb {% if %}", 2, 3, "Expected an expression"),
        ("a\n\n {{ x", 3, 2, "unexpected end of template"),
        ("{% for x in y %}", 1, 1, "Unexpected end of template"),
        ("{{ x|nothing }}", 1, 1, "'nothing' is not offered"),
        ("{{ x|center(9) }}", 1, 1, "'center' is not offered"),
        ("{{ x is nothing }}", 1, 1, "No test named"),
        ("é\n{{ ' }}", 2, 1, "unexpected char"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_column(text, line, column, words):
    names = ("x", "y") if "not declared" not in words else ("x",)
    (flaw,) = flaws(text, names)[:1]
    assert words in flaw.message
    assert flaw.have == {"line": line, "column": column}
    assert flaw.id == "messages[0].content"


def test_a_variable_that_no_text_uses_is_a_mistake():
    assert [flaw.id for flaw in flaws("{{ a }}", ("a", "b", "c"))] == ["variables.b", "variables.c"]


@pytest.mark.parametrize(
    "text",
    [
        "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
        "{{ lipsum(1000) }}",
        "{{ 'a' * 1000000000 }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ x|center(1000000000) }}",
        "{{ x|indent(1000000000) }}",
        "{{ x|tojson(indent=1000000000) }}",
        "{{ x|round(1000000000, 'ceil') }}",
        "{{ x|replace('a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa') }}",
        "{{ x|replace('a', y) }}",
        "{{ x|list|join('aa')|list|join('aa')|list|join('aa') }}",
        "{{ x|tojson|tojson|tojson }}",
        "{% if x|tojson|tojson|tojson %}{% endif %}",
        "{% for a in x|default(x|tojson|tojson|tojson) %}{% endfor %}",
        "{% for a in x if a|tojson|tojson|tojson %}{% endfor %}",
        "{{ (x ~ x)|list }}",
        "{{ (x + x)|upper }}",
        "{% set x = 'a' %}{% set x = x ~ x %}{{ x }}",
        "{% set x %}a{% endset %}",
        "{% for a in [x, x] %}{% for b in [a ~ a] %}{{ b }}{% endfor %}{% endfor %}",
        "{% for a in x %}" * 4 + "{% endfor %}" * 4,
        "{% for a in x recursive %}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}",
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{% extends 'x' %}",
        "{% block a %}{% endblock %}",
        "{% with a=x %}{{ a }}{% endwith %}",
        "{% filter upper %}a{% endfilter %}",
        "{% call m() %}{% endcall %}",
        "{{ x.__class__.__mro__ }}",
        "{{ x.format(1) }}",
        "{{ x|attr('__class__') }}",
        "{{ x|map('center', 1000000000)|list }}",
        "{{ x|join(*y) }}",
        "{{ x|indent(2.5) }}",
        "{% autoescape true %}{% endautoescape %}",
        "{{ x" + "|upper" * 21 + " }}",
        "{{ " + "(" * 3000 + "x" + ")" * 3000 + " }}",
        "{% if x %}" * 300 + "{% endif %}" * 300,
        "{{ x }}" * 20_000,
        "{{ x" + " + x" * 30_000 + " }}",
    ],
)
def test_what_could_grow_without_bound_or_look_behind_is_refused_at_once(text):
    flaw = flaws(text, {"x": {}, "y": {}})[0]
    assert flaw.have is not None, flaw


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("Hi {{ name }}!", {"name": "Ada"}, "Hi Ada!"),
        ("{{ name|upper }} & <{{ name }}>\n", {"name": "é"}, "É & <é>\n"),
        (
            "{% for x in xs %}{{ loop.index }}. {{ x.a }}\n{% endfor %}",
            {"xs": [{"a": 1}, {"a": 2}]},
            "1. 1\n2. 2\n",
        ),
        ("{% for k, v in d|items %}{{ k }}={{ v }};{% endfor %}", {"d": {"a": 1}}, "a=1;"),
        ("{{ xs|join(', ') }}", {"xs": ["a", "b"]}, "a, b"),
        ("{% for x in ['a', 'b'] %}{{ x ~ y }}{% endfor %}", {"y": 1}, "a1b1"),
        ("{{ x|tojson(indent=2) }}", {"x": [1]}, "[\n  1\n]"),
        ("{% if a and not b %}yes{% elif b %}b{% else %}no{% endif %}", {"a": 1, "b": 0}, "yes"),
        ("{{ 'x' if a > 1 - 2 + 3 else -a }}", {"a": 3}, "x"),
        ("{{ t|truncate(5, true, '…') }}", {"t": "a" * 20}, "aaaa…"),
        ("{{ d['a'][1:] }} {{ {'k': 1}.k }}{# no #}", {"d": {"a": "xyz"}}, "yz 1"),
        (
            "{{ xs|selectattr('on')|map(attribute='n')|list|length }}",
            {"xs": [{"on": 1, "n": 2}, {"on": 0}]},
            "1",
        ),
    ],
)
def test_templates_render_what_they_say(text, values, expected):
    assert flaws(text, tuple(values)) == []
    assert text_of(text, values) == expected


def test_loops_and_output_are_bounded_while_rendering(monkeypatch):
    nested = "{% for a in x %}{% for b in x %}{% for c in x %}{% endfor %}{% endfor %}{% endfor %}"
    with pytest.raises(TooLarge, match="rounds"):
        text_of(nested, {"x": [0] * 1000})
    with pytest.raises(TooLarge, match="characters"):
        text_of("{% for a in x %}{{ y }}{% endfor %}", {"x": [0] * 50_000, "y": "z" * 1000})
    monkeypatch.setattr(templates, "MAX_RENDERED", 10)
    for changes in ({}, {"syntax": "simple"}):
        with pytest.raises(TooLarge, match="characters"):
            text_of("{{ y }}{{ y }}", {"y": "123456"}, **changes)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("{{ x.a.b }}", {"x": {}}),
        ("{{ x + 1 }}", {"x": "a"}),
        ("{% for a in x %}{% endfor %}", {"x": 3}),
        ("{{ x['__class__'] }}", {"x": "a"}),
        ("{{ x|map(attribute='__class__')|join }}", {"x": ["a"]}),
        ("{{ x[y] }}", {"x": [1], "y": "__class__"}),
    ],
)
def test_a_template_that_fails_says_so(text, values):
    with pytest.raises(Invalid, match="cannot be rendered"):
        text_of(text, values)


@pytest.mark.parametrize(
    ("values", "expected"),
    [({"a": "x"}, "x"), ({"a": None}, ""), ({"a": 1.5}, "1.5"), ({"a": {"b": [True]}}, '{"b":[true]}')],
)
def test_simple_syntax_fills_in_names_and_nothing_else(values, expected):
    assert text_of("{% {{ a }}{{a}} %}", values, syntax="simple") == f"{{% {expected}{expected} %}}"


@pytest.mark.parametrize(
    ("text", "place"),
    [("a\n {{ b c }}", (2, 2)), ("{{}}", (1, 1)), ("{{ a", (1, 1)), ("{{ a|upper }}", (1, 1))],
)
def test_braces_that_simple_syntax_cannot_read_are_refused(text, place):
    (flaw,) = flaws(text, syntax="simple")
    assert (flaw.have["line"], flaw.have["column"]) == place


def test_simple_syntax_knows_its_variables_too():
    assert [flaw.id for flaw in flaws("{{ a }}", syntax="simple")] == ["messages[0].content"]
    assert flaws("{{{a}}}", ("a",), syntax="simple") == []


DECLARED = {
    "name": {"schema": {"type": "string", "maxLength": 3}},
    "n": {"schema": {"type": "integer"}, "default": 2},
    "more": {"required": False},
}


def test_variables_are_checked_against_their_schemas_all_at_once():
    made = document("{{ name }}{{ n }}{{ more }}", DECLARED)
    with pytest.raises(Invalid) as caught:
        service.render(made, {"n": "x", "other": 1})
    assert {reason.id for reason in caught.value.reasons} == {"name", "n", "other"}
    assert service.render(made, {"name": "Bo"})[0]["content"] == "Bo2None"
    assert service.render(made, {"name": "Bo", "n": 5, "more": "!"})[0]["content"] == "Bo5!"


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"variables": {"a": {"schema": {"type": "text"}}}}, "variables.a.schema"),
        ({"variables": {"a": {"schema": {"$ref": "https://example.com/x"}}}}, "variables.a.schema"),
        ({"variables": {"a": {"schema": {"items": [{"$dynamicRef": "file:///etc/passwd"}]}}}}, "variables.a.schema"),
        ({"variables": {"a": {"schema": {"type": "integer"}, "default": "x"}}}, "variables.a.default"),
        ({"variables": {"a": {"schema": {"$ref": "#/nowhere"}, "default": "x"}}}, "variables.a.default"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": 3}}}]}, "tools[0].function.parameters"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"required": "a"}}}}, "response_format.json_schema.schema"),
    ],
)  # fmt: skip
def test_schemas_are_checked_and_nothing_is_fetched(changes, where):
    made = parse_prompt({"text": "{{ a }}", **changes}, project="shop", name="greeting")
    assert [flaw.id for flaw in schemas.examine(made)] == [where]


def test_a_schema_that_is_nested_without_end_is_refused():
    schema = {}
    for _ in range(60):
        schema = {"not": schema}
    made = document("{{ a }}", {"a": {"schema": schema}})
    assert "nested" in schemas.examine(made)[0].message


def test_parts_of_a_message_are_filled_in_and_others_are_kept():
    parts = [{"type": "text", "text": "Hi {{ a }}"}, {"type": "image_url", "image_url": {"url": "x"}}]
    calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    messages = [
        {"role": "user", "content": parts},
        {"role": "assistant", "content": None, "tool_calls": calls},
    ]
    made = parse_prompt({"messages": messages, "variables": {"a": {}}}, project="shop", name="greeting")
    assert templates.examine(made) == []
    found = service.render(made, {"a": "Bo"})
    assert found[0]["content"] == [{"type": "text", "text": "Hi Bo"}, parts[1]]
    assert found[1] == messages[1]


values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=5,
)
PIECES = [
    "{{ x }}",
    "{{ y|tojson }}",
    "plain\n",
    "{% for a in y if a %}{{ a }},{% endfor %}",
    "{{ x|upper }}",
]


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=4),
    st.text(max_size=5),
    st.lists(values, max_size=3),
)
def test_the_gateway_renders_what_the_registry_renders(pieces, x, y):
    for syntax in ("jinja", "simple"):
        text = "{{ x }} {{ y }}" if syntax == "simple" else "".join([*pieces, "{{ x }}{{ y }}"])
        made = document(text, {"x": {"schema": {"type": "string"}}, "y": {}}, syntax=syntax)
        assert templates.examine(made) == []
        sent = msgspec.json.decode(b"[" + Messages(made).render({"x": x, "y": y}) + b"]")
        assert sent == service.render(made, {"x": x, "y": y})


@settings(deadline=None)
@given(st.text(max_size=60) | st.text(alphabet="{}%# \n'\"ab|.()[]-+", max_size=60))
def test_any_text_is_either_refused_or_renders(text):
    for syntax in ("jinja", "simple"):
        if not text.strip():
            continue
        made = document(text, {"a": {}}, syntax=syntax)
        if not templates.examine(made):
            with suppress(Invalid):  # such as an arithmetic that this value does not have
                templates.render(made, {"a": "x"})
