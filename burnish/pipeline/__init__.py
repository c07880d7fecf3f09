"""The stages of a run, wired: recipe, run directory, and `run` itself."""
