"""Every cell of the verdict, its words, and the rate of false claims."""

import itertools
from functools import cache

import numpy as np
import pytest

from burnish.proof.statistics import tango
from burnish.proof.verdict import Context, Difference, Evidence, decide, judge, more_items, reachable

SIGNS = {"below": (-0.2, -0.1), "across": (-0.1, 0.1), "above": (0.1, 0.2)}


def difference(arm: str, low: float, high: float, high_90: float | None = None) -> Difference:
    return Difference(arm, (low + high) / 2, low, high, high - 0.02 if high_90 is None else high_90)


def context(**changes: object) -> Context:
    fields: dict[str, object] = {"metric": "exact", "unit": "share", "is_share": True, "items": 60}
    return Context(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("base", "few", "similar", "under_margin"), list(itertools.product(SIGNS, SIGNS, SIGNS, (False, True)))
)
def test_every_cell(base: str, few: str, similar: str, under_margin: bool) -> None:
    """The order of the rules, written out again: harm, then every arm beaten, then the 90 % end, else open."""
    arms = {"base": base, "few_shot_4": few, "similar_4": similar}
    differences = tuple(
        difference(arm, *SIGNS[place], 0.01 if under_margin and arm == "similar_4" else 0.15)
        for arm, place in arms.items()
    )
    evidence = Evidence(differences, "similar_4", 0.05)
    expected = "inconclusive"
    if base == "below":
        expected = "harmful"
    elif {base, few, similar} == {"above"}:
        expected = "fine_tune"
    elif under_margin:
        expected = "prompt"
    assert decide(evidence) == expected
    verdict = judge(evidence, context())
    assert verdict.kind == expected
    assert "one training seed" in verdict.sentence
    assert "60 held-out items" in verdict.sentence
    assert verdict.next_command.startswith("collect about " if expected == "inconclusive" else "burnish ")


def test_edges_decide_nothing() -> None:
    """An interval that ends exactly at 0 or at the margin is not beyond it."""
    assert decide(Evidence((difference("base", -0.2, 0.0, 0.06),), "base", 0.05)) == "inconclusive"
    assert decide(Evidence((difference("base", 0.0, 0.2, 0.06),), "base", 0.05)) == "inconclusive"
    assert decide(Evidence((difference("base", -0.1, 0.06, 0.05),), "base", 0.05)) == "inconclusive"


def test_the_best_prompt_alone_decides_that_prompting_is_enough() -> None:
    arms = (difference("base", -0.3, -0.0, 0.01), difference("few_shot_4", -0.1, 0.2, 0.2))
    assert decide(Evidence(arms, "few_shot_4", 0.05)) == "inconclusive"
    assert decide(Evidence(arms, "base", 0.05)) == "prompt"


def test_what_rules_a_gain_out_is_the_one_sided_end() -> None:
    """The 95 % interval may reach past the margin beside a true claim, so the end that the claim rests on is shown."""
    arms = (difference("base", 0.1, 0.3), difference("similar_1", -0.085, 0.051, 0.04))
    close = Evidence(arms, "similar_1", 0.05)
    sentence = judge(close, context()).sentence
    assert "a gain of 5.0 points or more by fine-tuning is ruled out at 95 %, one-sided" in sentence
    assert "95 % interval -8.5 to +5.1; the 90 % one ends at +4.0)" in sentence


def test_next_commands() -> None:
    won = Evidence((difference("base", 0.3, 0.5), difference("similar_4", 0.1, 0.2)), "similar_4", 0.05)
    assert judge(won, context(directory="runs/a", program=".venv/bin/burnish")).next_command == (
        ".venv/bin/burnish chat runs/a"
    )
    prompt = Evidence((difference("base", 0.3, 0.5), difference("similar_4", -0.1, 0.04, 0.03)), "similar_4", 0.05)
    assert judge(prompt, context()).next_command == "burnish chat DIR --arm best_prompt"
    harm = Evidence((difference("base", -0.3, -0.1),), "base", 0.05)
    assert judge(harm, context(learning_rate=1e-3)).next_command == "burnish run RECIPE training.learning_rate=0.0002"
    open_ = Evidence((difference("base", -0.02, 0.2, 0.18),), "base", 0.05)
    wanted = more_items(open_, context(discordant_share=0.15))
    command = judge(open_, context(discordant_share=0.15, records=2 * wanted)).next_command
    assert command == f"burnish run RECIPE data.held_out={wanted}"
    for too_few in (2 * wanted - 1, None):  # None: the held-out items are a file of their own
        said = judge(open_, context(discordant_share=0.15, records=too_few)).next_command
        assert said.startswith(f"collect about {wanted} held-out items")


