"""From what the user typed to everything a run needs, with every error found before anything is measured or written."""

import hashlib
import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import yaml

from burnish.data.dataset import Dataset, load
from burnish.data.fit import TokenizedDataset, fit
from burnish.data.guess import Guess, guess, recipe_yaml
from burnish.data.template import ChatTemplate
from burnish.data.tokenize import Encoder
from burnish.errors import DataError, RecipeError, RunError
from burnish.files import sha256_of, write_text
from burnish.methods.method import Method, method_fields
from burnish.methods.peft_format import load_adapter, method_of
from burnish.models.adapters import remove
from burnish.models.at_once import at_once
from burnish.models.load import Base, check_weights, load_base, resolve
from burnish.models.parameters import count_parameters
from burnish.pipeline.recipe import Loaded, Recipe, load_recipe, recipe_from
from burnish.pipeline.room import Room, find_room
from burnish.proof.automatic import Task, answer_limit, decide, tried_metric
from burnish.version import VERSION

DEFAULT_MODEL = "smollm2-135m-instruct"
RECIPE_SUFFIXES = (".yaml", ".yml")


@dataclass(slots=True)
class Prepared:
    """A checked recipe with its data and its base model, ready to be measured and trained."""

    loaded: Loaded
    recipe: Recipe  # resolved: no "auto" is left where a number is meant
    base: Base
    encoder: Encoder
    tokenized: TokenizedDataset
    method: Method
    task: Task
    file_hashes: tuple[str, ...]  # of the data files, in their order
    room: Room | None  # what training takes in memory, where the recipe left that open

    @property
    def data_sha256(self) -> str:
        """One hash of all data files."""
        return _digest(self.file_hashes)

    @property
    def dataset(self) -> Dataset:
        """The three parts."""
        return self.tokenized.dataset

    @property
    def answer_tokens(self) -> int:
        """Longest answer that is generated."""
        limit = self.recipe.task.max_answer_tokens
        assert isinstance(limit, int)
        return limit

    def identity(self) -> dict[str, object]:
        """What must be equal to go on with a run bit for bit; it stands in every checkpoint."""
        template = self.encoder.template.source if self.encoder.template else ""
        return {
            "recipe_sha256": _digest(self.recipe.model_dump(mode="json")),
            "data_sha256": self.data_sha256,
            "base_sha256": self.base.sha256,
            "tokenizer_sha256": _digest([self.base.tokenizer.get_vocab(), template]),
            "versions": {"burnish": VERSION, "torch": torch.__version__},
            "device": self.base.device.type,
            "dtype": str(self.base.dtype).removeprefix("torch."),
            "threads": torch.get_num_threads(),
        }


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def loaded_from(target: str, changes: Sequence[str]) -> Loaded:
    """A recipe from a file, or the recipe that `init` would write for a data file."""
    path = Path(target).expanduser()
    if path.suffix.lower() in RECIPE_SUFFIXES:
        return load_recipe(path, changes)
    if path.is_dir():
        if (path / "recipe.yaml").is_file():
            raise RecipeError(f"{path}: is a directory; name the recipe in it: {path / 'recipe.yaml'}")
        raise RecipeError(f"{path}: is a directory; expected a recipe (.yaml) or a data file")
    return loaded_guess(guess(path), path, changes)


def loaded_guess(found: Guess, data: Path, changes: Sequence[str] = ()) -> Loaded:
    """The recipe that a guess about a data file makes; `write_recipe` writes the same one."""
    text = recipe_yaml(found, str(data.resolve()), DEFAULT_MODEL)
    recipe = recipe_from(yaml.safe_load(text), data.parent, data.name, changes)
    read = found.settings.model_copy(update={"train": str(data.resolve())})
    same = recipe.data == read and recipe.task.kind in ("auto", found.kind)
    return Loaded(recipe, data.stem, None, dataset=found.dataset if same else None)


