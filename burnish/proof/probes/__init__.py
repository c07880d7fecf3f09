"""Authored items about what a model knew and did before it was tuned: one module and one data file for each probe."""
