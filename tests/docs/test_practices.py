"""Every practice of the brief has its mechanism, and the command that shows it is there."""

import re
import shlex

import pytest
from typer.core import TyperGroup

from tests.architecture.house_rules import ROOT
from tests.docs.test_commands import find

BRIEF = {
    "Do this": (
        "Maintain a model registry with all versions", "Version prompts alongside code",
        "Require approval for production changes", "Document model capabilities and limitations",
        "Run evals before every deployment", "Have rollback capability ready",
    ),
    "Avoid this": (
        "Deploying without evaluation gates", "Hardcoding model versions in code",
        "Skipping model cards and documentation", "Big-bang deployments, all traffic at once",
        "Ignoring deprecation timelines", "Lacking an audit trail for changes",
    ),
}  # fmt: skip
TEXT = (ROOT / "docs/practices.md").read_text(encoding="utf-8")


def rows(title):
    part = TEXT.split(f"## {title}\n")[1].split("\n## ")[0]
    found = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", part, re.MULTILINE)
    return [row for row in found if not row[0].startswith(("practice", "---"))]


COMMANDS = sorted(
    {cmd for title in BRIEF for row in rows(title) for cmd in re.findall(r"`(assent [^`]+)`", row[2])}
)


@pytest.mark.parametrize("title", BRIEF)
def test_every_practice_of_the_brief_has_a_row_that_says_how_it_is_met(title):
    assert tuple(practice for practice, _, _ in rows(title)) == BRIEF[title]
    for practice, what, command in rows(title):
        assert re.match(r"(holds|prevents|reports): ", what), practice
        assert command.startswith("`assent "), practice


@pytest.mark.parametrize("written", COMMANDS)
def test_every_command_that_a_practice_names_is_there(written):
    command, _, words = find(shlex.split(written)[1:])
    assert not isinstance(command, TyperGroup), f"{written} names no verb"
    options = {name for param in command.params for name in param.opts}
    assert {word for word in words if word.startswith("--")} <= options, written


def test_every_condition_that_a_practice_names_is_in_the_vocabulary():
    vocabulary = set(
        re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/policies.md").read_text("utf-8"), re.MULTILINE)
    )
    named = set(re.findall(r"`([a-z]+_[a-z_]+)`", TEXT))
    assert named
    assert named <= vocabulary
