"""From a name to a model: what names mean, what a loaded model promises, and the tokenizer trap of transformers 5."""

import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import HfApi
from tokenizers import Tokenizer, pre_tokenizers
from transformers import AutoTokenizer

from burnish.errors import ModelError
from burnish.models import attention, device, hub, load
from burnish.models.load import load_base, load_tokenizer, resolve
from burnish.models.parameters import count_parameters, list_models, weights_sha256
from tests.tiny_gguf import llama, tiny_gguf
from tests.tiny_models import ARCHITECTURES, CHATML, tiny_directory, tiny_model, tiny_tokenizer


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BURNISH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a name that is no hub id asked the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(load, "fetch_from_hub", refuse)
    monkeypatch.setattr(load, "fetch", refuse)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_loaded_model_is_frozen_packed_and_the_same(tmp_path: Path, architecture: str) -> None:
    directory = tiny_directory(tmp_path / architecture, architecture)
    base = load_base(str(directory), dtype="fp32", device="cpu")
    assert base.packed
    assert attention.is_packed(base.model)
    assert not base.model.training
    assert not any(p.requires_grad for p in base.model.parameters())
    assert (base.name, base.path, base.dtype) == (architecture, directory, torch.float32)
    assert (base.context, base.stop_ids, base.chat_template, base.notes) == (256, frozenset({2}), CHATML, [])
    expected = tiny_model(architecture).state_dict()
    assert all(torch.equal(t, expected[name]) for name, t in base.model.state_dict().items())
    assert f"{count_parameters(tiny_model(architecture)):,} parameters" in base.card_lines()[0]
    assert str(tmp_path) not in "\n".join(base.card_lines())


def test_bf16_is_loaded_as_asked(tmp_path: Path) -> None:
    base = load_base(str(tiny_directory(tmp_path / "m")), dtype="bf16", device="cpu")
    assert {p.dtype for p in base.model.parameters()} == {torch.bfloat16}
    assert base.packed


def test_paths_are_relative_to_the_recipe_and_come_first(tmp_path: Path, no_network: None) -> None:
    tiny_directory(tmp_path / "smollm2-135m-instruct")
    assert resolve("smollm2-135m-instruct", relative_to=tmp_path).kind == "directory"
    tiny_directory(tmp_path / "owner" / "name")
    assert resolve("owner/name", relative_to=tmp_path).kind == "directory"
    assert resolve("owner/other", relative_to=tmp_path).kind == "hub"
    assert resolve("smollm2-135m-instruct").kind == "catalog"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("smolm2-135m-instruct", 'Did you mean "smollm2-135m-instruct"'),
        ("SmolLM2-360M", "Did you mean"),
        ("gpt9", "no model of the catalog"),
        ("", "no model of the catalog"),
        ("a\0b", "no model of the catalog"),
        ("x" * 10_000, "no model of the catalog"),
        ("./gone", "no such file or directory"),
        ("/gone/away", "no such file or directory"),
        ("gone.gguf", "no such file or directory"),
        ("a/b/c", "no such file or directory"),
        ("../x", "no such file or directory"),
        ("data.csv", "is a file and no .gguf"),
        ("empty", "no config.json"),
    ],
)
def test_a_name_that_means_nothing_is_refused_without_a_network(
    tmp_path: Path, no_network: None, name: str, said: str
) -> None:
    (tmp_path / "data.csv").write_text("a,b\n")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError) as error:
        load_base(name, relative_to=tmp_path)
    assert said in str(error.value)
    assert len(str(error.value)) < 600


def test_a_gguf_is_converted_once_and_named_by_its_content(tmp_path: Path, own_home: Path) -> None:
    source = tiny_gguf(tmp_path / "tiny.gguf")
    base = load_base(str(source), dtype="fp32", device="cpu")
    assert base.name == "tiny.gguf"
    assert base.path.parent == own_home / "models"
    assert base.path.name.startswith("gguf-")
    before = (base.path / "model.safetensors").stat().st_mtime_ns
    again = load_base(str(source), dtype="fp32", device="cpu")
    assert (again.path / "model.safetensors").stat().st_mtime_ns == before
    expected = llama().state_dict()
    assert all(torch.equal(t, expected[name]) for name, t in again.model.state_dict().items())
    info = next(info for info in list_models() if info.where == "cache")
    assert info.parameters == count_parameters(llama())
    assert (info.context, info.licence, info.note) == (256, "apache-2.0", "from tiny.gguf")


def test_a_broken_gguf_leaves_nothing_behind(tmp_path: Path, own_home: Path) -> None:
    source = tiny_gguf(tmp_path / "tiny.gguf", fields={"tokenizer.ggml.pre": "unknown"})
    with pytest.raises(ModelError, match=r"tokenizer\.ggml\.pre"):
        load_base(str(source))
    assert not own_home.exists()


