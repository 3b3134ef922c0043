"""Scores of separations: BSS Eval, melody and gate figures, ceilings, baselines, and their tables."""
