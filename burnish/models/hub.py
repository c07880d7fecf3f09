"""Models from the Hugging Face hub: only when a recipe names one, and never code or pickles."""

import re
import threading
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

from burnish.errors import ModelError

SECONDS = 10  # for the hub's first answer
PATTERNS = ["*.safetensors", "*.json", "*.jinja", "merges.txt", "vocab.txt", "tokenizer.model"]
_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


def is_hub_id(name: str) -> bool:
    """Whether a name has the form owner/name; this asks nobody."""
    return _ID.fullmatch(name) is not None and ".." not in name


def fetch_from_hub(name: str) -> Path:
    """The snapshot of a hub model in the hub's own cache; a copy that is there serves where the hub does not answer."""
    revision, files_there = _ask(name)
    if revision is None:
        return _cached(name)
    if not any(file.endswith(".safetensors") for file in files_there):
        raise ModelError(f"{name}: the hub has no safetensors weights of it, and pickles are not read")
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=PATTERNS, etag_timeout=SECONDS))
    except Exception as error:  # whatever a network can do wrong
        raise ModelError(f"{name}: fetching it from the hub broke off ({_line(error)}); try again") from error


def _ask(name: str) -> tuple[str | None, list[str]]:
    """(revision, files) as the hub names them; (None, []) where it does not answer within `SECONDS`."""
    answers: list[tuple[str | None, list[str]]] = []
    errors: list[Exception] = []

    def ask() -> None:
        try:
            info = HfApi().model_info(name, timeout=SECONDS)
            answers.append((info.sha, [file.rfilename for file in info.siblings or []]))
        except Exception as error:  # told below, in the thread that can raise
            errors.append(error)

    # a thread of its own, because no time-out of a library covers the look-up of the hub's address
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(SECONDS)
    for error in errors:
        if isinstance(error, GatedRepoError):
            raise ModelError(f"{name}: the hub gives it only to those who accepted its terms and are logged in")
        if isinstance(error, RepositoryNotFoundError):
            raise ModelError(f"{name}: no such path here, and the hub knows no such model (or it is private)")
    return answers[0] if answers else (None, [])


def _cached(name: str) -> Path:
    try:
        return Path(snapshot_download(name, allow_patterns=PATTERNS, local_files_only=True))
    except Exception:
        raise ModelError(
            f"{name}: no such path here, and the hub did not answer within {SECONDS} s: offline? "
            "A built-in model, a directory or a .gguf file works without a network"
        ) from None


def _line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