def test_stop_ids_are_the_generation_configs_and_the_tokenizers(tmp_path: Path) -> None:
    directory = tiny_directory(tmp_path / "m")
    (directory / "generation_config.json").write_text('{"eos_token_id": [0, 7]}')
    assert load_base(str(directory), dtype="fp32", device="cpu").stop_ids == frozenset({0, 2, 7})


def test_a_model_without_a_template_has_none(tmp_path: Path) -> None:
    directory = tiny_directory(tmp_path / "m", tokenizer=tiny_tokenizer(None))
    assert load_base(str(directory), dtype="fp32", device="cpu").chat_template is None


def test_a_tokenizer_that_transformers_rebuilds_is_read_from_its_file(tmp_path: Path) -> None:
    own = tiny_tokenizer()
    own.backend_tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    directory = tiny_directory(tmp_path / "m", "qwen3", own)
    settings = json.loads((directory / "tokenizer_config.json").read_text())
    (directory / "tokenizer_config.json").write_text(json.dumps(settings | {"tokenizer_class": "Qwen2Tokenizer"}))
    rebuilt: Any = AutoTokenizer.from_pretrained(directory)
    expected = Tokenizer.from_file(str(directory / "tokenizer.json"))
    text = load.PROBE
    assert rebuilt.encode(text) != expected.encode(text).ids, "transformers keeps it now: the trap is gone"
    tokenizer, notes = load_tokenizer(directory)
    assert tokenizer.encode(text) == expected.encode(text).ids
    assert (tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.chat_template) == (2, 2, CHATML)
    assert "tokenizer.json" in notes[0]


def test_a_tokenizer_larger_than_the_embedding_is_refused(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens([f"<{i}>" for i in range(60)])
    with pytest.raises(ModelError, match="410 entries and the embedding 400 rows"):
        load_base(str(tiny_directory(tmp_path / "m", tokenizer=tokenizer)), dtype="fp32", device="cpu")


def test_the_weights_sha256_is_remembered_and_follows_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tiny_directory(tmp_path / "m")
    first = weights_sha256(directory)
    read: list[Path] = []

    def other(path: Path) -> str:
        read.append(path)
        return "other"

    monkeypatch.setattr("burnish.models.parameters.files.sha256_of", other)
    assert weights_sha256(directory) == first
    assert not read
    content = (directory / "model.safetensors").read_bytes()
    (directory / "model.safetensors").write_bytes(content)  # another time of change
    assert weights_sha256(directory) == "other"
    assert len(read) == 1


def test_a_device_that_is_not_there_is_named(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has the device that the test takes for missing")
    with pytest.raises(ModelError, match='"cuda" is not available to this torch; it has'):
        load_base(str(tiny_directory(tmp_path / "m")), device="cuda")


def test_bf16_is_chosen_on_a_cpu_only_where_it_is_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    for seconds, expected in ((0.5, torch.bfloat16), (0.95, torch.float32), (6.0, torch.float32)):
        device.bf16_is_faster.cache_clear()
        monkeypatch.setattr(device, "product_seconds", lambda dtype, s=seconds: s if dtype == torch.bfloat16 else 1.0)
        assert device.pick_dtype("auto", cpu) is expected
    device.bf16_is_faster.cache_clear()
    assert device.pick_dtype("bf16", cpu) is torch.bfloat16
    monkeypatch.undo()
    assert device.product_seconds(torch.float32, rows=8, width=8) > 0


def test_the_hub_that_does_not_answer_is_told_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("no route")

    monkeypatch.setattr(HfApi, "model_info", offline)
    monkeypatch.setattr(hub, "snapshot_download", offline)
    with pytest.raises(ModelError, match="offline\\?"):
        load_base("owner/name")


def test_the_hub_that_hangs_is_left_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = threading.Event()
    monkeypatch.setattr(hub, "SECONDS", 0.05)
    monkeypatch.setattr(HfApi, "model_info", lambda *_, **__: hanging.wait(30))
    with pytest.raises(ModelError, match="offline\\?"):
        hub.fetch_from_hub("owner/name-that-nobody-has-cached")
    hanging.set()


def test_only_safetensors_tokenizer_and_json_are_taken_from_a_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Info:
        sha = "0123"
        siblings = (type("File", (), {"rfilename": "pytorch_model.bin"})(),)

    asked: dict[str, object] = {}

    def download(_: str, **keywords: object) -> str:
        asked.update(keywords)
        return str(tmp_path)

    monkeypatch.setattr(HfApi, "model_info", lambda *_, **__: Info())
    monkeypatch.setattr(hub, "snapshot_download", download)
    with pytest.raises(ModelError, match="no safetensors"):
        hub.fetch_from_hub("owner/name")
    Info.siblings = (type("File", (), {"rfilename": "model.safetensors"})(),)
    assert hub.fetch_from_hub("owner/name") == tmp_path
    assert asked["revision"] == "0123"
    assert not any(str(pattern).endswith((".py", ".bin", "*")) for pattern in hub.PATTERNS)
    assert asked["allow_patterns"] == hub.PATTERNS
