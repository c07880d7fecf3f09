"""Checkpoints: everything that a run needs to go on bit for bit, complete under their name or not there at all."""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from burnish.errors import RunError
from burnish.files import read_json, sha256_of, sync_directory, to_json, write_json

FORMAT = 1
MANIFEST, STATE = "manifest.json", "state.safetensors"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that was found whole."""

    step: int
    path: Path
    identity: Mapping[str, object]  # recipe, data, tokenizer, base, versions: what must be equal to go on
    counters: Mapping[str, object]  # of the run's policies

    def tensors(self) -> dict[str, Tensor]:
        """Trained tensors and the optimiser's moments."""
        tensors: dict[str, Tensor] = load_file(self.path / STATE)
        return tensors

    def weights(self) -> Iterator[tuple[str, Tensor]]:
        """Trained tensors alone, one in memory at a time."""
        with safe_open(self.path / STATE, framework="pt") as file:
            for key in file.keys():  # noqa: SIM118 (safe_open is no mapping)
                kind, _, name = key.partition("/")
                if kind == "weight":
                    yield name, file.get_tensor(key)


def name_of(step: int) -> str:
    """Directory name of the checkpoint after `step` updates; names sort as steps do."""
    return f"step-{step:06d}"


def save_checkpoint(
    root: Path,
    step: int,
    tensors: Mapping[str, Tensor],
    *,
    identity: Mapping[str, object],
    counters: Mapping[str, object],
) -> Path:
    """Write under a temporary name, flush, manifest last, rename; raises `RunError` on a full disk."""
    root.mkdir(parents=True, exist_ok=True)
    for left_over in root.glob(".tmp-*"):
        shutil.rmtree(left_over, ignore_errors=True)
    needed = int(1.5 * sum(t.numel() * t.element_size() for t in tensors.values()))
    free = shutil.disk_usage(root).free
    if free < needed:
        raise RunError(
            f"{root}: disk_full: {free:,} bytes free, a checkpoint wants {needed:,}; earlier ones are intact"
        )
    temporary = root / f".tmp-{uuid.uuid4().hex}"
    temporary.mkdir()
    state = temporary / STATE
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, state)
    with state.open("rb+") as file:
        os.fsync(file.fileno())
    manifest: dict[str, object] = {
        "format": FORMAT,
        "step": step,
        "identity": dict(identity),
        "counters": dict(counters),
        "files": [{"name": STATE, "bytes": state.stat().st_size, "sha256": sha256_of(state)}],
    }
    manifest["checksum"] = _checksum(manifest)
    write_json(temporary / MANIFEST, manifest)
    sync_directory(temporary)
    final = root / name_of(step)
    if final.exists():
        shutil.rmtree(final)
    temporary.rename(final)
    sync_directory(root)
    return final


def _checksum(manifest: Mapping[str, object]) -> str:
    rest = {key: value for key, value in manifest.items() if key != "checksum"}
    return hashlib.sha256(to_json(rest).encode()).hexdigest()


def read_checkpoint(path: Path) -> Checkpoint:
    """Check a checkpoint byte for byte; raises `RunError` saying what is damaged."""
    try:
        manifest = read_json(path / MANIFEST)
    except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RunError(f"{path}: no readable {MANIFEST} ({error})") from error
    if not isinstance(manifest, dict) or manifest.get("checksum") != _checksum(manifest):
        raise RunError(f"{path / MANIFEST}: its checksum does not match its content")
    if manifest["format"] != FORMAT:
        raise RunError(f"{path}: checkpoint format {manifest['format']}, this burnish reads {FORMAT}")
    for entry in manifest["files"]:
        file = path / entry["name"]
        if not file.is_file() or file.stat().st_size != entry["bytes"] or sha256_of(file) != entry["sha256"]:
            raise RunError(f"{file}: missing or damaged")
    return Checkpoint(manifest["step"], path, manifest["identity"], manifest["counters"])


def latest(root: Path) -> tuple[Checkpoint | None, list[str]]:
    """The valid checkpoint with the most steps, and a line for each damaged one that was passed over."""
    warnings = []
    for path in sorted(root.glob("step-*"), key=lambda p: (len(p.name), p.name), reverse=True):
        try:
            found = read_checkpoint(path)
            found.tensors()
        except (RunError, SafetensorError) as error:
            warnings.append(f"{error}; going back to the checkpoint before")
            continue
        return found, warnings
    return None, warnings


def keep_only(root: Path, steps: set[int]) -> None:
    """Remove the other checkpoints."""
    for path in root.glob("step-*"):
        if path.name not in {name_of(step) for step in steps}:
            shutil.rmtree(path)
