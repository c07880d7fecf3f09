"""The metrics, the loader of a user's own, and the `auto` rule."""

import math
from pathlib import Path

import pytest
from sklearn.metrics import f1_score

from burnish.errors import RecipeError
from burnish.proof.automatic import answer_limit, automatic, decide
from burnish.proof.metric import load, load_path
from burnish.proof.metrics.document_loss import perplexity
from burnish.proof.settings import MetricChoice, ProofSettings, TaskSettings
from burnish.registry import names_in
from burnish.types import Example, Message, Observation


def example(expected: str, number: int = 0, text: str = "q") -> Example:
    return Example(f"f:{number}", (Message("user", text), Message("assistant", expected, True)))


def score(name: str, answer: str | None, expected: str, **options: object) -> float:
    return load(name, options).score(Observation(answer, 6.0, 4), example(expected)).value


def test_every_metric_file_loads_and_scores_a_perfect_answer_higher_than_an_empty_one() -> None:
    names = names_in("burnish.proof.metrics")
    assert {"exact", "exact_normalised", "label_accuracy", "document_loss", "reference_loglik", "chrf"} <= set(names)
    for name in names:
        metric = load(name)
        assert metric.name == name
        for other in metric.also:
            assert other in names
        if metric.reads == "answer":
            options = {"labels": ("a", "b")} if "labels" in metric.options else {}
            assert score(name, "a", "a", **options) > score(name, "", "a", **options)


def test_exact_and_normalised() -> None:
    assert score("exact", "Paris\n", "Paris") == 1
    assert score("exact", "paris", "Paris") == 0
    assert score("exact", None, "Paris") == 0
    assert score("exact_normalised", '"PARIS".', "Paris") == 1
    assert score("exact_normalised", "Lyon", "Paris") == 0


def test_labels_outside_the_set_are_wrong() -> None:
    assert score("label_accuracy", "It is B", "b", labels=("a", "b")) == 1
    assert score("label_accuracy", "c", "c", labels=("a", "b")) == 0


def test_nats_per_token() -> None:
    assert score("document_loss", None, "x") == 1.5
    assert score("reference_loglik", None, "x") == -1.5
    assert perplexity(math.log(7)) == pytest.approx(7)


def test_chrf_is_sacrebleus() -> None:
    assert score("chrf", "the cat sat", "the cat sat") == 100
    assert 20 < score("chrf", "the cat sits", "the cat sat") < 90
    assert score("chrf", "", "the cat") == 0
    assert score("chrf", "", "") == 100


def test_macro_f1_is_scikit_learns() -> None:
    expected = ["a", "a", "b", "c", "c", "c"]
    answers = ["a", "b", "b", "c", "nothing", "b"]
    metric = load("macro_f1", {"labels": ("a", "b", "c")})
    found = metric.aggregate([metric.score(Observation(g), example(e)) for g, e in zip(answers, expected, strict=True)])
    oracle = f1_score(expected, answers, labels=["a", "b", "c"], average="macro")
    assert found == pytest.approx(oracle)


def test_unknown_names_and_options_are_met_with_the_nearest() -> None:
    with pytest.raises(RecipeError, match="label_accuracy"):
        load("label_acuracy")
    with pytest.raises(RecipeError, match='"labels"'):
        load("label_accuracy", {"label": ("a",)})


GOOD = """
from burnish.types import ItemScore
class Length:
    name, unit, better, is_share, margin, reads = "length", "characters", "lower", False, 3, "answer"
    options = {"offset": 0}
    def score(self, observation, example, options):
        return len(observation.answer) + options["offset"]
metric = Length()
"""