def test_raw_text_cannot_be_talked_to() -> None:
    won = Evidence((difference("base", 0.3, 0.5),), "base", 0.05)
    assert judge(won, context(prompt_arms=False)).next_command == "burnish export DIR --to merged"


def test_more_items_than_were_not_enough() -> None:
    open_ = Evidence((difference("base", -0.02, 0.2, 0.18),), "base", 0.05)
    assert more_items(open_, context(discordant_share=0.15)) >= 90
    wide = Evidence((Difference("base", 0.1, -0.1, 0.3, 0.28),), "base", 0.05)
    assert more_items(wide, context(is_share=False, unit="nats per token")) == 240  # half-width 0.2 to 0.1: four times


def test_words_where_nothing_may_be_called_better() -> None:
    won = Evidence((difference("base", 0.3, 0.5),), "base", 0.05)
    sentence = judge(won, context(is_share=False, unit="nats per token", closer=True)).sentence
    assert "closer to your answers" in sentence
    assert "better than" not in sentence
    text = judge(won, context(is_share=False, unit="nats per token", prompt_arms=False)).sentence
    assert "no prompt arm" in text


def test_an_unbeaten_rival_is_named() -> None:
    won = Evidence((difference("base", 0.3, 0.5),), "base", 0.05)
    assert "simple rival" in judge(won, context(simple=difference("simple", -0.1, 0.1))).sentence
    assert "simple rival" not in judge(won, context(simple=difference("simple", 0.1, 0.3))).sentence


def test_the_plan_says_what_is_within_reach() -> None:
    small, large = reachable(60), reachable(250)
    assert small.gain == pytest.approx(0.13, abs=0.015)
    assert "prompt" not in small.kinds
    assert "248" in small.sentence
    assert "prompt" in large.kinds
    assert reachable(2).kinds == ("inconclusive",)


cached_tango = cache(tango)


def _false_claims(arms: int, n: int, share: float, flips: float, trials: int) -> float:
    """Rate of `fine_tune` where all arms are equally good: each item's arms agree but for independent flips."""
    generator = np.random.default_rng(arms * 1000 + n)
    claims = 0
    for _ in range(trials):
        common = generator.random(n + 40) < share
        redrawn = generator.random((arms + 1, n + 40)) < share
        answers = np.where(generator.random((arms + 1, n + 40)) < flips, redrawn, common)
        tuned, prompts = answers[0], answers[1:]
        best = int(np.argmax(prompts[:, n:].mean(axis=1)))  # chosen on 40 validation items
        differences = []
        for i, arm in enumerate(prompts):
            b, c = int((tuned[:n] & ~arm[:n]).sum()), int((~tuned[:n] & arm[:n]).sum())
            wide, narrow = cached_tango(b, c, n), cached_tango(b, c, n, 0.9)
            differences.append(Difference(f"{i}" if i else "base", wide.value, wide.low, wide.high, narrow.high))
        names = [d.arm for d in differences]
        claims += decide(Evidence(tuple(differences), names[best], 0.05)) == "fine_tune"
    return claims / trials


@pytest.mark.parametrize(("n", "share", "flips"), [(60, 0.5, 0.3), (60, 0.9, 0.6), (200, 0.7, 0.2)])
def test_false_fine_tune_with_three_equal_prompt_arms(n: int, share: float, flips: float) -> None:
    assert _false_claims(3, n, share, flips, 1500) <= 0.025


@pytest.mark.slow
def test_false_fine_tune_with_one_prompt_arm_is_near_its_nominal_rate() -> None:
    """With a single rival nothing but the interval's own 2.5 % protects; discreteness takes it to 2.8 % at most."""
    worst = max(_false_claims(1, n, 0.5, flips, 6000) for n, flips in ((40, 1.0), (80, 0.6), (200, 0.24)))
    assert worst <= 0.034
