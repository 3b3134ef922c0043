"""Batches of files: plan the work, do it, and read the results."""

from ..settings.catalogue import STEMS
from .inputs import find_inputs, looks_like_mir1k
from .jobs import SOUNDS, ULTRASTAR, Job, Order, Outcome, Plan, Span
from .planning import plan
from .record import Place
from .results import Result, results
from .running import do, run

__all__ = [
    "SOUNDS",
    "STEMS",
    "ULTRASTAR",
    "Job",
    "Order",
    "Outcome",
    "Place",
    "Plan",
    "Result",
    "Span",
    "do",
    "find_inputs",
    "looks_like_mir1k",
    "plan",
    "results",
    "run",
]
