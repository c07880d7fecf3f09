"""The metric contract, and finding a metric: by the name of a file in `metrics/`, or a user's own file.

A user's file `metric.py` has an attribute `metric`, an object with

    name    "parts"                 unit    "share"         better    "higher" or "lower"
    is_share  True: every item scores 0 or 1                margin    the gain not worth training for, in the unit
    reads   "answer" (the text an arm gave) or "reference" (nats of the expected answer)
    score(observation, example, options) -> a number, or ItemScore(value, detail)

and, where it wants them, `aggregate(item_scores) -> float` (else the mean), `options` (a dict of defaults, which the
recipe's override), `span` (the largest possible difference), `also` (metrics to show beside it: names of built-in ones,
or objects like this one), `closer` (True: it measures nearness to the user's answers, so the verdict never says
"better"), `picture(text) -> str | None` (an answer as a small SVG picture, for the report).

Files beside it are imported with a dot: `from .shapes import area`.
"""

import hashlib
import importlib.util
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, cast

from burnish.errors import RecipeError, listed
from burnish.proof import metrics as built_in
from burnish.registry import did_you_mean, module_named, names_in
from burnish.types import Example, ItemScore, Observation

BUILT_IN = "built in"
Aggregate = Callable[[Sequence[ItemScore]], float]


class Metric(Protocol):
    """What a metric file offers; the optional attributes are named in the module's text."""

    name: str
    unit: str
    better: Literal["higher", "lower"]
    is_share: bool
    margin: float
    reads: Literal["answer", "reference"]

    def score(self, observation: Observation, example: Example, options: Mapping[str, object], /) -> ItemScore | float:
        """The score of one item."""


def mean(scores: Sequence[ItemScore]) -> float:
    """The aggregate of a metric that has none of its own."""
    return sum(score.value for score in scores) / len(scores)


@dataclass(frozen=True, slots=True)
class LoadedMetric:
    """A checked metric with its options; everything else in burnish sees metrics only as this."""

    name: str
    unit: str
    better: Literal["higher", "lower"]
    is_share: bool
    margin: float
    reads: Literal["answer", "reference"]
    metric: Metric
    options: Mapping[str, object] = field(default_factory=dict)
    own_aggregate: Aggregate | None = None  # None: the mean
    span: float | None = None
    also: tuple[str | Metric, ...] = ()
    closer: bool = False
    source: str = ""  # BUILT_IN, or the file
    picture: Callable[[str], str | None] | None = None

    def score(self, observation: Observation, example: Example) -> ItemScore:
        """One item's score; raises RecipeError where a user's metric fails or gives no number."""
        try:
            score = self.metric.score(observation, example, self.options)
        except Exception as error:
            if self.source == BUILT_IN:
                raise
            what = f"{type(error).__name__}: {error}"
            raise RecipeError(f"{self.source}: metric {self.name!r} failed on {example.id}: {what}") from error
        if not isinstance(score, ItemScore):
            score = self._from_number(score, example)
        if not math.isfinite(score.value) or (self.is_share and score.value not in (0, 1)):
            expected = "0 or 1 (is_share is True)" if self.is_share else "a finite number"
            raise RecipeError(
                f"{self.source}: metric {self.name!r} gave {score.value!r} on {example.id}; expected {expected}"
            )
        return score

    def _from_number(self, score: object, example: Example) -> ItemScore:
        if isinstance(score, bool | int | float):
            return ItemScore(float(score))
        raise RecipeError(
            f"{self.source}: metric {self.name!r} gave {type(score).__name__} on {example.id}; "
            "expected a number or an ItemScore"
        )

    def aggregate(self, scores: Sequence[ItemScore]) -> float:
        """The number of all items together."""
        return mean(scores) if self.own_aggregate is None else float(self.own_aggregate(scores))

    def others(self) -> list["LoadedMetric"]:
        """The metrics that are shown beside it."""
        names = [other for other in self.also if isinstance(other, str) and other != self.name]
        own = [other for other in self.also if not isinstance(other, str)]
        return [*map(load, names), *(_checked(other, {}, self.source) for other in own)]

    @property
    def sign(self) -> int:
        """+1 where higher is better, -1 where lower is: a difference times this is positive for the better arm."""
        return 1 if self.better == "higher" else -1


