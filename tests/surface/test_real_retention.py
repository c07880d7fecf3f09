"""What was kept, with the built-in model: the questions leave room to lose and to gain."""

import pytest

from burnish.data.template import ChatTemplate
from burnish.data.tokenize import Encoder
from burnish.models.load import load_base
from burnish.pipeline.retention import PROBES
from burnish.proof.engine import ModelEngine
from burnish.proof.probe import MOST_TOKENS, Asking, chunks_of


@pytest.mark.real_model
@pytest.mark.slow
def test_the_base_is_right_on_some_questions_and_passes_most_requests() -> None:
    base = load_base("smollm2-135m-instruct")
    encoder = Encoder(base.tokenizer, ChatTemplate.choose("auto", base.chat_template, base.tokenizer), base.stop_ids)
    engine = ModelEngine(base.model, encoder.stop_ids, MOST_TOKENS)
    asking = Asking("base", engine, encoder, encoder.answer_text, base.context)
    scores = {}
    for probe in PROBES:
        lines = [line for chunk in chunks_of(probe, asking) for line in probe.measure(chunk, asking)]
        scores[probe.name] = sum(float(str(line["score"])) for line in lines) / len(lines)
    assert 0.45 <= scores["knowledge"] <= 0.85
    assert 0.6 <= scores["requests"] < 1
    assert 2 < scores["general_text"] < 4.5