def test_a_users_metric_by_path(tmp_path: Path) -> None:
    path = tmp_path / "metric.py"
    path.write_text(GOOD)
    metric = load_path(path, {"offset": 10})
    assert metric.score(Observation("abc"), example("x")).value == 13
    assert metric.sign == -1
    assert metric.source == str(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def (", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit"),
        ("import no_such_module_at_all", "'no_such_module_at_all', which is not installed; install it: "),
        ("x = 1", "no attribute `metric`"),
        ("metric = 3", "metric.name is missing"),
        (GOOD.replace('"lower"', '"smaller"').replace(", 3,", ", -3,"), "metric.better is 'smaller'"),
    ],
)
def test_a_bad_metric_file_is_one_clear_error(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "metric.py"
    path.write_text(text)
    with pytest.raises(RecipeError) as caught:
        load_path(path)
    assert words in str(caught.value)
    assert "metric.py" in str(caught.value)


def test_all_faults_of_a_metric_stand_in_one_error(tmp_path: Path) -> None:
    path = tmp_path / "metric.py"
    path.write_text(GOOD.replace('"lower"', '"smaller"').replace(", 3,", ", -3,"))
    with pytest.raises(RecipeError) as caught:
        load_path(path)
    assert "metric.better" in str(caught.value)
    assert "metric.margin" in str(caught.value)
    with pytest.raises(RecipeError, match="no such file"):
        load_path(tmp_path / "none.py")


@pytest.mark.parametrize(
    ("returned", "words"),
    [("1 / 0", "ZeroDivisionError"), ("float('nan')", "nan"), ("'good'", "str"), ("None", "NoneType")],
)
def test_a_metric_that_fails_names_the_item(tmp_path: Path, returned: str, words: str) -> None:
    path = tmp_path / "metric.py"
    path.write_text(GOOD.replace('len(observation.answer) + options["offset"]', returned))
    with pytest.raises(RecipeError) as caught:
        load_path(path).score(Observation("abc"), example("x", 7))
    assert words in str(caught.value)
    assert "f:7" in str(caught.value)


def test_a_share_scores_zero_or_one(tmp_path: Path) -> None:
    path = tmp_path / "metric.py"
    path.write_text(GOOD.replace("False, 3", "True, 0.05"))
    with pytest.raises(RecipeError, match="0 or 1"):
        load_path(path).score(Observation("abc"), example("x"))


def test_the_automatic_rule() -> None:
    assert automatic(["a", "B", "b "] * 10, "generate")[0] == "label_accuracy"
    assert automatic(["a", "b", "c"], "generate")[0] == "exact_normalised"
    assert automatic([f"label {i}" for i in range(101)] * 5, "generate")[0] == "exact_normalised"
    assert automatic(["word " * 12] * 19 + [f"long {i} " * 13 for i in range(1)], "text")[0] == "document_loss"
    long = [f"{i} " + "word " * 20 for i in range(20)]
    assert automatic(long, "generate")[0] == "reference_loglik"
    assert automatic([f"short {i}" for i in range(95)] + long[:5], "generate")[0] == "exact_normalised"
    assert automatic([f"short {i}" for i in range(94)] + long[:6], "generate")[0] == "reference_loglik"


def test_a_task_is_decided_from_training_examples() -> None:
    train = [example(label, i) for i, label in enumerate(["Refund", "refund ", "Refund", "card"] * 5)]
    task = decide(train, TaskSettings(), "generate", None)
    assert task.kind == "classify"
    assert task.labels == ("Refund", "card")
    assert [metric.name for metric in task.metrics] == ["label_accuracy", "macro_f1"]
    assert task.metrics[0].options["labels"] == ("Refund", "card")
    kept = decide(train, TaskSettings(kind="generate"), "generate", None)
    assert (kept.kind, kept.metrics[0].name) == ("generate", "exact_normalised")
    given = decide(train, TaskSettings(), "classify", ("refund", "card", "other"))
    assert given.labels == ("refund", "card", "other")
    free = decide(train, TaskSettings(metric="chrf"), "generate", None)
    assert (free.kind, free.labels) == ("generate", ())


def test_metrics_that_do_not_fit_the_data_are_refused() -> None:
    with pytest.raises(RecipeError, match="raw text has none"):
        decide([example("x")], TaskSettings(metric="exact"), "text", None)
    with pytest.raises(RecipeError, match="classify needs"):
        decide([example("x")], TaskSettings(kind="classify", metric="reference_loglik"), "classify", None)


def test_settings() -> None:
    assert ProofSettings().few_shot == (4, 8)
    assert ProofSettings.model_validate({"similar": [2]}).similar == (2,)
    choice = TaskSettings.model_validate({"metric": {"path": "metric.py", "options": {"a": 1}}}).metric
    assert isinstance(choice, MetricChoice)
    both: dict[str, object] = {"name": "exact", "path": "m.py"}
    faults: list[dict[str, object]] = [{"metric": {}}, {"metric": both}, {"max_answer_tokens": 0}, {"kin": "x"}]
    for wrong in faults:
        with pytest.raises(ValueError):
            TaskSettings.model_validate(wrong)
    with pytest.raises(ValueError):
        ProofSettings(few_shot=(0,))
    assert answer_limit([3, 7], "auto", 99) == 11
    assert answer_limit([3, 90], "auto", 99) == 49
    assert answer_limit([3, 7], 5, 99) == 5
    assert answer_limit([3, 7], 60, 99) == 60, "what is given is not lowered"
    with pytest.raises(RecipeError, match="120 leaves no room for a question in the model's context of 99 tokens"):
        answer_limit([3, 7], 120, 99)
