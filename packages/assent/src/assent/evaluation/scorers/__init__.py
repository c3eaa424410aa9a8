"""Scorers: each judges one answer by what it sees of the case, and nothing else. A module for each family."""

from assent.evaluation.scorers.bench import KINDS, Bench, Compiled, compile_suite
from assent.evaluation.scorers.judged import Consultation, written
from assent.evaluation.scorers.labels import text_digest

__all__ = ["KINDS", "Bench", "Compiled", "Consultation", "compile_suite", "text_digest", "written"]
