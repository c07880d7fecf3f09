"""No code from outside, one module that writes files, nothing of one machine in the repository."""

import ast
import re
from collections.abc import Iterator

import burnish
from tests.house.source import ROOT, Source, package_sources, tracked

# Modules that hand a path to a library which writes it, each into a directory that is renamed when it is whole.
WRITERS = {
    "burnish.files",
    "burnish.training.checkpoint",  # safetensors writes the tensors
    "burnish.models.catalog",  # converts a GGUF file to a model directory
    "burnish.models.gguf_llama",
    "burnish.export.merged",  # transformers writes the model
    "burnish.pipeline.fit",  # likewise
    "burnish.pipeline.directory",  # the lock
}
WRITING = {"write_text", "write_bytes", "save_file", "save_pretrained", "mkstemp", "NamedTemporaryFile", "copyfile"}
FORBIDDEN_CALLS = {"eval", "exec", "os.system", "os.popen", "torch.load", "yaml.load", "yaml.unsafe_load"}
FORBIDDEN_MODULES = {"pickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}


def calls(source: Source) -> Iterator[tuple[str, ast.Call]]:
    """(dotted name, call) of every call in a file."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def opens_for_writing(name: str, call: ast.Call) -> bool:
    """A call of `open` with a mode that writes."""
    if name.rpartition(".")[2] not in ("open", "fdopen"):
        return False
    values = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
    modes = [value.value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str)]
    return any(re.fullmatch(r"[rwaxbt+]+", mode) and set(mode) & set("wax+") for mode in modes)


def test_only_files_py_and_a_few_named_modules_write() -> None:
    found = []
    for source in package_sources():
        if source.module in WRITERS:
            continue
        for name, call in calls(source):
            through_files = name in ("write_text", "write_bytes")  # burnish.files' own, imported by name
            if opens_for_writing(name, call) or (name.rpartition(".")[2] in WRITING and not through_files):
                found.append(f"{source.where}:{call.lineno} {name}")
    assert found == []


def test_the_named_writers_do_write() -> None:
    """A module that no longer writes leaves the list."""
    writing = set()
    for source in package_sources():
        for name, call in calls(source):
            if opens_for_writing(name, call) or name.rpartition(".")[2] in WRITING:
                writing.add(source.module)
    assert writing >= WRITERS


def test_no_code_from_outside_is_run() -> None:
    found = []
    for source in package_sources():
        for name, call in calls(source):
            trusting = any(
                keyword.arg == "trust_remote_code" and ast.unparse(keyword.value) != "False"
                for keyword in call.keywords
            )
            shell = any(keyword.arg == "shell" and ast.unparse(keyword.value) != "False" for keyword in call.keywords)
            if name in FORBIDDEN_CALLS or trusting or shell:
                found.append(f"{source.where}:{call.lineno} {name}")
        for node in ast.walk(source.tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [f"{source.where} imports {name}" for name in names if name.split(".")[0] in FORBIDDEN_MODULES]
    assert found == []


# /home/user, /root, /Users, /opt and the like, and an index's or a mirror's host; public documentation is no index.
MACHINE = re.compile(r"(?<![\w.~$}<])/(?:home|root|Users|opt|mnt|srv|work|workspace|etc/xdg)/[\w.-]+")
INDEX = re.compile(r"(?:index[-_]url\s*[= ]|find[-_]links\s*[= ])\s*(\S+)")
PUBLIC_INDEXES = ("https://download.pytorch.org/whl/", "https://pypi.org/simple")


def test_nothing_of_one_machine_stands_in_the_repository() -> None:
    found = []
    for path in tracked():
        if path.suffix in (".png", ".safetensors", ".gguf", ".gz") or path == ROOT / "tests/house/test_house_safety.py":
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            index = INDEX.search(line)
            foreign = index is not None and not index[1].strip("\"'`").startswith(PUBLIC_INDEXES)
            if MACHINE.search(line) or foreign:
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert found == []


def test_the_patterns_would_find_them() -> None:
    assert MACHINE.search("cache = '/home/somebody/.cache'")
    assert MACHINE.search("see /" + "root/burnish")
    assert not MACHINE.search("docs/home/page and ~/home/x")
    match = INDEX.search("pip install --index-url http://mirror.local/simple x")
    assert match is not None
    assert not match[1].startswith(PUBLIC_INDEXES)


def test_the_version_is_written_once() -> None:
    version = burnish.__version__
    pattern = re.compile(rf"""(?:version\s*[=:]\s*)["']?{re.escape(version)}["']?""", re.IGNORECASE)
    found = [
        path.relative_to(ROOT).as_posix()
        for path in tracked()
        if path.suffix in (".py", ".toml", ".cfg") and pattern.search(path.read_text(encoding="utf-8"))
    ]
    assert found == ["burnish/version.py"]


def test_every_folder_of_code_has_code() -> None:
    """Folders appear with their first real code, never as empty rooms."""
    for folder in {source.path.parent for source in package_sources()}:
        lines = sum(path.read_text(encoding="utf-8").count("\n") for path in folder.rglob("*.py"))
        assert lines > 5, folder
