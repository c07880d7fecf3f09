"""What README and docs tell a person to type works: every ```sh block is run, in order, with a tiny model."""

import re
import shlex
import signal
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest

from burnish.cli.main import main
from burnish.files import write_json
from burnish.models.cache import FORMAT, MANIFEST
from tests.tiny_models import tiny_directory

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Installing is what `make demo` and `make test` do on a fresh machine; here only their names are checked.
INSTALLS = ("make ", "python3 -m venv", ".venv/bin/pip install")
TEAMS = ("billing", "shipping", "returns", "accounts")
WORDS = ("late", "broken", "lost", "twice", "wrong", "open", "closed", "blue", "red", "new")


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return [found[2] for found in BLOCK.finditer(page.read_text(encoding="utf-8")) if found[1] == language]


def commands(page: Path) -> list[str]:
    """One command each, in order."""
    lines = [line for block in blocks(page, "sh") for line in block.splitlines() if line.strip()]
    return [command.strip() for line in lines for command in line.split("&&")]


def pages() -> list[Path]:
    """README and the pages of docs/, the first steps first."""
    docs = sorted(ROOT.glob("docs/*.md"), key=lambda page: (page.name != "start.md", page.name))
    return [ROOT / "README.md", *docs]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache in which the built-in model's name means a tiny random model."""
    path = tmp_path_factory.mktemp("home")
    model = tiny_directory(path / "models" / "smollm2-135m-instruct")
    write_json(model / MANIFEST, {"format": FORMAT, "source": "a test", "sha256": "", "name": "tiny", "licence": None})
    return path


@pytest.fixture
def folder(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with the files that the pages speak of; a stranger's standard input is empty."""
    monkeypatch.setenv("BURNISH_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", StringIO(""))
    rows = [f"the order {i} is {WORDS[i % 10]},{TEAMS[i % 4]}" for i in range(40)]
    for name, header in (("my.csv", "text,label"), ("tickets.csv", "text,team")):
        Path(name).write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    Path("new.csv").write_text("text\nwhere is my order\nthe lid is broken\n", encoding="utf-8")
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield tmp_path
    for number, handler in handlers.items():
        signal.signal(number, handler)


def run(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a `burnish ...` line in this process; any exit code but 0 fails."""
    words = shlex.split(command)
    assert words[0] in ("burnish", ".venv/bin/burnish"), f"{command}: not a command that this test can run"
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code in (0, None), f"{command}: exit code {end.value.code}"


@pytest.mark.slow
def test_the_readme_runs(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    typed = [command for command in commands(ROOT / "README.md") if not command.startswith(INSTALLS)]
    assert [command.split()[:2] for command in typed] == [["burnish", "init"], ["burnish", "run"]]
    for command in typed:
        run(command, monkeypatch)
    assert "init YOUR.csv" in capsys.readouterr().out.splitlines()[-1]
    (example,) = blocks(ROOT / "README.md", "python")
    exec(compile(example, "README.md", "exec"), {})
    assert "held-out items" in capsys.readouterr().out
    assert len(list(folder.glob("runs/*/report.json"))) == 2


@pytest.mark.slow
def test_the_docs_run_in_order(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = []
    for page in pages()[1:]:
        for command in commands(page):
            if not command.startswith(INSTALLS):
                run(command, monkeypatch)
                done.append(command.split()[1])
    assert {
        "init",
        "check",
        "run",
        "evaluate",
        "samples",
        "report",
        "chat",
        "generate",
        "export",
        "models",
        "methods",
    } <= set(done)
    answers = (folder / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(answers) == 2
    assert (folder / "tickets-model" / "model.safetensors").is_file()
    assert (folder / "tickets-adapter" / "adapter_model.safetensors").is_file()
    assert str(folder) not in (folder / "tickets-adapter" / "adapter_config.json").read_text(encoding="utf-8")
    capsys.readouterr()


def test_installing_lines_name_what_exists() -> None:
    lines = [command for page in pages() for command in commands(page) if command.startswith(INSTALLS)]
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    for line in lines:
        if line.startswith("make "):
            assert line.split()[1] in targets, line
        for version in re.findall(r'"(torch==[\w.]+)"', line):
            assert version in pinned, line
    assert {"make demo", "make test"} <= set(lines)


def test_links_between_pages_lead_somewhere() -> None:
    for page in pages():
        for link in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            if "://" not in link and link != "docs/picture.svg":
                assert (page.parent / link).exists(), f"{page.name}: {link}"
