"""Imports go only downwards, in no circle, and at the top of the file; `import burnish` needs no torch."""

import ast
import subprocess
import sys

import pytest

from tests.house.source import ROOT, Source, functions, imports, package_sources

LAYERS = {
    "cli": 6,
    "server": 6,
    "pipeline": 5,
    "report": 4,
    "export": 4,
    "proof": 3,
    "training": 2,
    "generation": 2,
    "methods": 1,
    "data": 1,
    "models": 1,
    "types": 0,
    "errors": 0,
    "registry": 0,
    "files": 0,
    "version": 0,
}
WITHIN = {("training", "generation"), ("methods", "models")}  # the two imports that stay in one layer


def part_of(module: str) -> str:
    """The room of a module: burnish.data.formats.chat -> data."""
    return module.split(".")[1]


def upward(source: Source) -> list[str]:
    """Imports of a file that break the order of the layers."""
    if source.module == "burnish":
        return []  # resolves its names lazily; checked by running it, below
    mine, found = part_of(source.module), []
    for module, line in imports(source):
        if not module.startswith("burnish.") or module == "burnish.version":
            continue
        theirs = part_of(module)
        if mine != theirs and LAYERS[mine] <= LAYERS[theirs] and (mine, theirs) not in WITHIN and LAYERS[mine] > 0:
            found.append(f"{source.where}:{line}: {mine} (layer {LAYERS[mine]}) imports {module} ({LAYERS[theirs]})")
        if LAYERS[mine] == 0 and LAYERS[theirs] > 0:
            found.append(f"{source.where}:{line}: {mine} is at the bottom and imports {module}")
    return found


def test_imports_go_only_downwards() -> None:
    assert [problem for source in package_sources() for problem in upward(source)] == []


def test_every_part_has_a_layer() -> None:
    parts = {part_of(source.module) for source in package_sources() if source.module != "burnish"}
    assert parts <= set(LAYERS), "a new room needs its layer in docs/architecture.md and here"


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = {
        source.module: {m for m, _ in imports(source) if m.startswith("burnish.")} - {source.module}
        for source in package_sources()
        if source.module != "burnish"
    }
    done: set[str] = set()

    def visit(module: str, path: list[str]) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done:
            return []
        for following in sorted(graph.get(module, ())):
            if circle := visit(following, [*path, module]):
                return circle
        done.add(module)
        return []

    assert [circle for module in sorted(graph) if (circle := visit(module, []))] == []


def test_no_import_inside_a_function_outside_cli() -> None:
    found = [
        f"{source.where}:{node.lineno}"
        for source in package_sources()
        if not source.module.startswith("burnish.cli")
        for function in functions(source)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert found == []


@pytest.mark.parametrize(
    "command",
    [["-c", "import burnish, sys; assert burnish.__version__"], ["-m", "burnish.cli.main", "--help"]],
    ids=["import", "help"],
)
def test_starting_needs_no_torch(command: list[str]) -> None:
    blocked = "import sys; sys.modules['torch'] = None; sys.modules['transformers'] = None; "
    if command[0] == "-c":
        run = ["-c", blocked + command[1]]
    else:
        run = ["-c", blocked + f"sys.argv = ['burnish', *{command[2:]}]; from burnish.cli.main import main; main()"]
    result = subprocess.run([sys.executable, *run], check=False, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    if command[-1] == "--help":
        assert "run" in result.stdout


@pytest.mark.slow
def test_lazy_names_of_the_package_exist() -> None:
    code = "import burnish; [getattr(burnish, name) for name in burnish.__all__]"
    result = subprocess.run(
        [sys.executable, "-c", code], check=False, cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
