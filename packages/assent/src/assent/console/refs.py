"""Names and addresses of what pages speak of."""

from assent.console.parts import Link
from assent.delivery import service as delivery
from assent.kernel.tx import Reader


def system_link(project: str, name: str) -> Link:
    """Lead to the page of a system."""
    return Link(name, f"/projects/{project}/systems/{name}")


def version_link(project: str, name: str, number: str) -> Link:
    """Lead to the page of a version."""
    return Link(f"{name}@{number}", f"/projects/{project}/versions/{name}/{number}")


def label_link(project: str, name: str, label: str) -> Link:
    """Lead to the history of a label."""
    return Link(label, f"/projects/{project}/labels/{name}/{label}")


def rollout_link(project: str, rollout: str, text: str) -> Link:
    """Lead to the page of a rollout."""
    return Link(text, f"/projects/{project}/rollouts/{rollout}")


def ref_of(reader: Reader, project: str, digest: str | None) -> str:
    """Give the `name@number` of a version, or its digest where no registry knows it."""
    return "nothing" if digest is None else delivery.ref_of(reader, project, digest)
