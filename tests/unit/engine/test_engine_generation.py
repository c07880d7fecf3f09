"""Where answers end, and generation of models that decode by themselves."""

import random
from dataclasses import replace

import pytest
import torch
from transformers import PreTrainedModel

from burnish.generation import cache, choose, decode
from burnish.generation.choose import continuation_scores, reference_nats
from burnish.generation.decode import Generated, generate
from burnish.models import attention
from burnish.models.at_once import CPU
from burnish.models.cached_attention import CacheLayout
from burnish.proof import engine as engine_module
from burnish.proof.engine import ModelEngine
from burnish.types import TokenizedExample
from tests.tiny_models import CONTEXT, tiny_model

PROMPTS = [(5, 6, 7, 8), (5, 6, 9)]


@pytest.fixture(params=["packed", "by itself"])
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    found = tiny_model("qwen3")
    if request.param == "packed":
        found.set_attn_implementation(attention.NAME)
    return found


def test_an_answer_ends_before_its_stop_token_or_at_the_limit(model: PreTrainedModel) -> None:
    free = generate(model, PROMPTS, stop_ids={399}, max_new_tokens=6)
    assert [(len(answer.tokens), answer.stopped_by) for answer in free] == [(6, "length")] * 2
    stop = free[0].tokens[3]
    first = free[0].tokens.index(stop)
    ended = generate(model, PROMPTS[:1], stop_ids={stop}, max_new_tokens=6)
    assert ended == [Generated(free[0].tokens[:first], "end")]


def test_a_stop_token_as_the_last_allowed_one_is_an_end(model: PreTrainedModel) -> None:
    free = generate(model, PROMPTS[:1], stop_ids={399}, max_new_tokens=6)[0].tokens
    place = next(i for i in range(6) if free[i] not in free[:i] and i > 0)
    assert generate(model, PROMPTS[:1], stop_ids={free[place]}, max_new_tokens=place + 1)[0].stopped_by == "end"
    assert generate(model, PROMPTS[:1], stop_ids={free[place]}, max_new_tokens=place)[0].stopped_by == "length"


def test_an_answer_may_be_empty(model: PreTrainedModel) -> None:
    first = generate(model, PROMPTS[:1], stop_ids={399}, max_new_tokens=1)[0].tokens[0]
    assert generate(model, PROMPTS[:1], stop_ids={first}, max_new_tokens=5) == [Generated((), "end")]


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("architecture", ["gpt2", "qwen3"])
def test_an_answer_ends_where_the_model_s_positions_end(architecture: str, packed: bool) -> None:
    model = tiny_model(architecture)
    if packed:
        model.set_attn_implementation(attention.NAME)
    prompts = [tuple(3 + n % 300 for n in range(length)) for length in (CONTEXT - 3, CONTEXT, 4)]
    found = generate(model, prompts, stop_ids={399}, max_new_tokens=8)
    assert [(len(answer.tokens), answer.stopped_by) for answer in found] == [
        (3, "length"),
        (0, "length"),
        (8, "length"),
    ]
    assert found[2] == generate(model, prompts[2:], stop_ids={399}, max_new_tokens=8)[0]


def test_nothing_asked_is_nothing_answered(model: PreTrainedModel) -> None:
    assert generate(model, [], stop_ids={2}, max_new_tokens=5) == []
    assert continuation_scores(model, [], []) == []
    assert reference_nats(model, []) == []


def test_scores_of_continuations_are_log_shares() -> None:
    model = tiny_model("qwen3")
    model.set_attn_implementation(attention.NAME)
    every = [[(token,) for token in range(400)]]
    scores = torch.tensor(continuation_scores(model, PROMPTS[:1], every)[0])
    assert float(torch.logsumexp(scores, 0)) == pytest.approx(0, abs=1e-4)
    likeliest = generate(model, PROMPTS[:1], stop_ids={399}, max_new_tokens=1)[0].tokens[0]
    assert int(scores.argmax()) == likeliest


def test_a_document_without_targets_has_no_nats(model: PreTrainedModel) -> None:
    blank = TokenizedExample("d", (5, 6, 7), (False, False, False))
    full = TokenizedExample("e", (5, 6, 7), (False, True, True))
    assert reference_nats(model, [blank, full, blank])[0::2] == [(0.0, 0), (0.0, 0)]


