"""The recipe: everything that a user can say about a run, as one tree of typed fields."""

import difflib
import os
import re
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from burnish.data.dataset import Dataset
from burnish.data.settings import DataSettings
from burnish.errors import RecipeError, listed
from burnish.proof.settings import ProofSettings, TaskSettings
from burnish.training.settings import TrainingSettings

MAX_BYTES = 1 << 20
VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
PATH_FIELDS = (("data", "train"), ("data", "validation"), ("data", "held_out"), ("data", "chat_template"))
NOT_PATHS = {"auto", "plain", "chatml"}


class Recipe(BaseModel):
    """A whole recipe; everything but `model` and `data.train` has a default that is shown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(min_length=1, description="a path (directory, .gguf), a catalog name, or owner/name of a hub")
    base: str | None = Field(
        default=None, description="where `model` is a whole fine-tune (a directory): the model that it was made from"
    )
    data: DataSettings
    task: TaskSettings = TaskSettings()
    method: str | dict[str, Any] | list[str | dict[str, Any]] = Field(
        "lora", description="how the model is changed: a name, or {name: ..., fields}; a list of these compares them"
    )
    training: TrainingSettings = TrainingSettings()
    proof: ProofSettings = ProofSettings()

    @property
    def one_method(self) -> str | dict[str, Any]:
        """The method; raises `RecipeError` where several are to be compared."""
        if isinstance(self.method, list):
            raise RecipeError("method: names several, which the command `burnish run` compares; name one: method=lora")
        return self.method

    @property
    def python_files(self) -> list[str]:
        """Python files that the recipe names: of its metric, of its methods."""
        methods = self.method if isinstance(self.method, list) else [self.method]
        named = [getattr(self.task.metric, "path", None), *(m.get("path") for m in methods if isinstance(m, dict))]
        return [path for path in named if path is not None]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A recipe as it was read: paths absolute, nothing resolved yet."""

    recipe: Recipe
    name: str  # names the run directory
    source: Path | None  # the file, None where it was made from data
    several: bool = False  # one of several methods that the file names
    dataset: Dataset | None = field(default=None, compare=False, repr=False)  # where the recipe was guessed from it


