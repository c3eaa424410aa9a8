"""Names of OpenTelemetry's GenAI conventions, one table a version; every name that we read stands here only.

Source: open-telemetry/semantic-conventions, docs/gen-ai/gen-ai-spans.md at the tags v1.41.0 and v1.36.0, and
docs/registry/attributes/deployment.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Convention:
    """What an inference span calls its parts; None where the version has no name for one."""

    operation: str = "gen_ai.operation.name"
    provider: str = "gen_ai.provider.name"
    request_model: str = "gen_ai.request.model"
    response_model: str = "gen_ai.response.model"
    finish_reasons: str = "gen_ai.response.finish_reasons"
    tokens_in: str = "gen_ai.usage.input_tokens"
    tokens_out: str = "gen_ai.usage.output_tokens"
    error: str = "error.type"
    stream: str | None = "gen_ai.request.stream"
    first_chunk: str | None = "gen_ai.response.time_to_first_chunk"
    environment: str = "deployment.environment.name"


CONVENTIONS: Mapping[str, Convention] = {
    "1.41": Convention(),
    "1.36": Convention(provider="gen_ai.system", stream=None, first_chunk=None),
}
"""The newest first."""

INFERENCES = frozenset({"chat", "text_completion", "generate_content", "embeddings"})
"""Operations in which a model answers; agents, tools and retrieval hold such spans, or are no models."""


def convention_of(attributes: Mapping[str, Any]) -> Convention:
    """Give the table that a span follows: the newest whose name of the provider it has."""
    followed = (one for one in CONVENTIONS.values() if one.provider in attributes)
    return next(followed, CONVENTIONS["1.41"])
