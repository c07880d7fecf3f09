"""Names that a user can write: the file name is the name, and a mistyped one is met with the nearest."""

import difflib
import importlib
import pkgutil
from collections.abc import Iterable
from types import ModuleType


def names_in(package: str) -> list[str]:
    """Names of the public modules of a package, sorted: `names_in("burnish.methods")` -> ["full", "lora", ...]."""
    path = importlib.import_module(package).__path__
    return sorted(module.name for module in pkgutil.iter_modules(path) if not module.name.startswith("_"))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean "lora"?` with a leading blank, or "" where nothing is near."""
    near = difflib.get_close_matches(str(name), [str(k) for k in known], n=1, cutoff=0.5)
    return f' Did you mean "{near[0]}"?' if near else ""


def module_named(package: str, name: str, skip: Iterable[str] = ()) -> ModuleType | None:
    """The module `package.name`, or None where the package has no such public module."""
    if name not in names_in(package) or name in set(skip):
        return None
    return importlib.import_module(f"{package}.{name}")
