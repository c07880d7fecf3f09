"""From arms and items to samples, from samples to the choice and the report; the model is a fake."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from burnish.errors import RunError
from burnish.generation.decode import Generated
from burnish.proof.arm import Arm, ArmContext, Rival, build
from burnish.proof.measure import Setup, calibrate, calibration_inputs, chunks, measure
from burnish.proof.metric import LoadedMetric, load
from burnish.proof.prompting import Choice, candidates, choose, scorings_of, validation_items
from burnish.proof.settings import ProofSettings
from burnish.proof.statistics import tango, wilson
from burnish.proof.summary import Line, Question, summarise
from burnish.proof.verdict import decide
from burnish.types import Example, Message, Scoring, TokenizedExample

LABELS = ("red", "green")


class Letters:
    """A renderer whose tokens are letters; "\\n" between turns and "|" before the answer."""

    end_of_turn = 0

    def prompt_text(self, messages: Sequence[Message]) -> str:
        return "\n".join(message.content for message in messages) + "|"

    def prompt(self, messages: Sequence[Message]) -> tuple[int, ...]:
        return tuple(map(ord, self.prompt_text(messages)))

    def answer(self, messages: Sequence[Message], text: str) -> tuple[int, ...]:
        return tuple(map(ord, text))

    def windows(self, example: Example, length: int) -> list[TokenizedExample]:
        ids = tuple(map(ord, example.messages[0].content))
        pieces = [ids[i : i + length] for i in range(0, len(ids), length)]
        return [TokenizedExample(example.id, p, (False,) + (True,) * (len(p) - 1)) for p in pieces]


@dataclass
class Fake:
    """Answers with the last word of the prompt; likes "red" by `bias` nats a letter; half a nat a target."""

    bias: float = 0.0
    seen: list[list[str]] = field(default_factory=list)

    def generate(self, prompts: Sequence[Sequence[int]]) -> list[Generated]:
        texts = ["".join(map(chr, prompt)) for prompt in prompts]
        self.seen.append(texts)
        return [Generated(tuple(map(ord, text[:-1].split()[-1])), "end") for text in texts]

    def continuations(
        self, prompts: Sequence[Sequence[int]], continuations: Sequence[Sequence[Sequence[int]]]
    ) -> list[list[float]]:
        found = []
        for prompt, row in zip(prompts, continuations, strict=True):
            last = "".join(map(chr, prompt))[:-1].split()[-1]
            words = ["".join(map(chr, tokens)) for tokens in row]
            found.append([len(w) * ((self.bias if w == "red" else 0.0) - (0.0 if w == last else 1.0)) for w in words])
        return found

    def both(
        self, prompts: Sequence[Sequence[int]], continuations: Sequence[Sequence[Sequence[int]]]
    ) -> tuple[list[Generated], list[list[float]]]:
        return self.generate(prompts), self.continuations(prompts, continuations)

    def reference(self, documents: Sequence[TokenizedExample]) -> list[tuple[float, int]]:
        return [(0.5 * document.targets, document.targets) for document in documents]


def item(number: int, text: str, answer: str, slice_: str | None = None) -> Example:
    return Example(f"h:{number}", (Message("user", text), Message("assistant", answer, True)), slice=slice_)


def asked(name: str, train: Sequence[Example] = ()) -> Arm | Rival:
    return build(name, ArmContext(tuple(train), "classify"))


ITEMS = [item(i, f"is it {LABELS[i % 2]}", LABELS[i % 2]) for i in range(10)]
TRAIN = [replace(item(i, f"is it {LABELS[i % 2]}", LABELS[i % 2]), id=f"t:{i}") for i in range(20)]


def setup(*metrics: str, **more: object) -> Setup:
    loaded = [load(name, {"labels": LABELS} if name in ("label_accuracy", "macro_f1") else {}) for name in metrics]
    fields: dict[str, object] = {"kind": "classify", "labels": LABELS, "calibration": calibration_inputs(TRAIN, 0)}
    decode = lambda ids: "".join(map(chr, ids))  # noqa: E731
    return Setup(Letters(), decode, tuple(loaded), **{**fields, **more})  # type: ignore[arg-type]


def lines_of(
    arm: Arm | Rival, made: Setup, engine: Fake | None, *, scorings: Sequence[Scoring] = ("generation",)
) -> list[Line]:
    found = measure(arm, ITEMS, part="held_out", engine=engine, setup=made, scorings=scorings)
    return [line for chunk in found for line in chunk]


def test_a_line_has_the_keys_of_samples_jsonl() -> None:
    [first, *_] = lines = lines_of(asked("base"), setup("label_accuracy", "exact"), Fake())
    keys = "part arm item slice group seed asked prompt answer expected score other_scores scoring label_scores "
    assert " ".join(first) == keys + "prompt_tokens answer_tokens stopped_by"
    assert (first["asked"], first["prompt"]) == ("is it red", "is it red|")
    assert (first["answer"], first["expected"], first["score"]) == ("red", "red", 1.0)
    assert first["other_scores"] == {"exact": 1.0}
    assert (first["prompt_tokens"], first["answer_tokens"], first["stopped_by"]) == (10, 3, "end")
    assert [line["item"] for line in lines] == [example.id for example in ITEMS]
    json.dumps(lines, allow_nan=False)


def test_chunks_are_the_same_for_every_arm_and_keep_every_item_in_order() -> None:
    made = setup("label_accuracy", chunk_items=4)
    sizes = [len(chunk) for chunk in chunks(ITEMS, made)]
    assert sizes == [4, 4, 2]
    for name in ("base", "few_shot_4"):
        engine = Fake()
        lines_of(asked(name, TRAIN), made, engine)
        assert [len(texts) for texts in engine.seen] == sizes
    wide = [*ITEMS[:3], item(50, "x" * 60, "red"), *ITEMS[3:]]
    narrow = chunks(wide, setup("label_accuracy", chunk_tokens=100))
    assert [e for chunk in narrow for e in chunk] == wide
    assert all(len(c) == 1 or len(c) * max(len(e.messages[0].content) + 1 for e in c) <= 100 for c in narrow)


def test_measured_chunks_are_passed_over() -> None:
    made = setup("label_accuracy", chunk_items=4)
    done = {example.id for example in ITEMS[:6]}  # a whole chunk, and half of the next, which is measured again whole
    found = list(measure(asked("base"), ITEMS, part="held_out", engine=Fake(), setup=made, done=done))
    assert [[line["item"] for line in chunk] for chunk in found] == [[f"h:{i}" for i in range(4, 8)], ["h:8", "h:9"]]


def test_a_label_that_the_model_always_likes_is_seen_through_by_calibration() -> None:
    engine, made = Fake(bias=5.0), setup("label_accuracy", "macro_f1")
    lines = lines_of(asked("base"), made, engine, scorings=("generation", "likelihood", "calibrated"))
    right = {s: sum(float(str(x["score"])) for x in lines if x["scoring"] == s) for s in scorings_of("classify")}
    assert right == {"generation": 10, "likelihood": 5, "calibrated": 10}
    plain = next(line for line in lines if line["scoring"] == "likelihood")
    assert plain["label_scores"] == {"red": 5.0, "green": -1.0}  # per token
    assert plain["stopped_by"] is None
    assert plain["details"] == {"macro_f1": {"expected": "red", "given": "red"}}


def test_calibration_uses_training_inputs_but_not_the_examples_shown() -> None:
    made = setup("label_accuracy")
    arm = asked("few_shot_4", TRAIN)
    assert not isinstance(arm, Rival)
    kept = [example for example in made.calibration if example.id not in arm.shown]
    red = sum(example.answer == "red" for example in kept) / len(kept)
    assert calibrate(arm, Fake(), made)["red"] == pytest.approx(red - 1)
    assert calibrate(arm, Fake(), made)["green"] == pytest.approx(-red)
    nonsense = replace(made, calibration=tuple(item(i, "is it red", "?") for i in range(3)), label_tokens={})
    assert calibrate(arm, Fake(), nonsense) == {"red": 0.0, "green": -1.0}  # answers play no part


def test_an_arm_is_calibrated_once_for_validation_and_held_out_items() -> None:
    asked_for: list[int] = []

    class Counting(Fake):
        def continuations(
            self, prompts: Sequence[Sequence[int]], continuations: Sequence[Sequence[Sequence[int]]]
        ) -> list[list[float]]:
            asked_for.append(len(prompts))
            return super().continuations(prompts, continuations)

    made, engine = setup("label_accuracy"), Counting(bias=2.0)
    first = lines_of(asked("base"), made, engine, scorings=("calibrated",))
    assert sorted(asked_for) == [len(ITEMS), len(made.calibration)]
    assert lines_of(asked("base"), made, engine, scorings=("calibrated",)) == first
    assert sorted(asked_for) == [len(ITEMS), len(ITEMS), len(made.calibration)]


def test_calibration_inputs_are_seeded_and_in_order() -> None:
    many = [item(i, f"text {i}", "red") for i in range(200)]
    found = calibration_inputs(many, 3)
    assert len(found) == 64
    assert found == calibration_inputs(many, 3) != calibration_inputs(many, 4)
    assert [e.id for e in found] == [e.id for e in many if e in found]


def test_an_arm_without_a_model() -> None:
    lines = lines_of(asked("simple", TRAIN), setup("label_accuracy"), None)
    assert {line["scoring"] for line in lines} == {None}
    assert all(line["prompt"] == "" and line["score"] == 1.0 for line in lines)


def test_the_reference_is_measured_after_the_arms_own_prompt_with_its_end_of_turn() -> None:
    made = setup("reference_loglik", "chrf", kind="generate")
    [first, *_] = lines_of(asked("base"), made, Fake())
    assert first["score"] == -0.5
    assert first["reference_tokens"] == len("red") + 1
    assert first["scoring"] == "likelihood"
    assert first["other_scores"] == {"chrf": 100.0}


def test_raw_text_is_measured_over_all_its_windows() -> None:
    document = Example("d:1", (Message("text", "a" * 25, True),))
    made = setup("document_loss", kind="text", length=10)
    [[line]] = measure(asked("base"), [document], part="held_out", engine=Fake(), setup=made)
    assert (line["score"], line["answer"], line["scoring"]) == (0.5, None, "likelihood")
    assert line["reference_tokens"] == 9 + 9 + 4


def test_fences_are_stripped_from_scores_and_kept_in_samples() -> None:
    class Fenced(Fake):
        def generate(self, prompts: Sequence[Sequence[int]]) -> list[Generated]:
            return [Generated(tuple(map(ord, "```\nred\n```")), "end") for _ in prompts]

    [first, *_] = lines_of(asked("base"), setup("exact", kind="generate"), Fenced())
    assert (first["answer"], first["score"]) == ("```\nred\n```", 1.0)


def test_candidates() -> None:
    names = "base few_shot_4 few_shot_8 similar_1 similar_4 similar_8"
    assert candidates(ProofSettings(), "generate", 100) == names.split()
    assert candidates(ProofSettings(), "generate", 5) == ["base", "few_shot_4", "similar_1", "similar_4"]
    assert candidates(ProofSettings(), "text", 100) == ["base"]
    assert len(validation_items(ITEMS * 9, 0)) == 40
    assert validation_items(ITEMS, 0) == tuple(ITEMS)


def line(
    arm: str, number: int, score: float, scoring: Scoring | None = "generation", tokens: int = 10, **more: object
) -> Line:
    fields: Line = {"part": "validation", "arm": arm, "item": f"v:{number}", "slice": None, "group": None}
    rest = {"score": score, "other_scores": {}, "scoring": scoring, "prompt_tokens": tokens}
    return {**fields, **rest, **more}


def rows(arm: str, scores: Sequence[float], **more: object) -> list[Line]:
    return [line(arm, number, score, **more) for number, score in enumerate(scores)]  # type: ignore[arg-type]


METRIC = load("exact")


def test_the_best_number_of_examples_and_the_best_prompt_are_chosen_on_validation() -> None:
    lines = [
        *rows("base", [0, 0, 0, 1]),
        *rows("few_shot_4", [1, 0, 0, 1], tokens=40),
        *rows("few_shot_8", [1, 0, 0, 1], tokens=80),
        *rows("similar_4", [1, 1, 0, 1], tokens=40),
        *rows("similar_8", [1, 0, 0, 0], tokens=80),
        *rows("simple", [1, 1, 1, 1], scoring=None, tokens=0),
        *rows("base", [1, 1, 1, 1], part="held_out"),  # held-out lines play no part
    ]
    found = choose(lines, METRIC)
    assert found.arms == ("base", "few_shot_4", "similar_4")
    assert found.best_prompt == "similar_4"
    assert Choice.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_ties_go_to_fewer_prompt_tokens_and_to_generation() -> None:
    lines = [
        *rows("base", [1, 0], scoring="calibrated"),
        *rows("base", [0, 1], scoring="likelihood"),
        *rows("base", [0, 1], scoring="generation"),
        *rows("similar_1", [1, 0], scoring="calibrated", tokens=30),
        *rows("similar_1", [0, 1], scoring="likelihood", tokens=30),
        *rows("similar_1", [0, 0], scoring="generation", tokens=30),
    ]
    found = choose(lines, METRIC)
    assert found.best_prompt == "base"
    assert found.scoring == {"base": "generation", "similar_1": "likelihood"}


def test_lower_is_better_for_a_loss() -> None:
    lines = [*rows("base", [2.0, 2.0]), *rows("few_shot_4", [1.0, 1.5], tokens=40)]
    assert choose(lines, load("document_loss")).best_prompt == "few_shot_4"


def held(arm: str, scores: Sequence[float], **more: object) -> list[Line]:
    slices = ["seen" if number % 2 else "unseen" for number in range(len(scores))]
    found = rows(arm, scores, part="held_out", **more)
    return [row | {"slice": name} for row, name in zip(found, slices, strict=True)]


def question(metric: LoadedMetric = METRIC, **more: object) -> Question:
    return Question("generate", (metric,), "few_shot_4", **more)  # type: ignore[arg-type]


BASE, SHOT, TUNED = [0.0] * 30 + [1.0] * 10, [0.0] * 20 + [1.0] * 20, [1.0] * 38 + [0.0] * 2


def test_the_task_part_of_a_report() -> None:
    found = summarise([*held("tuned", TUNED), *held("base", BASE), *held("few_shot_4", SHOT)], question())
    task = found.task
    assert (task["items"], task["best_prompt"]) == (40, "few_shot_4")
    scores = task["scores"]
    assert isinstance(scores, list)
    assert {(row["arm"], row["slice"]) for row in scores} == {
        (arm, name) for arm in ("tuned", "base", "few_shot_4") for name in ("all", "seen", "unseen")
    }
    [tuned] = [row for row in scores if (row["arm"], row["slice"]) == ("tuned", "all")]
    assert (tuned["low"], tuned["high"]) == (wilson(38, 40).low, wilson(38, 40).high)
    differences = task["differences"]
    assert isinstance(differences, list)
    first = differences[0]
    expected = tango(20, 2, 40)
    assert (first["a"], first["b"], first["slice"], first["count"]) == ("tuned", "few_shot_4", "all", 40)
    assert (first["value"], first["low"], first["high"]) == (expected.value, expected.low, expected.high)
    assert 0 < first["p_value"] < 0.001
    assert found.discordant_share == 22 / 40
    assert [d.arm for d in found.evidence.differences] == ["few_shot_4", "base"]
    assert decide(found.evidence) == "fine_tune"
    json.dumps(task, allow_nan=False)


def test_a_summary_does_not_depend_on_the_order_of_lines_and_takes_the_last_of_a_repeated_one() -> None:
    lines = [*held("tuned", TUNED), *held("base", BASE), *held("few_shot_4", SHOT)]
    again = [*held("tuned", [0.0] * 40), *lines]
    assert summarise(again, question()).evidence == summarise(lines, question()).evidence
    turned = summarise(lines[::-1], question())
    assert set(turned.evidence.differences) == set(summarise(lines, question()).evidence.differences)


def test_only_the_chosen_scoring_counts() -> None:
    lines = [*held("tuned", TUNED), *held("base", BASE), *held("few_shot_4", SHOT)]
    other = held("tuned", [0.0] * 40, scoring="likelihood")
    chosen: dict[str, Scoring] = {"tuned": "generation"}
    assert summarise([*lines, *other], question(scoring=chosen)).evidence == summarise(lines, question()).evidence


def test_arms_on_different_items_are_refused() -> None:
    lines = [*held("tuned", TUNED), *held("base", BASE), *held("few_shot_4", SHOT[:-1])]
    with pytest.raises(RunError, match=r"few_shot_4 \(39\)"):
        summarise(lines, question())
    with pytest.raises(RunError, match="base"):
        summarise([*held("tuned", TUNED), *held("few_shot_4", SHOT)], question())


def test_a_loss_is_compared_by_bootstrap_with_the_sign_of_better() -> None:
    metric = load("document_loss")
    noise = [0.01 * ((7 * i) % 11) for i in range(40)]
    base = [2.0 + x for x in noise]
    tuned = [1.5 + x + 0.05 * (i % 3) for i, x in enumerate(noise)]
    lines = [*held("tuned", tuned), *held("base", base)]
    found = summarise(lines, Question("text", (metric,), "base"))
    [difference] = found.evidence.differences
    assert 0.4 < difference.low < difference.value < difference.high < 0.5
    assert difference.value == pytest.approx(sum(b - t for b, t in zip(base, tuned, strict=True)) / 40)
    rows_ = found.task["differences"]
    assert isinstance(rows_, list)
    assert rows_[0]["p_value"] is None


def test_a_corpus_metric_is_recomputed_in_each_resample() -> None:
    metric = load("macro_f1", {"labels": LABELS})

    def given(arm: str, wrong: int) -> list[Line]:
        found = []
        for i in range(30):
            expected = LABELS[i % 2]
            answer = LABELS[1 - i % 2] if i < wrong else expected
            detail = {"macro_f1": {"expected": expected, "given": answer}}
            found.append(line(arm, i, float(answer == expected), part="held_out", details=detail))
        return found

    found = summarise([*given("tuned", 2), *given("base", 14)], Question("classify", (metric,), "base"))
    [difference] = found.evidence.differences
    assert difference.value == pytest.approx(12 / 30, abs=0.01)
    assert 0.15 < difference.low < difference.high < 0.65


def test_items_of_a_group_widen_the_interval() -> None:
    def grouped(arm: str, scores: Sequence[float]) -> list[Line]:
        return [row | {"group": f"g{i // 4}"} for i, row in enumerate(held(arm, scores))]

    tuned, base = [1.0] * 24 + [0.0] * 24, [0.0] * 12 + [0.0, 1.0] * 18
    apart = summarise([*held("tuned", tuned), *held("base", base)], Question("generate", (METRIC,), "base"))
    together = summarise([*grouped("tuned", tuned), *grouped("base", base)], Question("generate", (METRIC,), "base"))
    [a], [b] = apart.evidence.differences, together.evidence.differences
    assert b.high - b.low > 1.2 * (a.high - a.low)


def test_the_simple_rival_is_shown_but_is_no_prompt() -> None:
    lines = [
        *held("tuned", TUNED),
        *held("base", BASE),
        *held("few_shot_4", SHOT),
        *held("simple", TUNED, scoring=None),
    ]
    found = summarise(lines, question())
    assert found.simple is not None
    assert found.simple.value == 0
    assert "simple" not in [d.arm for d in found.evidence.differences]


def test_a_tie_between_kinds_goes_to_the_shorter_prompt_not_to_the_first_name() -> None:
    lines = [*rows("base", [0, 0]), *rows("few_shot_4", [1, 0], tokens=40), *rows("similar_1", [0, 1], tokens=20)]
    assert choose(lines, METRIC).best_prompt == "similar_1"
