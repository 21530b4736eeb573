"""Evaluation: policies on the same traces, with bounds, intervals and paired differences."""

from rangym.evaluation.protocol import Protocol
from rangym.evaluation.results import Results
from rangym.evaluation.runner import evaluate

__all__ = ["Protocol", "Results", "evaluate"]
