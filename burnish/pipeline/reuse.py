"""Answers of the untuned model, taken over from a run that asked the same model the same things.

A prompt arm does not know what is trained beside it, so runs that differ in method or training alone measure it once.
What must be equal: base, data and their split, task and metric, template, seed, versions, dtype and machine.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from burnish.errors import BurnishError, RunError
from burnish.pipeline.directory import DATA, RECIPE, RunDirectory
from burnish.pipeline.events import Adopted
from burnish.pipeline.session import Session
from burnish.pipeline.tuned import recipe_of
from burnish.proof.prompting import writes_answers
from burnish.proof.retention import PART as RETENTION
from burnish.proof.summary import KEY, latest
from burnish.training.events import Event

SAME = ("base_sha256", "data_sha256", "burnish", "torch", "transformers", "seed", "device", "cpu", "threads", "dtype")


def take_over(session: Session, part: str, arms: Sequence[str]) -> Iterator[Event]:
    """Copy these arms' lines of the first run that is alike; they are not measured again then."""
    if session.alike is None:
        session.alike = [other for other in session.likes if _alike(session, other)]
    if not session.alike:
        return
    held = {tuple(line[key] for key in KEY) for line in session.run.samples()}
    for other in session.alike:
        # general texts are cut to the room that the method leaves
        if part == RETENTION and session.run.get(DATA)["room"] != other.get(DATA).get("room"):
            continue
        if part == "validation" and _lacks_answers(session, other):
            continue
        wanted = [
            line
            for line in latest(other.samples())
            if line["part"] == part and line["arm"] in arms and tuple(line[key] for key in KEY) not in held
        ]
        if wanted:
            session.run.add_samples(wanted)
            yield Adopted(tuple(dict.fromkeys(str(line["arm"]) for line in wanted)), len(wanted), other.path.name)
            return


def _lacks_answers(session: Session, other: RunDirectory) -> bool:
    """Whether the other run wrote no answers for validation items that this one's report shows: `Setup.deciding`."""
    ours, theirs = (writes_answers(recipe_of(run).proof, session.setup.metrics[0]) for run in (session.run, other))
    return ours and not theirs


def _alike(session: Session, other: RunDirectory) -> bool:
    """Whether the other run asked the same; one that cannot be read asked something else."""
    template = session.prepared.encoder.template
    try:
        return _asked_with(session.run) == _asked_with(other) and _template_of(other) == (template and template.source)
    except (BurnishError, KeyError, OSError):
        return False


def _template_of(run: RunDirectory) -> str | None:
    """The chat template that a run used; it stands beside what was trained."""
    path = run.result / "chat_template.jinja" if run.result else None
    return path.read_text(encoding="utf-8") if path and path.is_file() else None


def _asked_with(run: RunDirectory) -> Mapping[str, Any]:
    """All that an untuned arm's answers depend on, but for the template."""
    started, recipe = run.started(), recipe_of(run).model_dump(mode="json")
    if started is None:
        raise RunError(f"{run.path}: nothing happened in it yet")
    data = run.get(DATA)
    return {
        "started": {key: started[key] for key in SAME},
        "recipe": {section: recipe[section] for section in ("model", "data", "task")},
        "data": {key: data[key] for key in ("ids", "labels", "kind", "max_length", "metric_sha256")},
    }


def runs_in(paths: Iterable[Path]) -> list[RunDirectory]:
    """Those of the directories that are runs and got far enough to take answers from."""
    return [RunDirectory.open(path) for path in paths if (path / DATA).is_file() and (path / RECIPE).is_file()]


def runs_beside(path: Path, most: int = 20) -> list[RunDirectory]:
    """The runs in the folder of a run, the latest first, at most `most`."""
    folder = path.absolute().parent
    others = [other for other in folder.iterdir() if other.name != path.name] if folder.is_dir() else []
    return sorted(runs_in(others), key=lambda run: -(run.path / DATA).stat().st_mtime)[:most]