def recipe_path(data: Path, out: Path | None, replace: bool) -> Path:
    """Where a recipe for the data is written: beside it, or `out`; an existing one is refused."""
    path = out or data.parent / "recipe.yaml"
    if path.is_dir():
        path = path / "recipe.yaml"
    if path.exists() and not replace:
        raise RecipeError(f"{path}: exists already; use --replace, or --out another.yaml")
    if not path.parent.is_dir():
        raise RecipeError(f"{path}: the folder {path.parent} does not exist")
    return path


def write_recipe(found: Guess, data: Path, path: Path) -> None:
    """Write the guessed recipe with comments; `burnish run DATA` runs the same one."""
    source, folder = data.resolve(), path.parent.resolve()
    written = str(source.relative_to(folder)) if source.is_relative_to(folder) else str(source)
    write_text(path, recipe_yaml(found, written, DEFAULT_MODEL))


def prepare(loaded: Loaded, say: Callable[[str], None] = lambda _: None) -> Prepared:
    """Read the data, load the base, encode, and resolve every "auto"; what is cheap to refuse is refused first."""
    recipe = loaded.recipe
    method = method_of(recipe.one_method)
    if recipe.training.max_steps == 0 and method.start_from is None:
        raise RecipeError(
            "training.max_steps: 0 trains nothing, for a fine-tune that exists; name its directory in method.from"
        )
    resolve(recipe.model)
    dataset = loaded.dataset or load(recipe.data, task_kind=recipe.task.kind)
    task = decide(dataset.train, recipe.task, dataset.kind, dataset.labels)
    doubt = tried_metric(task, dataset.train)
    if doubt is not None:
        say(doubt)
    base = load_base(recipe.model, dtype=recipe.training.dtype, device=recipe.training.device, say=say)
    return with_base(loaded, base, dataset, task, method)


def with_base(loaded: Loaded, base: Base, dataset: Dataset, task: Task, method: Method) -> Prepared:
    """The rest of `prepare`, for a base that is loaded."""
    recipe = loaded.recipe
    template = ChatTemplate.choose(
        recipe.data.chat_template, base.chat_template, base.tokenizer, thinking=dataset.thinking
    )
    encoder = Encoder(base.tokenizer, template if task.kind != "text" else None, base.stop_ids)
    longest = recipe.training.max_length
    if method.start_from is None:
        method.check(base.model)
    elif method.makes_adapter:
        # whatever is wrong with it is told before anything is measured; training loads it again. Places that PEFT
        # names by an expression are no targets of a recipe, so `check` cannot look at them
        load_adapter(base.model, Path(method.start_from), base_sha256=base.sha256, like=method)
        remove(base.model, "default")
    else:
        method.check(base.model)
        check_weights(base, Path(method.start_from))
    room = room_of(base, method)
    _refuse_no_text(recipe, method, base)
    max_length = min(room, 4096) if longest == "auto" else min(room, longest)
    tokenized = fit(dataset, encoder, max_length)
    train = tokenized.train
    if not any(document.targets for document in train):
        raise DataError("no token of the training records is trained; add answers to them")
    rate = method.learning_rate(count_parameters(base.model))
    records = len(tokenized.dataset.train)
    row = at_once(base.device.type).rows[0]
    training = recipe.training.resolved(records=records, documents=len(train), rate=rate, context=room, row=row)
    numbers: dict[str, object] = {
        "dtype": "bf16" if base.dtype == torch.bfloat16 else "fp32",
        "device": base.device.type,
    }
    assert isinstance(training.batch_size, int)
    found = find_room(recipe.training, base, method, train, training.batch_size)
    if found is not None:
        numbers |= {"micro_batch_tokens": found.micro_batch_tokens, "recompute": found.recompute}
    answers = [document.targets for document in train] if task.kind != "text" else []
    limit = answer_limit(answers, recipe.task.max_answer_tokens, base.context)
    settings = recipe.task.model_copy(update={"kind": task.kind, "max_answer_tokens": limit})
    if settings.metric == "auto":
        settings = settings.model_copy(update={"metric": task.metrics[0].name})
    resolved = recipe.model_copy(
        update={
            "training": training.model_copy(update=numbers),
            "task": settings,
            "method": {**method_fields(method), **({"path": p} if (p := _path(recipe)) else {})},
        }
    )
    hashes = tuple(sha256_of(path) for path in dataset.files)
    return Prepared(loaded, resolved, base, encoder, tokenized, method, task, hashes, found)


