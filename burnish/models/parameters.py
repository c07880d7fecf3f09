"""How large a model is, which bytes its weights are, and what it needs of a machine."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from burnish import files
from burnish.models.cache import MANIFEST, home, models_directory
from burnish.models.catalog import CATALOG, is_cached
from burnish.models.safetensors_header import tensors_in


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One line of `burnish models`; what is not known is None."""

    name: str
    where: str  # "built in", "cache" or "hub"
    parameters: int | None
    context: int | None
    licence: str | None
    bytes: int | None  # on this machine's disk
    memory: int | None  # bytes that training LoRA on it takes, estimated
    note: str


def count_parameters(model: nn.Module) -> int:
    """All parameters, a tied one once."""
    return sum(parameter.numel() for parameter in model.parameters())


def weight_files(directory: Path) -> list[Path]:
    """The safetensors files of a model directory, sorted by name."""
    return sorted(directory.glob("*.safetensors"))


def weights_sha256(directory: Path) -> str:
    """The sha256 of a model's weights: of the one file, or of the lines "sha256  name" of several.

    Remembered by path, size and time of change, so that a large model is read once and not at every start.
    """
    paths = weight_files(directory)
    digests = [(_remembered_sha256(path), path.name) for path in paths]
    if len(digests) == 1:
        return digests[0][0]
    return hashlib.sha256("".join(f"{digest}  {name}\n" for digest, name in digests).encode()).hexdigest()


def _remembered_sha256(path: Path) -> str:
    stat = path.stat()
    seen: dict[str, object] = {"path": str(path.resolve()), "size": stat.st_size, "changed": stat.st_mtime_ns}
    note = home() / "sha256" / f"{hashlib.sha256(str(seen['path']).encode()).hexdigest()[:32]}.json"
    try:
        known = files.read_json(note)
    except (OSError, ValueError):
        known = None
    if isinstance(known, dict) and {key: known.get(key) for key in seen} == seen:
        return str(known["sha256"])
    digest = files.sha256_of(path)
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(note, seen | {"sha256": digest})
    except OSError:
        pass  # a cache that cannot be written only costs time
    return digest


def memory_needed(parameters: int, bytes_each: int = 4) -> int:
    """Bytes that training LoRA takes: the weights, a tenth of them once more, and 1.2 GB for Python and activations.

    A rough estimate; fp32 (4 bytes) is what a CPU without bf16 arithmetic uses.
    """
    return int(parameters * bytes_each * 1.1) + 1_200_000_000


def bytes_of(directory: Path) -> int:
    """Bytes of all files in a directory."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def list_models() -> list[ModelInfo]:
    """The catalog, and what the cache holds besides it; no network, no weights read."""
    infos = []
    for entry in CATALOG.values():
        directory = models_directory() / entry.name
        cached = entry.package is not None and is_cached(directory)
        note = ("cached" if cached else "fetched on first use") if entry.package else "not tested here"
        infos.append(
            ModelInfo(
                name=entry.name,
                where="built in" if entry.package else "hub",
                parameters=entry.parameters,
                context=entry.context,
                licence=entry.licence,
                bytes=bytes_of(directory) if cached else None,
                memory=memory_needed(entry.parameters),
                note=note,
            )
        )
    cached_ones = sorted(models_directory().glob("gguf-*"))
    return infos + [_cached_info(directory) for directory in cached_ones if is_cached(directory)]


def _cached_info(directory: Path) -> ModelInfo:
    manifest, config = files.read_json(directory / MANIFEST), files.read_json(directory / "config.json")
    assert isinstance(manifest, dict)
    assert isinstance(config, dict)
    parameters = sum(t.weights for path in weight_files(directory) for t in tensors_in(path).values())
    return ModelInfo(
        name=str(directory),
        where="cache",
        parameters=parameters,
        context=config.get("max_position_embeddings"),
        licence=manifest.get("licence"),
        bytes=bytes_of(directory),
        memory=memory_needed(parameters),
        note=f"from {manifest.get('source')}",
    )


def model_card_lines(directory: Path, name: str, model: nn.Module, context: int) -> list[str]:
    """What a report says of its base model, a fact a line; never a path of this machine."""
    size = sum(path.stat().st_size for path in weight_files(directory))
    entry = CATALOG.get(name)
    lines = [
        f"{name}: {count_parameters(model):,} parameters, context {context:,} tokens",
        f"weights: {size:,} bytes, sha256 {weights_sha256(directory)}",
    ]
    return lines + ([f"licence: {entry.licence}"] if entry is not None else [])
