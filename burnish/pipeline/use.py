"""A finished run put to use: answers to a file of requests, a conversation, other formats."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from burnish.data.dataset import load
from burnish.data.requests import read_requests
from burnish.errors import DataError, RecipeError, RunError
from burnish.export import merged, peft
from burnish.files import append_jsonl, read_jsonl
from burnish.models.adapters import frame_of
from burnish.pipeline.directory import DATA, PROMPT, RunDirectory
from burnish.pipeline.events import Progress
from burnish.pipeline.tuned import Tuned, load_tuned, load_untuned, recipe_of
from burnish.proof.arm import Arm, ArmContext, Rival, build
from burnish.proof.engine import ModelEngine
from burnish.proof.prompting import Choice
from burnish.registry import did_you_mean
from burnish.types import Example, Message

CHUNK = 16
FORMATS = {"merged": merged.export, "peft": peft.export}


def generate_file(directory: Path, data: Path, out: Path, *, replace: bool = False) -> Iterator[Progress]:
    """Answer every request of a file, chunk by chunk; an `out` that was begun is gone on with."""
    if out.resolve() == data.resolve():
        raise DataError(f"{out}: is the file of requests itself; choose another --out")
    if not out.parent.is_dir():
        raise DataError(f"{out}: the folder {out.parent} does not exist")
    run = RunDirectory.open(directory)
    found = run.get(DATA)
    requests = read_requests(data, recipe_of(run).data, found["format"], found["columns"])
    if replace:
        out.unlink(missing_ok=True)
    done = _done(out, [name for name, _ in requests])
    tuned = load_tuned(directory)
    start, count = perf_counter(), done
    for at in range(done, len(requests), CHUNK):
        part = requests[at : at + CHUNK]
        answers = _answers(tuned, [messages for _, messages in part])
        append_jsonl(out, [{"id": name, **answer} for (name, _), answer in zip(part, answers, strict=True)])
        count += len(part)
        yield Progress("generate", count, len(requests), perf_counter() - start)


def _done(out: Path, ids: Sequence[str]) -> int:
    """How many answers stand in `out` already; raises where they are not the beginning of these requests."""
    if not out.exists():
        return 0
    try:
        found = [line.get("id") for line in read_jsonl(out)]
    except (ValueError, AttributeError):
        found = [None]
    if found != list(ids[: len(found)]):
        raise DataError(
            f"{out}: holds something else than the beginning of these answers; use --replace or another --out"
        )
    return len(found)


def _answers(tuned: Tuned, requests: Sequence[Sequence[Message]]) -> list[dict[str, object]]:
    prompts = [tuned.encoder.prompt(messages) for messages in requests]
    room = tuned.base.context - tuned.max_answer_tokens - frame_of(tuned.base.model).size
    long = [len(prompt) for prompt in prompts if len(prompt) > room]
    if long:
        raise DataError(
            f"a request has {max(long)} tokens; with an answer of {tuned.max_answer_tokens} at most {room} fit"
        )
    found = ModelEngine(tuned.base.model, tuned.encoder.stop_ids, tuned.max_answer_tokens).generate(prompts)
    return [{"answer": tuned.encoder.answer_text(f.tokens), "stopped_by": f.stopped_by} for f in found]


@dataclass(slots=True)
class Conversation:
    """A talk with a tuned model; each answer is given the turns before it."""

    tuned: Tuned
    arm: Arm | None = None  # a prompt arm answers instead, every turn by itself
    turns: list[Message] = field(default_factory=list)

    @classmethod
    def open(cls, directory: Path, name: str = "tuned") -> "Conversation":
        """Load a run's model, or its base with a prompt: "tuned", "base", "best_prompt" or an arm's own name.

        Raises where the run was trained on raw text, or the arm is no prompt.
        """
        run = RunDirectory.open(directory)
        recipe = recipe_of(run)
        kind = recipe.task.kind
        if kind == "text" or kind == "auto":  # a run's recipe is resolved, so it is never auto
            raise RunError(f"{directory}: was trained on raw documents, which nobody can talk to")
        if name == "tuned":
            return cls(load_tuned(directory))
        choice = Choice.from_json(run.get(PROMPT))
        wanted = choice.best_prompt if name == "best_prompt" else name
        if wanted not in choice.scoring or wanted in ("tuned", "simple"):
            prompts = ", ".join(arm for arm in choice.scoring if arm != "tuned")
            raise RunError(f'--arm: "{name}" is no prompt of {directory}; it has tuned, best_prompt, {prompts}')
        train = load(recipe.data, task_kind=kind).train
        base = load_untuned(directory)
        room = base.base.context - base.max_answer_tokens
        context = ArmContext(train, kind, recipe.training.seed, lambda turns: len(base.encoder.prompt(turns)) <= room)
        arm = build(wanted, context)
        assert not isinstance(arm, Rival)
        return cls(base, arm)

    @property
    def title(self) -> str:
        """Who answers."""
        how = f"tuned by {self.tuned.method.name}" if self.arm is None else f"as it is, prompted by {self.arm.name}"
        return f"{self.tuned.base.name} {how}"

    def forget(self) -> None:
        """Begin anew."""
        self.turns.clear()

    def answer(self, text: str) -> str:
        """The answer to the next turn; a task with one instruction is asked with it, as in training."""
        instruction = self.tuned.recipe.data.instruction
        first = f"{instruction}\n\n{text}" if instruction and not self.turns else text
        if self.arm is not None:
            item = Example("chat", (Message("user", first), Message("assistant", "?", trained=True)))
            return str(_answers(self.tuned, [self.arm.prompt(item).messages])[0]["answer"])
        turns = [*self.turns, Message("user", first)]
        answer = str(_answers(self.tuned, [turns])[0]["answer"])
        self.turns = [*turns, Message("assistant", answer)]
        return answer


def export_run(directory: Path, to: str, out: Path | None, *, replace: bool = False) -> list[str]:
    """Write another format of a run; returns what to say."""
    if to not in FORMATS:
        raise RecipeError(f'--to: "{to}" is unknown; known are {", ".join(FORMATS)}.{did_you_mean(to, FORMATS)}')
    path = out or directory / to
    if path.exists() and (not path.is_dir() or any(path.iterdir())) and not replace:
        raise RunError(f"{path}: exists already; use --replace or another --out")
    if path.exists() and replace and path.is_dir() and any(path.iterdir()) and not any(path.glob("*config.json")):
        raise RunError(
            f"{path}: holds something that is no model, so --replace does not remove it; choose another --out"
        )
    tuned = load_tuned(directory)
    template = tuned.encoder.template
    return FORMATS[to](tuned.base, tuned.method, template.source if template else None, path)
