"""The main job on real models' recorded answers: `python examples/gsm8k/story.py FOLDER`.

FOLDER holds GSM8K's example_model_solutions.jsonl. The 6b model's fine-tuned form is live; verification makes
it better and goes out; the larger model, only fine-tuned, must not pass; with verification it goes out.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from examples.gsm8k import recordings  # noqa: E402 -- the folder above comes first
from examples.story import desk as desks  # noqa: E402 -- as above
from examples.story import release  # noqa: E402 -- as above
from examples.story.cli import Narrator  # noqa: E402 -- as above
from examples.story.processes import Children, StoryFailed  # noqa: E402 -- as above
from examples.story.release import Cast, People  # noqa: E402 -- as above
from examples.story.stage import Play, Story, add_options, end_traffic, perform, prove  # noqa: E402 -- as above
from examples.story.traffic import Audience, Traffic  # noqa: E402 -- as above

FOLDER = ROOT / ".demo-gsm8k"
PROJECT = "school"
SYSTEM = "maths-tutor"
PLAN = ROOT / "examples" / "support" / "plan.yaml"
RATE = 175.0
USUALLY_UNHAPPY = 0.05
MARGIN = 0.02
VERSIONS = {
    "1.0.0": "gsm8k-6b-finetuning",
    "2.0.0": "gsm8k-6b-verification",
    "3.0.0": "gsm8k-175b-finetuning",
    "4.0.0": "gsm8k-175b-verification",
}
FORM = {
    "title": "Maths Tutor",
    "contact": "tutor@school.example",
    "intended_use": {
        "primary_use": "Grade-school word problems",
        "users": ["Pupils", "Teachers"],
        "out_of_scope": ["Anything but mathematics"],
    },
}


def main() -> int:
    """Run the story; 0 when everything held, or where the data are absent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path, metavar="FOLDER", help="folder with example_model_solutions.jsonl")
    add_options(parser)
    options = parser.parse_args()
    if not (options.data / recordings.FILE).exists():
        print(
            f"gsm8k: nothing to do: {options.data} has no {recordings.FILE}; README.md says where it is from."
        )
        return 0
    questions = recordings.read_questions(options.data)
    first = f"GSM8K story: what four real models answered to {len(questions):,} questions, replayed."

    def begin(narrator: Narrator, running: Children) -> Story:
        return _begin(narrator, running, questions)

    return perform(Play("gsm8k", first, FOLDER, begin, _tell), options)


def _begin(narrator: Narrator, running: Children, questions: list[recordings.Question]) -> Story:
    narrator.chapter("An installation: an upstream that replays the recordings, server, worker, gateway")
    project = FOLDER / "project"
    project.mkdir()
    recordings.write_lines(project / "recordings.jsonl", recordings.recordings(questions))
    recordings.write_lines(project / "questions.jsonl", recordings.dataset_rows(questions))
    upstream = desks.provider_of([project / "recordings.jsonl"])
    desk, provider = desks.open_desk(narrator, running, FOLDER, PROJECT, upstream)
    _write(project / "assent.yaml", _described(provider))
    desk.admin("apply", "-f", str(project / "assent.yaml"))
    cast = Cast(narrator, running, People(*map(desk.sign_in, ("ada", "rita", "otto"))), SYSTEM)
    why = ("--reason", "live since autumn", "--yes")
    cast.people.operator("env", "adopt", "production", cast.ref("1.0.0"), *why)
    gateway = desks.start_gateway(desk)
    key = desk.admin("key", "issue", "production", "classroom", "--model", SYSTEM).value["key"]
    asked = [question.text for question in questions]
    audience = Audience(gateway, key, SYSTEM, asked, RATE, lambda _version: USUALLY_UNHAPPY)
    narrator.say(f"traffic: {RATE:.0f} requests/s of these questions, a third from returning users")
    return Story(cast, desk, narrator, Traffic(audience).start(), gateway, FOLDER)


