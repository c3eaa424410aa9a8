"""Suites that are bound to prompts: each new version is tested with them."""

from collections.abc import Sequence
from dataclasses import dataclass

from assent.evaluation import store, subjects
from assent.evaluation.domain.numbers import split_ref
from assent.evaluation.service.runs import NewRun
from assent.evaluation.service.versions import get_suite, suite_of
from assent.evaluation.subjects import Subject
from assent.identity import service as identity
from assent.kernel.errors import Invalid
from assent.kernel.tx import Reader, Tx
from assent.prompts import service as prompts
from assent.prompts.service import SuiteBinding


@dataclass(frozen=True, slots=True)
class NewBinding:
    """`suite` may leave out its number; `through` is the model version that answers."""

    project: str
    prompt: str
    suite: str
    through: str
    environment: str = "production"


def bind_suite(tx: Tx, new: NewBinding) -> SuiteBinding:
    """Have a suite run on each version of a prompt from now on, and on the newest that there is.

    Raises: NotFound (prompt, suite, model, environment), Invalid (the gate names a baseline).
    """
    identity.get_environment(tx, new.project, new.environment)
    newest = prompts.get(tx, new.project, new.prompt)
    suite = get_suite(tx, new.project, *split_ref(new.suite))
    baseline = suite_of(tx, suite).gate.baseline
    if baseline not in {"none", subjects.LIVE}:
        raise Invalid(
            f"The gate of {suite.ref} compares with {baseline}, whatever the prompt.",
            remedy="Bind a suite whose gate has the baseline live or none.",
        )
    asked = Subject(newest.name, newest.digest, newest.ref, is_prompt=True)
    through = subjects.get(tx, new.project, new.through)
    subjects.model_through(tx, new.project, asked, through.ref)
    return prompts.bind_suite(
        tx,
        prompts.NewSuiteBinding(
            project=new.project,
            name=new.prompt,
            suite=suite.name,
            suite_ref=suite.ref,
            through_ref=through.ref,
            environment=new.environment,
        ),
    )


def unbind_suite(tx: Tx, project: str, prompt: str, suite: str) -> None:
    """Run a suite on new versions of a prompt no longer. Raises: NotFound."""
    prompts.unbind_suite(tx, project, prompt, suite)


def list_bindings(reader: Reader, project: str, prompt: str | None = None) -> Sequence[SuiteBinding]:
    """List which suites are bound, of one prompt if one is named."""
    return prompts.list_suite_bindings(reader, project, prompt)


def list_due(reader: Reader) -> list[NewRun]:
    """List the runs that bindings of all projects ask for and that nobody has asked for yet."""
    due = []
    for binding in prompts.list_suite_bindings(reader):
        versions = subjects.prompt_versions_since(reader, binding.project, binding.name, binding.bound_at)
        for version in versions:
            tested = {"subject": version.digest, "suite_ref": binding.suite_ref}
            if not store.list_runs(reader, binding.project, tested, (None, 1)):
                due.append(
                    NewRun(
                        binding.project,
                        binding.suite_ref,
                        version.ref,
                        binding.environment,
                        through=binding.through_ref,
                    )
                )
    return due
