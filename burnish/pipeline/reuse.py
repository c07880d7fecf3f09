"""Answers of the untuned model, taken over from a run that asked the same model the same things.

A prompt arm does not know the method that is trained beside it, so runs that differ in their method alone measure it
once. What must be equal: base, data and their split, task, proof, encoding, seed, versions, dtype and machine.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from burnish.pipeline.directory import DATA, RunDirectory
from burnish.pipeline.events import Adopted
from burnish.pipeline.session import Session
from burnish.pipeline.tuned import recipe_of
from burnish.proof.retention import PART as RETENTION
from burnish.training.events import Event

SAME = ("base_sha256", "data_sha256", "burnish", "torch", "transformers", "seed", "device", "cpu", "threads", "dtype")
KEY = ("part", "arm", "item", "scoring")


def take_over(session: Session, part: str, arms: Sequence[str]) -> Iterator[Event]:
    """Copy the other run's lines of these arms, if it is the like; they are not measured again then."""
    if session.like is None or not _alike(session, session.like):
        return
    if part == RETENTION and session.run.get(DATA)["room"] != session.like.get(DATA).get("room"):
        return  # general texts are cut to the room that the method leaves
    held = {tuple(line[key] for key in KEY) for line in session.run.samples()}
    wanted = [
        line
        for line in session.like.samples()
        if line["part"] == part and line["arm"] in arms and tuple(line[key] for key in KEY) not in held
    ]
    if wanted:
        session.run.add_samples(wanted)
        yield Adopted(tuple(dict.fromkeys(str(line["arm"]) for line in wanted)), len(wanted), session.like.path.name)


def _alike(session: Session, other: RunDirectory) -> bool:
    first, second = _asked_with(session.run), _asked_with(other)
    template = session.prepared.encoder.template
    return first is not None and first == second and (template.source if template else None) == _template_of(other)


def _template_of(run: RunDirectory) -> str | None:
    """The chat template that a run used; it stands beside what was trained."""
    path = run.result / "chat_template.jinja" if run.result else None
    return path.read_text(encoding="utf-8") if path and path.is_file() else None


def _asked_with(run: RunDirectory) -> Mapping[str, Any] | None:
    """All that an untuned arm's answers depend on."""
    started, recipe = run.started(), recipe_of(run).model_dump(mode="json")
    if started is None:
        return None
    data = run.get(DATA)
    return {
        "started": {key: started[key] for key in SAME},
        "recipe": {section: recipe[section] for section in ("model", "data", "task", "proof")},
        "data": {key: data[key] for key in ("ids", "labels", "kind", "max_length")},
    }


def like_of(path: Path) -> RunDirectory | None:
    """A run to take answers from, where it stands there and got that far."""
    return RunDirectory.open(path) if (path / DATA).is_file() else None
