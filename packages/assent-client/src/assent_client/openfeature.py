"""OpenFeature provider: flags decided in the application's own process.

api.set_provider_and_wait(AssentProvider(client))
api.get_client().get_boolean_value("gpt4", False, EvaluationContext("ada", {"organisation": "acme"}))

The targeting key is the flag's unit, whatever it sticks to; attributes are the context of its rules. An
application that branches on a value has acted on it, so the exposure is recorded as `client.flag` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import ErrorCode, ProviderNotReadyError
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
from openfeature.provider import AbstractProvider, Metadata

from assent_client.client import Client, Notice

__all__ = ["AssentProvider"]

_REASONS: Final[Mapping[str, Reason]] = {
    "static": Reason.STATIC,
    "split": Reason.SPLIT,
    "rule": Reason.TARGETING_MATCH,
    "rule_split": Reason.SPLIT,
    "prerequisite": Reason.TARGETING_MATCH,
    "disabled": Reason.DISABLED,
}
_CODES: Final[Mapping[str, ErrorCode]] = {
    "unavailable": ErrorCode.PROVIDER_NOT_READY,
    "not_found": ErrorCode.FLAG_NOT_FOUND,
    "no_unit": ErrorCode.TARGETING_KEY_MISSING,
    "invalid_unit": ErrorCode.INVALID_CONTEXT,
    "type_mismatch": ErrorCode.TYPE_MISMATCH,
}
_NO_CONTEXT: Final = EvaluationContext()
_METADATA: Final = Metadata(name="assent")

Value = bool | str | int | float | Sequence[FlagValueType] | Mapping[str, FlagValueType]
Objects = Sequence[FlagValueType] | Mapping[str, FlagValueType]


class AssentProvider(AbstractProvider):
    """Flags of a client's snapshot; the client stays the caller's to close."""

    def __init__(self, client: Client, *, wait_s: float = 10.0) -> None:
        super().__init__()
        self._client = client
        self._evaluate = client.flags.evaluate
        self._wait_s = wait_s
        self._stop: Callable[[], None] | None = None

    def get_metadata(self) -> Metadata:
        """Name the provider."""
        return _METADATA

    def initialize(self, evaluation_context: EvaluationContext) -> None:  # noqa: ARG002 -- the protocol's signature
        """Wait for a first snapshot. Raises: ProviderNotReadyError; it is ready by itself when one comes."""
        if self._stop is None:
            self._stop = self._client.listen(self._hear)
        if not self._client.wait(self._wait_s):
            raise ProviderNotReadyError(f"no snapshot came within {self._wait_s:g} s")

    def shutdown(self) -> None:
        """Hear no more notices."""
        stop, self._stop = self._stop, None
        if stop is not None:
            stop()

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,  # noqa: FBT001 -- the protocol's signature
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """Resolve a flag of true and false."""
        return self._resolve(flag_key, default_value, evaluation_context, like=False)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Resolve a flag of texts."""
        return self._resolve(flag_key, default_value, evaluation_context, "")

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """Resolve a flag of whole numbers."""
        return self._resolve(flag_key, default_value, evaluation_context, 0)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """Resolve a flag of numbers."""
        found = self._resolve(flag_key, default_value, evaluation_context, 0.0)
        found.value = float(found.value)
        return found

    def resolve_object_details(
        self, flag_key: str, default_value: Objects, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[Objects]:
        """Resolve a flag of objects or lists."""
        return self._resolve(flag_key, default_value, evaluation_context, None)

    def _resolve(
        self, key: str, default: Any, context: EvaluationContext | None, like: Any
    ) -> FlagResolutionDetails[Any]:
        context = context or _NO_CONTEXT
        value, variant, reason, _, message = self._evaluate(
            key, like, context.targeting_key, context.attributes
        )
        if message is None:
            if like is None and not isinstance(value, dict | list):
                words = f"{key} gives {type(value).__name__}, not an object or a list"
                return FlagResolutionDetails(default, ErrorCode.TYPE_MISMATCH, words, Reason.ERROR)
            return FlagResolutionDetails(value, None, None, _REASONS[reason], variant)
        if reason in _REASONS:  # it is off, and has no off variant
            return FlagResolutionDetails(default, reason=_REASONS[reason])
        return FlagResolutionDetails(default, _CODES[reason], message, Reason.ERROR)

    def _hear(self, notice: Notice) -> None:
        if notice.kind == "stale":
            self.emit_provider_stale(ProviderEventDetails(message=notice.message))
        elif notice.kind == "refused":
            self.emit_provider_error(
                ProviderEventDetails(message=notice.message, error_code=ErrorCode.PARSE_ERROR)
            )
        else:
            if self._client.snapshot is not None:
                self.emit_provider_ready(ProviderEventDetails())
            if notice.kind == "changed":
                changed = ProviderEventDetails(flags_changed=list(notice.names))
                self.emit_provider_configuration_changed(changed)
