"""Routes of the suites that are bound to prompts."""

from typing import Annotated, Any

import pydantic
from fastapi import APIRouter

from assent.evaluation import service
from assent.evaluation.service import NewBinding, SuiteBinding
from assent.identity import service as identity
from assent.identity.domain import Permission
from assent.kernel.tx import Reader
from assent.web.api import Call, ProjectPath, page, requires

router = APIRouter(prefix="/v1/projects/{project}/suite-bindings")

Reading = Annotated[Call, requires(Permission.EVALUATION_READ)]
Binding = Annotated[Call, requires(Permission.SUITE_BIND)]


class NewBindingWire(pydantic.BaseModel):
    """Which suite each new version of a prompt is tested with, and which model version answers."""

    model_config = pydantic.ConfigDict(extra="forbid")

    prompt: str
    suite: str
    through: str
    environment: str = "production"


@router.post("", status_code=201)
def bind_suite(project: ProjectPath, body: NewBindingWire, call: Binding) -> dict[str, Any]:
    """Have a suite run on each version of a prompt from now on; in place of its older number."""
    new = NewBinding(project, body.prompt, body.suite, body.through, body.environment)
    with call.begin() as tx:
        return _wire(tx, service.bind_suite(tx, new))


@router.get("")
def list_bindings(project: ProjectPath, call: Reading, prompt: str | None = None) -> dict[str, Any]:
    """List which suites are bound to which prompts."""
    with call.read() as reader:
        return page([_wire(reader, one) for one in service.list_bindings(reader, project, prompt)], None)


@router.delete("/{prompt}/{suite}", status_code=204)
def unbind_suite(project: ProjectPath, prompt: str, suite: str, call: Binding) -> None:
    """Run a suite on new versions of a prompt no longer."""
    with call.begin() as tx:
        service.unbind_suite(tx, project, prompt, suite)


def _wire(reader: Reader, binding: SuiteBinding) -> dict[str, Any]:
    return {
        "prompt": binding.name,
        "suite": binding.suite_ref,
        "through": binding.through_ref,
        "environment": binding.environment,
        "bound_at": binding.bound_at,
        "bound_by": identity.name_of(reader, binding.bound_by),
    }
