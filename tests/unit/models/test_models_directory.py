"""Model directories from outside: what is refused, by name and before anything is allocated, and what is only told."""

import json
import os
import shutil
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from burnish.errors import ModelError
from burnish.models.directory import check_size, config_of, examine
from tests.tiny_models import tiny_directory


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_directory(tmp_path_factory.mktemp("models") / "llama")


@pytest.fixture
def directory(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "model"))


def config(**changes: object) -> Callable[[Path], None]:
    """A change of config.json; None removes a key."""

    def change(path: Path) -> None:
        values = json.loads((path / "config.json").read_text()) | changes
        (path / "config.json").write_text(json.dumps({k: v for k, v in values.items() if v is not None}))

    return change


def written(name: str, content: str | bytes) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        (path / name).write_bytes(content.encode() if isinstance(content, str) else content)

    return change


def header(value: object, length: int | None = None) -> Callable[[Path], None]:
    """A safetensors file with this header and 64 bytes of data."""
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return written(
        "model.safetensors", struct.pack("<Q", len(content) if length is None else length) + content + bytes(64)
    )


def tensor(shape: list[Any], offsets: list[Any], dtype: str = "F32") -> dict[str, object]:
    return {"a": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


def index(places: object) -> Callable[[Path], None]:
    return written("model.safetensors.index.json", json.dumps({"weight_map": places}))


def link(name: str, target: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        (path / name).unlink(missing_ok=True)
        (path / name).symlink_to(target)

    return change


def pickles_only(path: Path) -> None:
    (path / "model.safetensors").rename(path / "pytorch_model.bin")


def without(name: str) -> Callable[[Path], None]:
    return lambda path: (path / name).unlink()


def half_the_weights(path: Path) -> None:
    tensors = load_file(path / "model.safetensors")
    save_file({name: t for name, t in tensors.items() if "layers.2." not in name}, path / "model.safetensors")


HOSTILE: dict[str, tuple[Callable[[Path], None], str]] = {
    "only pickles": (pickles_only, "only pickle weights"),
    "no weights": (without("model.safetensors"), "no weights"),
    "no config": (without("config.json"), "no config.json"),
    "an adapter": (written("adapter_config.json", '{"base_model_name_or_path": "x/y"}'), "holds an adapter"),
    "code in the config": (config(auto_map={"AutoModelForCausalLM": "evil.Model"}), "runs no code"),
    "code in the tokenizer": (
        written("tokenizer_config.json", '{"auto_map": {"AutoTokenizer": ["a.B", null]}}'),
        "auto_map",
    ),
    "code in a nested config": (config(text_config={"auto_map": {"AutoConfig": "a.B"}}), "auto_map"),
    "code in the generation config": (
        written("generation_config.json", '{"custom_generate": "a/b"}'),
        "custom_generate",
    ),
    "attention from a hub": (config(_attn_implementation="evil/kernel"), "names code of a hub"),
    "another weights file": (config(transformers_weights="../other.safetensors"), "transformers_weights"),
    "compressed weights": (config(quantization_config={"quant_method": "awq"}), "compressed"),
    "config no JSON": (written("config.json", "{"), "is no JSON"),
    "config a list": (written("config.json", "[]"), "no JSON object"),
    "config not UTF-8": (written("config.json", b'{"a": "\xff"}'), "is no JSON"),
    "config nested deep": (written("config.json", '{"a":' * 100_000 + "1" + "}" * 100_000), "config.json"),
    "config nested": (config(a=json.loads('{"a":' * 60 + "1" + "}" * 60)), "nested more than"),
    "config of 5 MB": (written("config.json", '{"a": "' + "x" * (5 << 20) + '"}'), "at most 4,194,304 are read"),
    "no model type": (config(model_type=None), 'model_type is "None"'),
    "an unknown model type": (config(model_type="lama"), 'Did you mean "llama"'),
    "an encoder": (config(model_type="vit"), "does not continue text"),
    "a huge number": (config(hidden_size=1 << 62), "hidden_size is"),
    "a NaN": (config(initializer_range=float("nan")), "initializer_range is nan"),
    "a million layers": (config(num_hidden_layers=1_000_000), "num_hidden_layers is 1,000,000"),
    "a large vocabulary": (config(vocab_size=2_000_000_000), "files hold"),
    "a wide model": (config(hidden_size=1_000_000, head_dim=8), "config describes"),
    "one layer more": (config(num_hidden_layers=4), "config describes"),
    "no heads": (config(num_attention_heads=0), "config.json"),
    "a text for a size": (config(hidden_size="24"), "config.json"),
    "fewer weights": (half_the_weights, "config describes"),
    "a header longer than the file": (header({}, 1 << 40), "header declares"),
    "a header of 2^64 - 1": (header({}, (1 << 64) - 1), "header declares"),
    "a header that is no JSON": (header(b"{{"), "no safetensors header"),
    "a header that is a list": (header([]), "no safetensors header"),
    "a header nested deep": (header(b"[" * 100_000), "no safetensors header"),
    "a tensor outside the file": (header(tensor([32], [0, 1 << 40])), "outside the file"),
    "a tensor before the file": (header(tensor([1], [-4, 0])), "outside the file"),
    "a tensor of another size": (header(tensor([1 << 40], [0, 64])), "shape and bytes differ"),
    "a negative shape": (header(tensor([-1], [0, 4])), "no list of sizes"),
    "offsets as texts": (header(tensor([1], ["0", "4"])), "no safetensors header"),
    "an empty file of weights": (written("model.safetensors", b""), "header declares"),
    "an index that leads out": (index({"a": "../x.safetensors"}), "no safetensors file of this directory"),
    "an index to a pickle": (index({"a": "x.bin"}), "no safetensors file of this directory"),
    "an index to nothing": (index({"a": "x.safetensors"}), "is missing"),
    "an index of numbers": (index({"a": 1}), "no weight_map"),
    "an index without files": (index({}), "no weight_map"),
    "a link out": (link("model.safetensors", "/etc/hostname"), "leads out of the directory"),
    "a link to nowhere": (link("tokenizer.json", "nowhere"), "leads out of the directory or nowhere"),
    "a link up": (link("notes.json", "../../x"), "leads out of the directory"),
    "a pipe": (lambda path: os.mkfifo(path / "vocab.json"), "no regular file"),
}


def whole_check(directory: Path) -> None:
    examined = examine(directory)
    check_size(examined, config_of(examined))


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_directory_is_refused_with_its_reason(directory: Path, case: str) -> None:
    change, said = HOSTILE[case]
    change(directory)
    taken = []
    for _ in range(3):  # the first of a process may have to import what the others find
        start = time.process_time()
        with pytest.raises(ModelError) as error:
            whole_check(directory)
        taken.append(time.process_time() - start)
    assert min(taken) < 0.5
    assert said in str(error.value)
    assert str(directory) in str(error.value)
    assert len(str(error.value)) < 1000


def test_an_untouched_directory_passes(directory: Path) -> None:
    examined = examine(directory)
    check_size(examined, config_of(examined))
    assert examined.notes == ()
    assert len(examined.tensors) == len(load_file(directory / "model.safetensors"))


def test_code_and_pickles_beside_safetensors_are_ignored_with_a_word(directory: Path) -> None:
    (directory / "modeling_evil.py").write_text("raise SystemExit(1)")
    (directory / "pytorch_model.bin").write_bytes(b"cos\nsystem\n")
    first, second = examine(directory).notes
    assert first.startswith("modeling_evil.py ignored")
    assert second.startswith("pytorch_model.bin ignored")


def test_links_inside_and_in_the_hubs_cache_are_followed(original: Path, tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "models--a--b" / "blobs", tmp_path / "models--a--b" / "snapshots" / "0123"
    shutil.copytree(original, blobs)
    snapshot.mkdir(parents=True)
    for file in blobs.iterdir():
        (snapshot / file.name).symlink_to(Path("../../blobs") / file.name)
    assert examine(snapshot).tensors
    (snapshot / "tokenizer.json").unlink()
    (snapshot / "tokenizer.json").symlink_to(original / "tokenizer.json")
    with pytest.raises(ModelError, match=r"tokenizer\.json is a link"):
        examine(snapshot)


def test_sharded_weights_are_all_examined(original: Path, directory: Path) -> None:
    tensors = load_file(directory / "model.safetensors")
    names = sorted(tensors)
    (directory / "model.safetensors").unlink()
    places = {name: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, name in enumerate(names)}
    for file in set(places.values()):
        save_file({n: tensors[n] for n in names if places[n] == file}, directory / file, metadata={"format": "pt"})
    index(places)(directory)
    examined = examine(directory)
    assert examined.tensors.keys() == tensors.keys()
    assert all(examined.tensors[name].shape == tuple(t.shape) for name, t in tensors.items())
    check_size(examined, config_of(examined))
    assert sum(t.weights for t in examined.tensors.values()) == sum(torch.numel(t) for t in tensors.values())
