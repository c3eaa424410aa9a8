"""The documents say what the code does, and every promise of them is kept."""

import re
import tomllib
from pathlib import Path

import pytest

from assent_client.cli.apply.sections import SECTIONS, entries_of
from assent_client.cli.strict_yaml import parse
from tests.architecture.house_rules import ROOT, server_slices
from tests.docs.documents import DOCUMENTS

DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("examples/*/README.md")])
WORDS = """
project · team · system · model · model version · prompt · prompt version · subject · digest · suite · dataset · run ·
case · estimate · verdict · policy · condition · request · vote · factor · decision · environment · route · variant ·
rollout · step · share · promotion · abort · rollback · observation · window · guard · breach · incident · deprecation ·
sunset · retirement · card · evidence · event · leaf · checkpoint · proof · witness · actor · reason · tier · label ·
snapshot · serial · segment · contributor · debt · passport · pack · root
"""


@pytest.mark.parametrize("path", DOCUMENTS)
def test_the_document_follows_the_code(path):
    assert (ROOT / path).read_text(encoding="utf-8") == DOCUMENTS[path](), (
        f"{path} is out of date: run `make docs`"
    )


def test_the_glossary_gives_every_word_one_meaning():
    rows = re.findall(
        r"^\| ([a-z ]+) \| (.+) \|$", (ROOT / "docs/glossary.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    words = [word for word, _ in rows if word != "word"]
    assert len(words) == len(set(words))
    assert {word.strip() for word in WORDS.split("·")} <= set(words)


def test_every_dependency_has_its_row_with_reason_licence_and_release():
    declared = set()
    for path in (ROOT / "pyproject.toml", *ROOT.glob("packages/*/pyproject.toml")):
        config = tomllib.loads(path.read_text(encoding="utf-8"))
        project = config["project"]
        lists = [project["dependencies"], *project.get("optional-dependencies", {}).values()]
        lists += config.get("dependency-groups", {}).values()
        declared |= {re.match(r"[\w.-]+", one)[0] for many in lists for one in many}
    declared -= {"assent", "assent-client"}
    rows = re.findall(
        r"^\| ([\w.-]+) \| (.{3,}?) \| (.{3,}?) \| [\w.]+, 20\d\d-\d\d \|$",
        (ROOT / "docs/dependencies.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert sorted(name for name, _, _ in rows) == sorted(declared)


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_that_are_there(path):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        if not re.match(r"[a-z]+:", target):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_the_architecture_is_one_page_that_names_every_slice():
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    assert text.count("\n") <= 80
    assert [name for name in server_slices() if not re.search(rf"\b{name}\b", text)] == []


def test_no_document_holds_the_marks_of_a_merge():
    for path in DOCS:
        lines = path.read_text(encoding="utf-8").splitlines()
        assert [line for line in lines if re.match(r"(<{7}|={7}|>{7})( |$)", line)] == [], path.name


def test_decisions_are_numbered_without_gaps_and_short():
    files = sorted((ROOT / "docs/decisions").glob("*.md"))
    assert [int(path.name[:4]) for path in files] == list(range(1, len(files) + 1))
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 40, path.name
        for part in ("Context", "Decision", "Consequences", "Alternatives"):
            assert f"**{part}.**" in text, f"{path.name} lacks {part}"


def test_every_make_target_that_the_documents_name_is_there():
    targets = set(re.findall(r"^([a-z%-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for path in DOCS:
        for name in re.findall(r"`(?:\$ )?make ([a-z-]+)", path.read_text(encoding="utf-8")):
            known = name in targets or (name.startswith("bench-") and "bench-%" in targets)
            assert known, f"{path.name} names make {name}"


def test_the_licence_is_apache_2_and_every_distribution_says_so():
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    for path in ROOT.glob("packages/*/pyproject.toml"):
        assert tomllib.loads(path.read_text(encoding="utf-8"))["project"]["license"] == "Apache-2.0"


def test_the_example_of_assent_yaml_is_a_file_that_apply_reads():
    text = (ROOT / "docs/assent-yaml.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    entries = entries_of(parse(block.encode(), Path("assent.yaml")))
    order = re.search(r"^(project → .*?),", text, re.MULTILINE).group(1).split(" → ")
    assert list(entries) == order


def test_every_section_that_apply_reads_is_in_its_document():
    text = (ROOT / "docs/assent-yaml.md").read_text(encoding="utf-8")
    assert [name for name in SECTIONS if not re.search(rf"^{name}:", text, re.MULTILINE)] == []