@pytest.mark.parametrize("name", ["qwen3", "gemma3", "gpt2"])
def test_small_steps_and_rows_change_no_answer_and_no_score(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model(name)
    model.set_attn_implementation(attention.NAME)
    draw = random.Random(name)
    prompts = [(7, 8, 9, *(draw.randrange(3, 340) for _ in range(length))) for length in (4, 1, 19, 12)]
    labels = [[(5, 6, 7), (8,), (9, 10)]] * len(prompts)
    wanted = generate(model, prompts, stop_ids={399}, max_new_tokens=12)
    scores = continuation_scores(model, prompts, labels)
    monkeypatch.setattr(cache, "STEP", 4)  # the cache grows three times while these answers are made
    monkeypatch.setattr(
        cache, "at_once", lambda _: replace(CPU, prompts=16)
    )  # and the prompts stand in several rows, one of them too long for any
    assert generate(model, prompts, stop_ids={399}, max_new_tokens=12) == wanted
    for found, expected in zip(continuation_scores(model, prompts, labels), scores, strict=True):
        assert found == pytest.approx(expected, rel=1e-5)


def test_prompts_that_were_read_for_scores_are_answered_as_if_they_were_read_anew(model: PreTrainedModel) -> None:
    labels = [[(5, 6, 7), (8,), (9, 10)], [(11,), (12, 13, 14, 15)]]
    engine = ModelEngine(model, {399}, 6)
    answers, scores = engine.both(PROMPTS, labels)
    assert answers == engine.generate(PROMPTS)
    for found, expected in zip(scores, engine.continuations(PROMPTS, labels), strict=True):
        assert found == pytest.approx(expected, rel=1e-5)


def test_no_more_keys_and_values_are_held_than_there_is_room_for(
    model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []
    read = cache.read_prompts

    def watched(model: PreTrainedModel, prompts: list[tuple[int, ...]], spare: int, **more: bool) -> cache.Prompts:
        found = read(model, prompts, spare, **more)
        shared = found.front[0][0].shape[1] if found.front else 0  # held once
        held.append((shared + len(prompts) * (found.cache.length + spare)) * cache.bytes_per_token(model))
        return found

    for module in (engine_module, choose):
        monkeypatch.setattr(module, "read_prompts", watched)
    apart = [tuple(range(3 + length, 3 + 2 * length)) for length in (9, 30, 4, 12, 13, 12, 11)]  # one is much longer
    alike = [(*range(3, 33), 50 + n) for n in range(4)]  # 31 tokens each, of which 30 are held once
    prompts = apart + alike
    labels = [[(5, 6, 7), (8,)]] * len(prompts)
    engine = ModelEngine(model, {399}, 6)
    wanted = (engine.generate(prompts), engine.continuations(prompts, labels))
    held.clear()
    room = 60 * cache.bytes_per_token(model)
    monkeypatch.setattr(engine_module, "CACHE_BYTES", room)
    answers, scores = engine.both(prompts, labels)
    assert (answers, engine.generate(prompts)) == (wanted[0], wanted[0])
    for found, expected in zip([*scores, *engine.continuations(prompts, labels)], wanted[1] * 2, strict=True):
        assert found == pytest.approx(expected, rel=1e-5)
    if attention.is_packed(model):
        assert held  # `both` and `continuations`; who waits in `generate` is told below
        assert max(held) <= room
        held.clear()
        engine.both(alike, labels[: len(alike)])
        assert len(held) == 1


def test_prompts_wait_until_answers_end_and_are_answered_as_if_they_had_not(
    model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = [(3, 4, 5, *range(20 + n, 20 + n + length)) for n, length in enumerate((9, 30, 4, 12, 1, 12, 11, 25, 2))]
    free = [answer.tokens for answer in generate(model, prompts, stop_ids={399}, max_new_tokens=12)]
    stops = {free[2][3]}  # some answers end early, others at the limit
    wanted = generate(model, prompts, stop_ids=stops, max_new_tokens=12)
    assert {answer.stopped_by for answer in wanted} == {"end", "length"}
    held: list[tuple[int, int]] = []
    forward = attention.forward_cached

    def watched(model: PreTrainedModel, tokens: torch.Tensor, layout: CacheLayout, held_by: cache.RoomyCache) -> object:
        held.append((len(tokens), len(tokens) * (held_by.length + 1)))
        return forward(model, tokens, layout, held_by)

    monkeypatch.setattr(decode, "forward_cached", watched)
    for room in (1, 50, 100, 150, 1000):
        held.clear()
        assert generate(model, prompts, stop_ids=stops, max_new_tokens=12, room=room) == wanted, room
        assert all(rows == 1 or places <= room for rows, places in held)
    if attention.is_packed(model):
        assert max(rows for rows, _ in held) == len(prompts)