def _described(provider: int) -> dict[str, Any]:
    suite = recordings.suite("gsm8k-questions@1.0.0", MARGIN)
    return {
        "assent": 1,
        "project": {"name": PROJECT, "title": "A school"},
        "environments": [{"name": "production", "protected": True}],
        "people": [
            {"name": "ada", "called": "Ada (author)", "roles": ["engineer", "reviewer"]},
            {"name": "rita", "called": "Rita (reviewer)", "roles": ["reviewer"]},
            {"name": "otto", "called": "Otto (operator)", "roles": ["operator"]},
        ],
        "groups": [{"name": "reviewers", "members": ["rita", "ada"]}],
        "providers": [{"name": "replay", "base_url": f"http://127.0.0.1:{provider}/v1"}],
        "models": [_model("1.0.0")],
        "datasets": [{"name": "gsm8k-questions", "version": "1.0.0", "file": "questions.jsonl"}],
        "suites": [{**suite, "version": "1.0.0"}],
    }


def _model(number: str) -> dict[str, Any]:
    return {
        "name": SYSTEM,
        "version": number,
        "base_model": VERSIONS[number].removeprefix("gsm8k-").partition("-")[0],
        "provider": "replay",
        "upstream_model": VERSIONS[number],
        "parameters": {"temperature": 0},
        "owner": "Tutors",
        "tier": "minimal",
        "licence": "MIT",
    }


def _write(path: Path, document: dict[str, Any]) -> Path:
    path.write_text(json.dumps(document, indent=1))  # JSON is YAML
    return path


def _tell(story: Story) -> None:
    _goes_out(story, "2.0.0", refused_first=True)
    _does_not_pass(story, "3.0.0")
    _goes_out(story, "4.0.0")
    end_traffic(story)
    story.narrator.chapter("The card of what is live now")
    card = story.cast.people.reviewer("card", "show", story.cast.ref("4.0.0"), "--format", "brief")
    story.narrator.say(card.value_text())
    prove(story)


def _registered(story: Story, number: str) -> str:
    """Register a version and file its release; gives the rollout and request."""
    described = {"assent": 1, "project": {"name": PROJECT}, "models": [_model(number)]}
    path = _write(FOLDER / "project" / f"release-{number}.yaml", described)
    story.cast.people.author("apply", "-f", str(path))
    return number


def _goes_out(story: Story, number: str, *, refused_first: bool = False) -> None:
    cast, narrator = story.cast, story.narrator
    narrator.chapter(f"{number}, {VERSIONS[number]}, is registered, evaluated, approved and goes out")
    _registered(story, number)
    filed = release.file_release(cast, number, PLAN)
    if refused_first:
        answer = cast.people.operator("rollout", "start", filed["id"], ends=(16,))
        reasons = release.refused(cast, answer, "a release without evidence")
        narrator.keep("refused_with", [reason["id"] for reason in reasons])
    run = release.evaluate(cast, number, "gsm8k")
    _compare(story, number, run)
    release.publish_card(cast, number, _write(FOLDER / "project" / "card.yaml", FORM))
    own = cast.people.author("request", "approve", filed["request"], ends=(16,))
    release.refused(cast, own, "the author's own vote")
    release.approve(cast, filed["request"])
    release.start(cast, filed["id"])
    ended = release.watch(cast, filed["id"], 90)
    if ended["state"] != "promoted":
        raise StoryFailed(f"{number} should have been promoted; it is {ended['state']}: {ended['because']}")


def _does_not_pass(story: Story, number: str) -> None:
    cast, narrator = story.cast, story.narrator
    narrator.chapter(f"{number}, {VERSIONS[number]}, is larger and worse: it must not pass")
    _registered(story, number)
    filed = release.file_release(cast, number, PLAN)
    run = release.evaluate(cast, number, "gsm8k", ends=(0, 1, 3))
    _compare(story, number, run)
    if run["result"]["verdict"] == "pass":
        raise StoryFailed(f"{number} passed its evaluation")
    answer = cast.people.operator("rollout", "start", filed["id"], ends=(16,))
    release.refused(cast, answer, "a worse version")


def _compare(story: Story, number: str, run: Any) -> None:
    """Hold the measured share against the published one, to four places. Raises: StoryFailed."""
    levels = [level for level in run["result"]["levels"] if level["metric"] == "correct"]
    measured = {level["side"]: round(float(level["value"]), 4) for level in levels}
    published = recordings.SHARES[VERSIONS[number]]
    story.narrator.say(f"share of right answers: {measured['candidate']:.4f}; published: {published:.4f}")
    story.narrator.keep(f"share_{number}", measured)
    story.narrator.keep(f"verdict_{number}", run["result"]["verdict"])
    if measured["candidate"] != published:
        raise StoryFailed(f"the share of {number} is {measured['candidate']}, not the published {published}")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\ngsm8k: ended by you")
        sys.exit(130)
