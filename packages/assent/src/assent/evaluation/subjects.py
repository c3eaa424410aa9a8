"""What evaluation asks of the slices below: versions, their prompts, their upstreams, and what is live."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from assent.evaluation.domain.dataset import Row
from assent.evaluation.domain.judge import Judge
from assent.evaluation.domain.numbers import split_ref
from assent.evaluation.domain.target import Messages, Target
from assent.evidence import service as evidence
from assent.kernel.errors import Conflict, Invalid, NotFound
from assent.kernel.tx import Reader, Tx
from assent.prompts import service as prompts
from assent.providers import service as providers
from assent.providers.service import Price
from assent.registry import service as registry

LIVE = "live"
VERDICT = "suite.verdict"
IMPORTED = "eval.imported"


@dataclass(frozen=True, slots=True)
class Subject:
    """A version as evaluation sees it: of a model, or of a prompt, which is asked through a model."""

    name: str
    digest: str
    ref: str
    is_prompt: bool = False


def get(reader: Reader, project: str, ref: str) -> Subject:
    """Get the version that `name@number` names. Raises: NotFound, Invalid."""
    name, number = split_ref(ref)
    if number is None:
        raise Invalid(
            f"{ref!r} names no version.", remedy=f"Write {name}@1.0.0, with the version to evaluate."
        )
    try:
        version = registry.get(reader, project, name, number)
    except NotFound as missing:
        try:
            prompt = prompts.get(reader, project, name, number)
        except NotFound:
            raise missing from None
        return Subject(name, prompt.digest, prompt.ref, is_prompt=True)
    return Subject(name, version.digest, version.ref)


def model_through(reader: Reader, project: str, subject: Subject, ref: str | None) -> str | None:
    """Give the digest of the model version that answers for a prompt; None for a model, which does itself.

    Raises: NotFound, Invalid (a prompt without one, a model with one).
    """
    if subject.is_prompt != (ref is not None):
        raise Invalid(
            f"{subject.ref} is a prompt, and a prompt does not answer by itself."
            if subject.is_prompt
            else f"{subject.ref} is a model and answers by itself.",
            remedy="Name the model version that answers: through NAME@VERSION."
            if subject.is_prompt
            else "Leave `through` out.",
        )
    return None if ref is None else registry.get_ref(reader, project, ref).digest


def prompt_versions_since(reader: Reader, project: str, name: str, since: datetime) -> list[Subject]:
    """List the versions of a prompt since a time, oldest first, and in any case the newest.

    Older than the newest fifty is not looked at.
    """
    found = prompts.search(reader, project, {"name": name})
    wanted = [one for index, one in enumerate(found) if index == 0 or one.registered_at >= since]
    return [Subject(name, one.digest, one.ref, is_prompt=True) for one in reversed(wanted)]


def baseline(tx: Reader, project: str, subject: Subject, rule: str, environment: str) -> Subject | None:
    """Find the version that a gate compares with: none, the one live in an environment, or a named one.

    Raises: Conflict (nothing is live), NotFound.
    """
    if rule == "none":
        return None
    if rule != LIVE:
        return get(tx, project, rule)
    digest = evidence.live(tx, project, environment, subject.name)
    if digest is None:
        raise Conflict(
            f"Nothing of {subject.name} is live in {environment}, so there is nothing to compare with.",
            remedy="Adopt what is live (assent env adopt), or name the baseline in the suite's gate.",
        )
    if subject.is_prompt:
        return Subject(subject.name, digest, prompts.get_by_digest(tx, project, digest).ref, is_prompt=True)
    version = registry.get_by_digest(tx, project, digest)
    return Subject(subject.name, version.digest, version.ref)


@dataclass(frozen=True, slots=True)
class Manner:
    """How a version is asked, without where: what it pins for every case, and the messages of one."""

    document: Mapping[str, Any]
    parameters: Mapping[str, Any]
    render: Callable[[Row], Messages]


def price(reader: Reader, project: str, digest: str, through: str | None = None) -> Price | None:
    """Find what the tokens of a version cost, by its upstream model or base model; None where unknown."""
    document = registry.get_by_digest(reader, project, through or digest).document
    return providers.price_for(reader, project, document.get("upstream_model"), document.get("base_model"))


def manner(reader: Reader, project: str, digest: str, through: str | None = None) -> Manner:
    """Gather what a version pins, and its own messages, which come first.

    A prompt, `digest`, stands in the place of that of the model `through`. Raises: NotFound.
    """
    document = registry.get_by_digest(reader, project, through or digest).document
    if through is not None:
        document = {**document, "prompt": digest}
    prompt = (
        prompts.get_by_digest(reader, project, document["prompt"]).document if document.get("prompt") else {}
    )
    pinned = {**prompt.get("parameters", {})}
    pinned |= {name: prompt[name] for name in ("tools", "response_format") if prompt.get(name)}
    pinned |= document.get("parameters") or {}
    return Manner(document, pinned, renderer(prompt))


def target(reader: Reader, project: str, digest: str, through: str | None = None) -> Target:
    """Gather how and where a version is asked. Raises: NotFound, Invalid (its key cannot be read)."""
    asked = manner(reader, project, digest, through)
    provider = providers.get_provider(reader, project, asked.document["provider"])
    return Target(
        base_url=provider.base_url,
        api_key=providers.resolve_key(provider.api_key),
        upstream_model=asked.document["upstream_model"],
        parameters=asked.parameters,
        render=asked.render,
    )


def renderer(prompt: Mapping[str, Any]) -> Callable[[Row], Messages]:
    """Make what turns a case into messages: the version's, filled in, then the case's."""

    def render(row: Row) -> Messages:
        variables = (
            row.input["variables"] if isinstance(row.input, Mapping) and "variables" in row.input else {}
        )
        own: Sequence[Mapping[str, Any]] = prompts.render(prompt, variables) if prompt else ()
        return [*own, *_asked(row.input)]

    return render


def _asked(asked: Any) -> Messages:
    if isinstance(asked, str):
        return [{"role": "user", "content": asked}]
    if "messages" in asked:
        return list(asked["messages"])
    return [{"role": "user", "content": asked["text"]}]


def testify(tx: Tx, project: str, subject: str, value: Mapping[str, Any], *, kind: str) -> None:
    """Record what a run, or an imported result, says as evidence of its subject."""
    evidence.record(tx, project=project, kind=kind, subject=subject, value=value)


def upstream_model(reader: Reader, project: str, digest: str) -> str:
    """Name the upstream model that a model version pins."""
    return str(registry.get_by_digest(reader, project, digest).document["upstream_model"])


def judge_target(reader: Reader, project: str, judge: Judge) -> Target:
    """Gather how a judge is asked. Raises: NotFound (no such provider), Invalid (its key cannot be read)."""
    provider = providers.get_provider(reader, project, judge.provider)
    return Target(
        base_url=provider.base_url,
        api_key=providers.resolve_key(provider.api_key),
        upstream_model=judge.model,
        parameters=judge.parameters,
        render=lambda _row: (),
    )
