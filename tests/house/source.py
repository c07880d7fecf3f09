"""The repository as text and syntax trees, for tests that read code instead of running it."""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "burnish"


@dataclass(frozen=True)
class Source:
    """One Python file."""

    path: Path

    @property
    def where(self) -> str:
        """The path as messages show it."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def module(self) -> str:
        """Its dotted name."""
        parts = self.path.relative_to(ROOT).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @cached_property
    def text(self) -> str:
        """What it says."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.text)


@cache
def package_sources() -> list[Source]:
    """Every Python file of burnish."""
    return [Source(path) for path in sorted(PACKAGE.rglob("*.py"))]


@cache
def all_sources() -> list[Source]:
    """Every Python file that git tracks or would track."""
    return [Source(path) for path in tracked() if path.suffix == ".py"]


@cache
def tracked() -> list[Path]:
    """Files of the repository that git does not ignore; without git, those of the known folders."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        folders = ("burnish", "tests", "scripts", "recipes", "docs")
        return sorted(path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file())
    return sorted(path for name in set(found) if (path := ROOT / name).is_file())


def imports(source: Source, *, inside_functions: bool = True) -> Iterator[tuple[str, int]]:
    """(module, line) of everything of burnish that a file imports when it runs; type-checking blocks do not count."""
    skipped: set[ast.AST] = set()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            skipped.update(child for part in node.body for child in ast.walk(part))
        if not inside_functions and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            skipped.update(child for part in node.body for child in ast.walk(part))
    for node in ast.walk(source.tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source.where}:{node.lineno}: a relative import; write the whole name"
            assert node.module is not None
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield (whole if whole in modules() else node.module), node.lineno


@cache
def modules() -> frozenset[str]:
    """Names of all modules of burnish."""
    return frozenset(source.module for source in package_sources())


def functions(source: Source) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method of a file."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
