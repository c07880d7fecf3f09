"""`burnish samples`: what an arm was asked and answered, against a run directory written by hand."""

from pathlib import Path

import pytest

from burnish.errors import RunError
from burnish.report.samples import show_samples


def test_every_item_with_its_exact_prompt(run_directory: Path) -> None:
    lines = list(show_samples(run_directory, "similar_4"))
    assert lines[0].startswith("similar_4, held_out: 20 items, scored by program_equal")
    assert sum(line.startswith("--- item") for line in lines) == 20
    at = lines.index("[prompt]")
    assert lines[at + 1] == "ask 0"
    assert lines[at + 2 : at + 6] == ["[answer]", "a", "[expected]", "a"]


def test_wrong_answers_alone(run_directory: Path) -> None:
    lines = list(show_samples(run_directory, "tuned", wrong=True))
    assert "3 of 20 items" in lines[0]
    assert [line.split(" · ")[0] for line in lines if line.startswith("---")] == [
        f"--- item held_out.jsonl:{i + 1}" for i in (17, 18, 19)
    ]


def test_best_prompt_is_looked_up(run_directory: Path) -> None:
    assert list(show_samples(run_directory, "best_prompt")) == list(show_samples(run_directory, "similar_4"))


def test_without_right_and_wrong_the_worst_come_first(text_run: Path) -> None:
    lines = list(show_samples(text_run, "tuned", wrong=True))
    scores = [float(line.split("document_loss ")[1].split(" ")[0]) for line in lines if line.startswith("---")]
    assert len(scores) == 20
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    ("arm", "part", "said"),
    [
        ("tunde", None, r'"tunde" has no held_out items .* it has base, few_shot_4, .* Did you mean "tuned"'),
        ("tuned", "validation", r'"tuned" has no validation items .* it has base'),
        ("tuned", "train", r'--part: "train" is unknown; known are held_out, validation, retention'),
    ],
)
def test_wrong_names_are_explained(run_directory: Path, arm: str, part: str | None, said: str) -> None:
    with pytest.raises(RunError, match=said):
        list(show_samples(run_directory, arm, part=part))


def test_general_questions_and_requests(run_directory: Path) -> None:
    lines = list(show_samples(run_directory, "tuned", part="retention"))
    assert lines[0].startswith("tuned, retention: 120 items, scored by right")
    assert any("item general_text:1 · slice general_text · nats per token 3" in line for line in lines)
    wrong = [line for line in show_samples(run_directory, "tuned", wrong=True, part="retention") if "--- item" in line]
    assert len(wrong) == 15 + 11  # of the questions, and of the requests
    assert "--- item requests:1 · slice requests · right 0 · spill_over 1 · read by generation" in wrong[15]
