"""Evaluation: policies on the same traces, with bounds, intervals and paired differences."""

from rangym.evaluation.bounds import Bound
from rangym.evaluation.protocol import Benchmark, Card
from rangym.evaluation.results import Results
from rangym.evaluation.runner import evaluate

__all__ = ["Benchmark", "Bound", "Card", "Results", "evaluate"]
