"""What a comparison says of many methods, and which one it names next."""

from pathlib import Path

import pytest

from burnish.report.comparison import Comparison, MethodRow, PairRow, ahead_of, next_of, said_of
from burnish.report.schema import CostPart, MetricPart, ScoreRow

BYTES = {"full": 900, "lora": 90, "prefix": 20, "prompt": 5}


def method(name: str) -> MethodRow:
    fields = {"arm": "tuned", "metric": "exact", "slice": "all", "scoring": "generation"}
    score = ScoreRow.model_validate({**fields, "value": 0.5, "low": 0.4, "high": 0.6, "count": 100})
    cost = CostPart(
        trainable_parameters=1,
        total_parameters=2,
        train_seconds=1.0,
        stage_seconds={},
        trained_tokens=1,
        tokens_per_second=None,
        peak_memory_bytes=1,
        artifact_bytes=BYTES[name],
        prompt_tokens_per_request={},
    )
    return MethodRow(name=name, verdict="fine_tune", score=score, kept=None, cost=cost)


def pair(a: str, b: str, shown: str) -> PairRow:
    low, high = {"a": (0.1, 0.3), "b": (-0.3, -0.1), "none": (-0.1, 0.1)}[shown]
    fields = {"a": a, "b": b, "value": (low + high) / 2, "low": low, "high": high, "p_value": None, "count": 100}
    return PairRow.model_validate({**fields, "shown": shown})


def comparison(*pairs: PairRow) -> Comparison:
    names = list(dict.fromkeys(name for p in pairs for name in (p.a, p.b)))
    methods = tuple(method(name) for name in names)
    metric = MetricPart(name="exact", unit="share", better="higher")
    return Comparison(
        schema=1,
        metric=metric,
        part="held_out",
        best_prompt=methods[0].score,
        methods=methods,
        pairs=pairs,
        sentence="",
    )


UNDECIDED = ("inconclusive", "prompt")
ALL = comparison(
    pair("full", "lora", "none"),
    pair("full", "prefix", "a"),
    pair("full", "prompt", "a"),
    pair("lora", "prefix", "a"),
    pair("lora", "prompt", "a"),
    pair("prompt", "prefix", "b"),
)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (comparison(pair("full", "lora", "none")), "No method is shown to be better than another"),
        (comparison(pair("full", "lora", "b")), "lora is better than every other method"),
        (
            comparison(pair("full", "lora", "none"), pair("full", "prefix", "a"), pair("lora", "prefix", "none")),
            "full is better than prefix",
        ),
        (
            ALL,
            "Nothing is shown to beat full and lora; each of the others (prefix and prompt) is beaten by at least one "
            "method",
        ),
    ],
)
def test_what_is_said_is_what_the_intervals_show(found: Comparison, said: str) -> None:
    assert said_of(found.methods, found.pairs) == said


def test_the_smallest_file_is_named_only_among_methods_that_nothing_beats() -> None:
    assert ahead_of(ALL.methods, ALL.pairs) is None
    step, why = next_of(ALL, Path("runs/x"), "burnish")
    assert step == "burnish chat runs/x/lora"
    assert "smallest file" in why
    assert next_of(comparison(pair("full", "prompt", "a")), Path("d"), "burnish") == ("burnish chat d/full", "")


def test_where_no_method_beats_the_prompts_the_best_prompt_is_named() -> None:
    methods = tuple(m.model_copy(update={"verdict": kind}) for m, kind in zip(ALL.methods, 2 * UNDECIDED, strict=True))
    prompt = ALL.best_prompt.model_copy(update={"arm": "similar_2"})
    found = ALL.model_copy(update={"methods": methods, "best_prompt": prompt})
    step, why = next_of(found, Path("d"), "burnish")
    assert step == "burnish chat d/full --arm best_prompt"
    assert "similar_2" in why
    for other in ({"part": "validation"}, {"best_prompt": prompt.model_copy(update={"arm": "base"})}):
        assert next_of(found.model_copy(update=other), Path("d"), "burnish")[0] == "burnish chat d/lora"


def test_methods_that_beat_each_other_in_a_ring_are_told_pair_by_pair() -> None:
    names = ("full", "lora", "prefix")
    ring = [pair(a, b, "a") for a, b in zip(names, (*names[1:], names[0]), strict=True)]
    found = comparison(*ring, pair("prompt", "full", "a"), pair("lora", "prompt", "a"))
    assert said_of(found.methods, found.pairs).count("is better than") == 5
    assert next_of(found, Path("d"), "burnish")[0] == "burnish chat d/prompt"