def load(name: str, options: Mapping[str, object] | None = None) -> LoadedMetric:
    """A built-in metric; an unknown name is refused with the nearest."""
    module = module_named(built_in.__name__, name)
    if module is None:
        known = ", ".join(names_in(built_in.__name__))
        raise RecipeError(
            f'task.metric: unknown metric "{name}".{did_you_mean(name, names_in(built_in.__name__))} Known: {known}; '
            "or give {path: metric.py}"
        )
    return _checked(cast("Metric", module.metric), options or {}, BUILT_IN)


def load_path(path: Path, options: Mapping[str, object] | None = None) -> LoadedMetric:
    """The attribute `metric` of a user's own Python file; every fault of the file in one error."""
    if not path.is_file():
        raise RecipeError(f"task.metric: {path}: no such file; expected a Python file with an attribute `metric`")
    # its folder is a package of its own, so that two recipes may have neighbours of one name
    name = f"burnish_user_metric_{path.stem}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    for neighbour in [module for module in sys.modules if module.startswith(f"{name}.")]:
        del sys.modules[neighbour]
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=[str(path.resolve().parent)])
    if spec is None or spec.loader is None:
        raise RecipeError(f"task.metric: {path}: not a Python file (its name must end in .py)")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except ModuleNotFoundError as error:
        what = f"needs the Python module {error.name!r}, which is not installed"
        raise RecipeError(
            f"task.metric: {path} {what}; install it: {sys.executable} -m pip install {error.name}"
        ) from error
    except (Exception, SystemExit) as error:
        raise RecipeError(f"task.metric: {path} cannot be loaded: {type(error).__name__}: {error}") from error
    metric = getattr(module, "metric", None)
    if metric is None:
        raise RecipeError(f"task.metric: {path} has no attribute `metric`; add `metric = YourMetric()`")
    return _checked(cast("Metric", metric), options or {}, str(path))


_RULES: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "name": (lambda v: isinstance(v, str) and bool(v), "a name (text)"),
    "unit": (lambda v: isinstance(v, str) and bool(v), 'text such as "share"'),
    "better": (lambda v: v in ("higher", "lower"), '"higher" or "lower"'),
    "is_share": (lambda v: isinstance(v, bool), "True or False"),
    "margin": (lambda v: isinstance(v, int | float) and math.isfinite(v) and v > 0, "a positive number"),
    "reads": (lambda v: v in ("answer", "reference"), '"answer" or "reference"'),
    "score": (callable, "a function (observation, example, options)"),
}


def _checked(metric: Metric, options: Mapping[str, object], source: str) -> LoadedMetric:
    problems = []
    for attribute, (holds, expected) in _RULES.items():
        if not hasattr(metric, attribute):
            problems.append(f"metric.{attribute} is missing; expected {expected}")
        elif not holds(getattr(metric, attribute)):
            problems.append(f"metric.{attribute} is {getattr(metric, attribute)!r}; expected {expected}")
    aggregate = getattr(metric, "aggregate", None)
    if aggregate is not None and not callable(aggregate):
        problems.append(f"metric.aggregate is {aggregate!r}; expected a function of a list of item scores")
    picture = getattr(metric, "picture", None)
    if picture is not None and not callable(picture):
        problems.append(f"metric.picture is {picture!r}; expected a function of a text that gives an SVG or None")
    defaults = getattr(metric, "options", {})
    if not isinstance(defaults, Mapping):
        problems.append(f"metric.options is {defaults!r}; expected a dict of defaults")
        defaults = {}
    for option in options:
        if option not in defaults:
            known = ", ".join(map(str, defaults)) or "none"
            problems.append(f'unknown option "{option}" of the metric.{did_you_mean(option, defaults)} Known: {known}')
    if problems:
        raise RecipeError(listed([f"task.metric: {source}: {problem}" for problem in problems]))
    return LoadedMetric(
        name=metric.name,
        unit=metric.unit,
        better=metric.better,
        is_share=metric.is_share,
        margin=float(metric.margin),
        reads=metric.reads,
        metric=metric,
        options={**defaults, **options},
        own_aggregate=aggregate,
        span=1.0 if metric.is_share else getattr(metric, "span", None),
        also=tuple(getattr(metric, "also", ())),
        closer=bool(getattr(metric, "closer", False)),
        source=source,
        picture=picture,
    )
