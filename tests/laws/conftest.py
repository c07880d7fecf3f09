"""A small world for the laws about whole runs: a tiny model directory, data, and a cache of its own."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from jaxtyping import config

from burnish.pipeline.run import run
from tests.laws.cases import Case
from tests.tiny_models import tiny_directory

QUICK = ("lora", "llama")  # the case whose laws `make quick` runs; the others are marked slow
CHECKED = ("llama", "gpt2")  # maps as `nn.Linear` and as `Conv1D`: shapes are checked here, a third of a law's time
PARTS = {"train": 36, "validation": 8, "held_out": 10}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `make quick` leaves out: whole runs, and of each law all but its first test on one case."""
    first: dict[Path, str] = {}
    for item in items:
        if item.path.parent != Path(__file__).parent or not isinstance(item, pytest.Function):
            continue
        case = item.callspec.params.get("case") if hasattr(item, "callspec") else None
        spare = "world" in item.fixturenames
        if isinstance(case, Case):
            chief = first.setdefault(item.path, item.originalname)
            spare |= item.originalname != chief or (case.method, case.architecture) != QUICK
            spare |= bool(case.option or case.dropout)
        if spare:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def _shapes(request: pytest.FixtureRequest) -> Iterator[None]:
    """A law that runs on every architecture checks the shapes of arguments on two of them."""
    case = request.node.callspec.params.get("case") if hasattr(request.node, "callspec") else None
    unchecked = isinstance(case, Case) and case.architecture not in CHECKED
    config.update("jaxtyping_disable", unchecked)
    yield
    config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with `model/` and three files of tickets; burnish's cache is empty at first and thrown away."""
    folder = tmp_path_factory.mktemp("world")
    tiny_directory(folder / "model", "llama")
    for part, count in PARTS.items():
        write_tickets(folder / f"{part}.jsonl", part, count)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BURNISH_HOME", str(folder / "home"))
        yield folder


def write_tickets(path: Path, part: str, count: int, nonsense: bool = False) -> None:
    """Classified tickets; with `nonsense` every answer is a label that occurs nowhere else."""
    texts = {True: "I want my money back", False: "I cannot log in"}
    labels = {True: "refund", False: "login"}
    records = [
        {"text": f"{part} {n}: {texts[n % 2 == 0]}", "label": "a zebra, or two" if nonsense else labels[n % 2 == 0]}
        for n in range(count)
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def recipe_text(method: str, held_out: str = "held_out.jsonl") -> str:
    """A recipe of four updates, few prompt arms, and a label set that is found in train."""
    return f"""model: model
data: {{train: train.jsonl, validation: validation.jsonl, held_out: {held_out}}}
method: {method}
training: {{max_steps: 4, batch_size: 4, learning_rate: 0.01, evaluate_every: 2, checkpoint_every: 1}}
proof: {{few_shot: [2], similar: [2]}}
"""


@pytest.fixture(scope="session")
def finished(world: Path) -> Callable[[str], Path]:
    """The directory of a finished run of a method, made once."""
    made: dict[str, Path] = {}

    def make(method: str) -> Path:
        if method not in made:
            recipe = world / f"{method}.yaml"
            recipe.write_text(recipe_text(method), encoding="utf-8")
            run(recipe, out=world / f"run-{method}")
            made[method] = world / f"run-{method}"
        return made[method]

    return make
