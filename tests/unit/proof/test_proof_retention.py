"""What was kept: the rule's cells, the numbers of each probe, the sentence."""

import json

import pytest

from burnish.proof.retention import Measure, Retention, decide, summarise_retention
from burnish.proof.statistics import tango
from burnish.proof.summary import Line
from burnish.proof.verdict import Context, Difference, Evidence, judge, slower_run


def line(probe: str, arm: str, number: int, score: float, **others: float | None) -> Line:
    return {
        "part": "retention",
        "arm": arm,
        "item": f"{probe}:{number}",
        "slice": probe,
        "scoring": "generation" if probe == "requests" else "likelihood",
        "score": score,
        "other_scores": others,
    }


def lines(
    knowledge: tuple[int, int] = (60, 60),
    requests: tuple[int, int] = (30, 30),
    spilled: tuple[int | None, int | None] = (0, 0),
) -> list[Line]:
    """Base and tuned; how many of 100 questions and of 40 requests each has right, and answers in the task's format."""
    found = []
    for arm, right, passed, spill in zip(("base", "tuned"), knowledge, requests, spilled, strict=True):
        found += [line("knowledge", arm, i, float(i < right), margin=0.5 if i < right else -1.0) for i in range(100)]
        found += [line("general_text", arm, i, 3.0 + (0.25 if arm == "tuned" else 0.0)) for i in range(20)]
        spills = [None if spill is None else float(i >= 40 - spill) for i in range(40)]
        found += [line("requests", arm, i, float(i < passed), spill_over=spills[i]) for i in range(40)]
    return found


def summed(*args: object, **more: object) -> Retention:
    found = summarise_retention(lines(*args, **more), slower_run("recipe.yaml", 0.001))  # type: ignore[arg-type]
    assert found is not None
    return found


def share(name: str, low: float, high: float) -> Measure:
    return Measure(name, "share", "higher", 0.5, 0.5 + (low + high) / 2, (low + high) / 2, low, high, 40)


@pytest.mark.parametrize(
    ("name", "low", "high", "word"),
    [
        ("knowledge", -0.09, 0.09, "kept"),
        ("knowledge", -0.09, -0.01, "kept"),  # a loss, but not of the margin
        ("knowledge", -0.10, 0.09, "not_shown"),  # an end at the margin decides nothing
        ("knowledge", -0.12, 0.0, "not_shown"),
        ("knowledge", -0.12, -0.01, "lost"),
        ("requests", -0.14, 0.10, "kept"),
        ("requests", -0.15, 0.10, "not_shown"),
        ("spill_over", -0.16, -0.01, "lost"),
    ],
)
def test_the_word_of_a_share(name: str, low: float, high: float, word: str) -> None:
    assert share(name, low, high).word == word


def test_the_word_of_the_whole() -> None:
    kept, lost, open_ = share("knowledge", -0.05, 0.05), share("requests", -0.4, -0.1), share("spill_over", -0.2, 0.1)
    assert decide([kept, kept]) == "kept"
    assert decide([kept, open_]) == "not_shown"
    assert decide([kept, open_, lost]) == "lost"


def test_unchanged_behaviour_is_kept() -> None:
    assert summed().kept == "kept"
    assert tango(3, 3, 40).low > -0.15  # three requests may change each way, seven questions
    assert tango(7, 7, 100).low > -0.10
    assert tango(1, 1, 40).low < -0.10  # why requests have a margin of their own


def test_numbers_are_those_counted_by_hand() -> None:
    probes = {probe.name: probe for probe in summed((60, 50), (30, 20), (0, 8)).probes}
    assert list(probes) == ["knowledge", "knowledge_margin", "general_text", "requests", "spill_over"]
    knowledge, margin, spill = probes["knowledge"], probes["knowledge_margin"], probes["spill_over"]
    assert (knowledge.base, knowledge.tuned, knowledge.count) == (0.6, 0.5, 100)
    assert knowledge.difference == pytest.approx(-0.1)
    expected = tango(0, 10, 100)
    assert (knowledge.low, knowledge.high) == (expected.low, expected.high)
    assert margin.base == pytest.approx(0.6 * 0.5 - 0.4)
    assert margin.difference == pytest.approx(-0.15)
    assert (spill.base, spill.tuned, spill.difference, spill.better) == (0, 0.2, -0.2, "lower")
    assert probes["general_text"].difference == pytest.approx(-0.25)  # a higher loss is worse
    assert probes["general_text"].unit == "nats per token"


def test_spill_over_alone_is_a_loss_and_is_named() -> None:
    found = summed(spilled=(0, 31))
    assert found.kept == "lost"
    assert found.clause == (
        "general answers were lost (31 of 40 general requests were answered in the task's own format)"
    )
    assert found.next_command == "burnish run recipe.yaml training.learning_rate=0.0002"
    assert "lower learning rate or fewer updates" in found.sentence
    assert found.spill_over == 31 / 40


def test_knowledge_alone_is_a_loss() -> None:
    found = summed((60, 40))
    assert found.kept == "lost"
    assert "40 of 100 knowledge questions right, base 60" in found.clause
    assert "Knowledge was lost: 40 of 100 questions right (base 60; -20.0 points" in found.sentence


def test_what_cannot_be_told_is_null_and_not_zero() -> None:
    found = summed(spilled=(None, None))
    assert found.spill_over is None
    assert "spill_over" not in {probe.name for probe in found.probes}
    assert "Spill-over cannot be told" in found.sentence
    assert found.kept == "kept"
    assert json.loads(json.dumps(found.to_json()))["spill_over"] is None


def test_nothing_measured_is_no_part() -> None:
    assert summarise_retention([], "burnish run RECIPE") is None
    one = [entry for entry in lines() if entry["arm"] == "tuned"]
    assert summarise_retention(one, "burnish run RECIPE") is None
    assert summarise_retention([e for e in lines() if e["slice"] != "requests"], "burnish run RECIPE") is None


def test_a_line_written_twice_counts_once() -> None:
    given = lines()
    assert summarise_retention(given + given[:50], "burnish run RECIPE") == summarise_retention(
        given, "burnish run RECIPE"
    )


@pytest.mark.parametrize(
    ("retention", "said"),
    [
        ({}, "; general answers were kept."),
        ({"spilled": (0, 31)}, "; general answers were lost (31 of 40 general requests"),
        ({"requests": (30, 28)}, "; general answers were not shown to be kept."),
    ],
)
@pytest.mark.parametrize("ends", [(0.1, 0.3), (-0.3, -0.1), (-0.1, 0.2)])
def test_the_verdict_has_a_clause_and_keeps_its_kind(
    retention: dict[str, tuple[int, int]], said: str, ends: tuple[float, float]
) -> None:
    evidence = Evidence((Difference("base", sum(ends) / 2, *ends, ends[1]),), "base", 0.05)
    fields = {"metric": "exact", "unit": "share", "is_share": True, "items": 60, "learning_rate": 0.001}
    without = judge(evidence, Context(**fields))  # type: ignore[arg-type]
    kept = summed(**retention)
    found = judge(evidence, Context(**fields, kept=kept.clause, lose_less=kept.next_command))  # type: ignore[arg-type]
    assert found.kind == without.kind
    assert said in found.sentence
    if found.kind == "fine_tune":
        lower = "training.learning_rate" in found.next_command
        assert lower == ("spilled" in retention)
    else:
        assert found.next_command == without.next_command