def load_recipe(path: Path, changes: Sequence[str] = ()) -> Loaded:
    """Read a YAML recipe, apply `a.b=c` changes, expand `${NAME}`; raises `RecipeError` with all problems at once.

    Paths in the file are relative to it, those in changes to the working directory.
    """
    value = read_yaml(path)
    name = path.parent.resolve().name if path.stem == "recipe" else path.stem
    return Loaded(recipe_from(value, path.parent, str(path), changes), name or "run", path)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file, bounded in size, safely loaded."""
    if not path.is_file():
        raise RecipeError(f"{path}: no such recipe; write one with `burnish init DATA`")
    if path.stat().st_size > MAX_BYTES:
        raise RecipeError(
            f"{path}: {path.stat().st_size:,} bytes; a recipe has at most {MAX_BYTES:,}. Is this the data?"
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
        if text.count("&") and text.count("*") > 100:
            raise RecipeError(f"{path}: more than 100 YAML aliases; write the values out")
        value = yaml.safe_load(text)
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}: not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise RecipeError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(value, dict):
        raise RecipeError(f"{path}: expected fields such as `model:` and `data:`, found {type(value).__name__}")
    return value


def recipe_from(value: Mapping[str, Any], folder: Path, where: str, changes: Sequence[str] = ()) -> Recipe:
    """A checked recipe with absolute paths from a mapping as YAML gives it."""
    tree = _absolute(_expanded(dict(value), where), folder)
    given = _absolute(_expanded(_changed({}, changes), "command line"), Path.cwd())
    try:
        return _of_its_base(Recipe.model_validate(_merged(tree, given)), where)
    except ValidationError as error:
        raise RecipeError(listed([f"{where}: {text}" for text in _problems(error)])) from error


def _of_its_base(recipe: Recipe, where: str) -> Recipe:
    """`model: TUNED, base: BASE` is short for `model: BASE, method: {name: full, from: TUNED}`."""
    if recipe.base is None:
        return recipe
    if "method" in recipe.model_fields_set and recipe.method not in ("full", {"name": "full"}):
        raise RecipeError(
            f"{where}: base: with it, `model` is a whole fine-tune, so method can only be full; leave it out"
        )
    method = {"name": "full", "from": recipe.model}
    return recipe.model_copy(update={"model": recipe.base, "base": None, "method": method})


def resolved_yaml(recipe: Recipe, comment: str) -> str:
    """The recipe as it stands in a run directory: every field written out."""
    return f"# {comment}\n" + yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _changed(tree: dict[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    for change in changes:
        name, sign, text = change.partition("=")
        if not sign or not re.fullmatch(r"[a-z_]+(\.[a-z_]+)*", name):
            raise RecipeError(f'"{change}": expected field=value, as in method.rank=8')
        try:
            value = yaml.safe_load(text) if text else ""
        except yaml.YAMLError as error:
            raise RecipeError(f'"{change}": the value is not YAML: {" ".join(str(error).split())}') from error
        if isinstance(value, str) and re.fullmatch(r"[+-]?\d+(\.\d*)?e[+-]?\d+", value, re.IGNORECASE):
            value = float(value)  # YAML 1.1 reads 1e-3 as text
        if name == "method" and isinstance(value, str) and any(other.startswith("method.") for other in changes):
            name = "method.name"  # method=prefix method.length=8, in any order
        *parents, last = name.split(".")
        at = tree
        for parent in parents:
            at = at.setdefault(parent, {})
            if not isinstance(at, dict):
                raise RecipeError(f'"{change}": {parent} was given a value of its own before')
        at[last] = value
    return tree


def _merged(tree: dict[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    for key, value in other.items():
        old = tree.get(key)
        if key == "method" and isinstance(value, dict) and "from" in value:
            old = None  # the adapter itself says which method it is of
        if key == "method" and isinstance(old, list) and isinstance(value, dict) and not {"name", "path"} & set(value):
            changed = ", ".join(f"method.{name}" for name in value)
            raise RecipeError(f"{changed}: the recipe compares several methods; name the one to change: method=lora")
        if key == "method" and isinstance(old, str) and isinstance(value, dict) and "name" not in value:
            old = {"name": old}
        if key == "method" and old is None and isinstance(value, dict) and not {"name", "path", "from"} & set(value):
            old = {"name": Recipe.model_fields["method"].default}
        tree[key] = _merged(dict(old), value) if isinstance(old, dict) and isinstance(value, dict) else value
    return tree


def _expanded(value: Any, where: str) -> Any:
    if isinstance(value, dict):
        return {key: _expanded(item, where) for key, item in value.items()}
    if isinstance(value, list):
        return [_expanded(item, where) for item in value]
    if not isinstance(value, str):
        return value

    def put(match: re.Match[str]) -> str:
        found = os.environ.get(match[1])
        if not found:
            hint = " (README.md beside the recipe tells where its data come from)" if match[1] == "BURNISH_DATA" else ""
            raise RecipeError(f"{where}: ${{{match[1]}}} is not set; set it to a folder{hint} or write the path out")
        return found

    return VARIABLE.sub(put, value)


def _absolute(tree: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Paths made absolute where they stand; a name that is no existing path stays a name."""
    folder = folder.resolve()
    for section, entry in PATH_FIELDS:
        part = tree.get(section)
        if isinstance(part, dict) and isinstance(part.get(entry), str) and part[entry] not in NOT_PATHS:
            part[entry] = str(folder / Path(part[entry]).expanduser())
    task, method, model = tree.get("task"), tree.get("method"), tree.get("model")
    methods = method if isinstance(method, list) else [method]
    for part in (task.get("metric") if isinstance(task, dict) else None, *methods):
        for entry in ("path", "from"):
            if isinstance(part, dict) and isinstance(part.get(entry), str):
                part[entry] = str(folder / Path(part[entry]).expanduser())
    for name, given in (("model", model), ("base", tree.get("base"))):
        if isinstance(given, str) and given and (folder / Path(given).expanduser()).exists():
            tree[name] = str(folder / Path(given).expanduser())
    return tree


def _fields_at(location: Sequence[object]) -> list[str]:
    """Names that a recipe knows at a place."""
    at: Any = Recipe
    for part in location:
        field = at.model_fields.get(str(part)) if isinstance(at, type) and issubclass(at, BaseModel) else None
        if field is None:
            return []
        at = next((t for t in _options(field.annotation) if isinstance(t, type) and issubclass(t, BaseModel)), None)
        if at is None:
            return []
    return list(at.model_fields)


def _options(annotation: Any) -> tuple[Any, ...]:
    return typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)


def _problems(error: ValidationError) -> list[str]:
    """A sentence for each field; a field that may be of several types has one error for each of them."""
    found: dict[tuple[str, str], list[str]] = {}
    for item in error.errors():
        place, problem, value = _problem(dict(item))
        found.setdefault((place, value), []).append(problem)
    return [f"{place}: {', or '.join(dict.fromkeys(each))}{value}" for (place, value), each in found.items()]


def _problem(item: Mapping[str, Any]) -> tuple[str, str, str]:
    """One pydantic error in our words: the field, what is wrong, and what was found."""
    location = [part for part in item["loc"] if isinstance(part, int) or re.fullmatch(r"[A-Za-z_]\w*", str(part))]
    location = [part for part in location if part not in ("int", "float", "str", "function")]
    where = ".".join(str(part) for part in location)
    if item["type"] == "extra_forbidden":
        known = _fields_at(location[:-1])
        near = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
        hint = f'Did you mean "{near[0]}"?' if near else f"Known here: {', '.join(known)}."
        return where, f"unknown field. {hint}", ""
    if item["type"] == "missing":
        return where, "is missing; every recipe names it", ""
    message = str(item["msg"]).removeprefix("Value error, ")
    return where, f"{message[:1].lower()}{message[1:]}", f"; found {item['input']!r}"
