"""Write what is generated: schema.json, tables in recipes.md, report.md, methods.md and performance.md, and results.md.

python -m scripts.pages writes; python -m scripts.pages --check names what is stale and exits with 1.
"""

import re
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from burnish.files import write_text
from burnish.methods.method import method_names
from burnish.pipeline.recipe import Recipe
from burnish.registry import module_named
from burnish.report.schema import Report, json_schema_text
from scripts import method_picture, method_table, performance, results, scaling_plots

ROOT = Path(__file__).resolve().parent.parent
MARK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

PLAIN = {int: "whole number", float: "number", str: "text", bool: "true or false", type(None): "none", object: "any"}


def pages() -> dict[Path, str]:
    """Every generated file with the text that it should have."""
    found = {ROOT / "burnish/report/schema.json": json_schema_text()}
    found[ROOT / "docs/results.md"] = results.page()
    found |= scaling_plots.pages() | method_picture.pages()
    tables = {
        "recipe": recipe_tables,
        "methods": method_tables,
        "report": report_tables,
        "measured": method_table.measured_tables,
        "saved": method_table.saved_table,
        "performance": performance.performance_tables,
        "scaling": scaling_plots.tables,
    }
    for name in ("recipes.md", "report.md", "methods.md", "performance.md"):
        path = ROOT / "docs" / name
        text = path.read_text(encoding="utf-8")
        found[path] = MARK.sub(lambda m: m[1] + tables[m[2]]() + m[3], text)
    return found


def stale() -> list[Path]:
    """The files whose text is another one."""
    return [p for p, text in pages().items() if not p.is_file() or p.read_text(encoding="utf-8") != text]


def recipe_tables() -> str:
    """A table for each section of a recipe."""
    lines = _table("the top", {n: f for n, f in Recipe.model_fields.items() if _model_of(f) is None}, "")
    for name, field in Recipe.model_fields.items():
        section = _model_of(field)
        if section is not None:
            lines += _table(f"`{name}:`", dict(_flat(section, "")), f"{name}.")
    return "\n".join(lines) + "\n"


def method_tables() -> str:
    """A table for each method."""
    lines = []
    for name in method_names():
        module = module_named("burnish.methods", name)
        assert module is not None
        about = (module.Config.__doc__ or "").strip().splitlines()[0]
        fields = module.Config.model_fields
        lines += [f"### `method: {name}`", "", about, ""]
        lines += _rows(fields, "method.") if fields else ["No fields."]
        lines += [""]
    return "\n".join(lines)


def report_tables() -> str:
    """A table for each part of the report, nested parts with their path."""
    lines = []
    for name, field in Report.model_fields.items():
        part = _model_of(field)
        if part is None:
            continue
        about = (part.__doc__ or "").strip().splitlines()[0]
        lines += [f"### `{name}`", "", about + (f" {field.description}" if field.description else ""), ""]
        lines += ["| field | what it is |", "|---|---|"]
        lines += [f"| `{path}` | {_clean(f.description or '')} |" for path, f in _nested(part, "")]
        lines += [""]
    return "\n".join(lines)


def _nested(part: type[BaseModel], before: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in part.model_fields.items():
        inner = _model_of(field)
        if inner is None:
            yield before + name, field
        else:
            many = "[]" if typing.get_origin(field.annotation) is tuple else ""
            yield from _nested(inner, f"{before}{name}{many}.")


def _flat(section: type[BaseModel], before: str) -> Iterator[tuple[str, FieldInfo]]:
    """Fields with those of inner sections by their dotted names; a field with a choice of types stays one."""
    for name, field in section.model_fields.items():
        inner = field.annotation if isinstance(field.annotation, type) else None
        if inner is not None and issubclass(inner, BaseModel):
            yield from _flat(inner, f"{before}{name}.")
        else:
            yield before + name, field


def _model_of(field: FieldInfo) -> type[BaseModel] | None:
    """The model that a field holds: alone, in a tuple, or beside null."""
    options = [field.annotation, *typing.get_args(field.annotation)]
    found = [t for t in options if isinstance(t, type) and issubclass(t, BaseModel)]
    return found[0] if found else None


def _table(title: str, fields: dict[str, FieldInfo], before: str) -> list[str]:
    return [f"### {title}", "", *_rows(fields, before), ""]


def _rows(fields: dict[str, FieldInfo], before: str) -> list[str]:
    rows = [
        f"| `{before}{f.alias or n}` | {_default(f)} | {_values(f)} | {_clean(f.description or '')} |"
        for n, f in fields.items()
    ]
    return ["| field | default | values | what it does |", "|---|---|---|---|", *rows]


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "must be given"
    if isinstance(value, tuple):
        value = list(value)
    text = "none" if value is None else "none" if value in ({}, []) else str(value)
    return f"`{text}`"


def _values(field: FieldInfo) -> str:
    """The types and limits of a field in words."""
    limits = [_limit(item) for item in field.metadata]
    names = dict.fromkeys(_words(field.annotation))
    return ", ".join([" or ".join(names), *filter(None, limits)]).replace("|", "\\|")


def _limit(item: Any) -> str:
    for name, word in (("ge", "at least"), ("gt", "more than"), ("le", "at most"), ("lt", "less than")):
        if hasattr(item, name):
            return f"{word} {getattr(item, name):g}"
    return ""


def _words(annotation: Any) -> Iterator[str]:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        yield from (f"`{value}`" for value in arguments)
    elif origin is typing.Annotated:
        limits = [limit for item in arguments[1:] for limit in _limits_of(item)]
        yield " ".join([" or ".join(_words(arguments[0])), *limits])
    elif origin in (types.UnionType, typing.Union):
        for argument in arguments:
            yield from _words(argument)
    elif origin in (list, tuple):
        inner = " or ".join(dict.fromkeys(w for a in arguments if a is not Ellipsis for w in _words(a)))
        yield f"list of {inner}"
    elif origin is dict or annotation is dict:
        yield "fields: values"
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield "{" + ", ".join(annotation.model_fields) + "}"
    else:
        yield PLAIN.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _limits_of(item: Any) -> list[str]:
    found = [_limit(part) for part in getattr(item, "metadata", [])] + [_limit(item)]
    return [limit for limit in found if limit]


def _clean(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> int:
    """Write, or check."""
    if "--check" in sys.argv:
        for path in stale():
            print(f"{path.relative_to(ROOT)} is stale; run python -m scripts.pages")
        return int(bool(stale()))
    for path, text in pages().items():
        write_text(path, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
