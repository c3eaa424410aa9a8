"""Questions to OpenAI-compatible endpoints."""

from assent.evaluation.upstream.asking import Failure, Upstream, parse_retry_after

__all__ = ["Failure", "Upstream", "parse_retry_after"]
