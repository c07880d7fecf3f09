"""The folder where models are kept between runs: `$BURNISH_HOME`, else the platform's cache folder."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs
from filelock import FileLock

MANIFEST = "burnish.json"  # in each cached model directory: where it came from
FORMAT = 1  # of the cached directories; another one is converted anew


def home() -> Path:
    """The cache folder, not necessarily there yet."""
    given = os.environ.get("BURNISH_HOME", "").strip()
    return Path(given).expanduser().absolute() if given else Path(platformdirs.user_cache_dir("burnish"))


def models_directory() -> Path:
    """Where converted models stand, a directory each."""
    return home() / "models"


@contextmanager
def locked() -> Iterator[Path]:
    """Hold the models folder alone, wait where another process holds it, and sweep what a killed one left behind."""
    directory = models_directory()
    directory.mkdir(parents=True, exist_ok=True)
    with FileLock(directory / ".lock"):
        for leftover in directory.glob(".tmp-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield directory