def room_of(base: Base, method: Method) -> int:
    """Tokens of the context that a method leaves to documents."""
    taken = method.virtual_tokens + method.first_position
    room = base.context - taken
    if room < 2:
        raise RecipeError(
            f"method.length: {taken} places before every document leave none of {base.name}'s context of "
            f"{base.context} tokens; take a shorter one"
        )
    return room


def start_tokens(recipe: Recipe, method: Method, base: Base) -> tuple[int, ...] | None:
    """Tokens of the text that a method may start from: its own, else the task's instruction."""
    text = method.start_text if method.start_text is not None else recipe.data.instruction
    return None if text is None else tuple(base.tokenizer.encode(text, add_special_tokens=False))


def _refuse_no_text(recipe: Recipe, method: Method, base: Base) -> None:
    if method.start_text is not None and not start_tokens(recipe, method, base):
        raise RecipeError(
            f"method.text: {method.start_text!r} has no tokens to start from; write some text, or leave it out"
        )


def _path(recipe: Recipe) -> str | None:
    return recipe.method.get("path") if isinstance(recipe.method, dict) else None


def data_part(prepared: Prepared) -> dict[str, object]:
    """What `data.json` holds: where every record went, and what was noticed."""
    dataset, tokenized = prepared.dataset, prepared.tokenized
    counts = asdict(dataset.counts)
    counts["dropped_ids"] = {reason: list(ids)[:100] for reason, ids in dataset.counts.dropped_ids.items()}
    return {
        **counts,
        "format": dataset.format,
        "kind": prepared.task.kind,
        "columns": dict(dataset.columns),
        "labels": list(prepared.task.labels),
        "windows": tokenized.windows,
        "max_length": tokenized.max_length,
        "room": room_of(prepared.base, prepared.method),
        "metric_sha256": _metric_sha256(prepared.recipe),
        "encoding": asdict(tokenized.encoding),
        "files": [
            {"name": path.name, "sha256": sha256}
            for path, sha256 in zip(dataset.files, prepared.file_hashes, strict=True)
        ],
        "ids": {part: [e.id for e in getattr(dataset, part)] for part in ("train", "validation", "held_out")},
    }


def _metric_sha256(recipe: Recipe) -> str | None:
    """Hash of a user's metric: the Python files beside it, which it may import, and the files that its options name."""
    metric = recipe.task.metric
    if isinstance(metric, str) or metric.path is None:
        return None
    folder = Path(metric.path).parent
    beside = sorted([*folder.glob("*.py"), *folder.glob("[!.]*/*.py")])
    named = [Path(value) for value in metric.options.values() if isinstance(value, str) and Path(value).is_file()]
    return _digest([sha256_of(path) for path in (*beside, *named)])


def refuse_python_from(recipe: Recipe, path: Path) -> None:
    """Python files that a run directory names are not run (reliability R5); the user names the recipe himself."""
    if recipe.python_files:
        raise RunError(
            f"{path}: its recipe names a Python file ({recipe.python_files[0]}), which is never run from a run "
            f"directory; name the recipe: burnish resume {path} --recipe RECIPE"
        )


def processor(device: torch.device) -> str:
    """Name of what computes: the GPU, or the processor and the instructions that torch uses there, as "AVX2"."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = info.read_text(encoding="utf-8", errors="replace").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"
