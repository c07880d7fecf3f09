"""What holds in every test: no network, one thread (tests run side by side), shapes checked where burnish computes."""

import atexit
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # also of the commands that tests start

import torch
from jaxtyping import install_import_hook

import tests.shapes  # noqa: F401  # the hook looks it up by name

CHECKED = ["burnish.models", "burnish.methods", "burnish.training", "burnish.generation"]
install_import_hook(CHECKED, "tests.shapes.checked")
torch.set_num_threads(1)


def pytest_unconfigure() -> None:
    """pytest's own line is the last: what caches still hold of manifold3d is told by its binding after everything."""
    if "manifold3d" in sys.modules:
        atexit.register(lambda: os.dup2(os.open(os.devnull, os.O_WRONLY), 2))
