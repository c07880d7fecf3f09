"""burnish fine-tunes a pretrained language model on your data and proves, on held-out items, what that bought.

import burnish
report = burnish.run("recipe.yaml")
print(report.verdict.sentence)
"""

import importlib
from typing import TYPE_CHECKING

from burnish.version import VERSION

if TYPE_CHECKING:
    from burnish.errors import BurnishError
    from burnish.pipeline.run import run
    from burnish.training.trainer import Trainer

__version__ = VERSION

# Names are looked up when they are used, so that `import burnish` and `burnish --help` start without torch.
_WHERE = {
    "run": "burnish.pipeline.run",
    "Trainer": "burnish.training.trainer",
    "BurnishError": "burnish.errors",
}

__all__ = ["BurnishError", "Trainer", "__version__", "run"]


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module 'burnish' has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)
