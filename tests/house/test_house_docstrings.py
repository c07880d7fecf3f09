"""Every public module, class and function says what it is."""

import ast

from tests.house.source import Source, package_sources


def without(source: Source) -> list[str]:
    """Public definitions of a file that have no docstring."""
    found = [] if ast.get_docstring(source.tree) else [source.where]

    def look(body: list[ast.stmt]) -> None:
        for node in body:
            if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if node.name.startswith("_"):
                continue
            overload = any("overload" in ast.dump(mark) for mark in node.decorator_list)
            if not ast.get_docstring(node) and not overload:
                found.append(f"{source.where}:{node.lineno} {node.name}")
            if isinstance(node, ast.ClassDef):
                look(node.body)

    look(source.tree.body)
    return found


def test_everything_public_has_a_docstring() -> None:
    # forward and backward of an autograd function and of a module are torch's names for what the class says
    torch_s = (" forward", " backward")
    assert [w for s in package_sources() for w in without(s) if not w.endswith(torch_s)] == []


def test_docstrings_begin_with_a_line_of_their_own() -> None:
    found = []
    for source in package_sources():
        for node in ast.walk(source.tree):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.Module):
                text = ast.get_docstring(node)
                lines = text.splitlines() if text else []
                if len(lines) > 1 and lines[1].strip():
                    found.append(f"{source.where}:{getattr(node, 'lineno', 1)}")
    assert found == []
