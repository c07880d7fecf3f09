"""The adapter for somebody else: with the base's public name, and no path of this machine in it."""

from pathlib import Path

from burnish.errors import MethodError
from burnish.files import new_directory, write_text
from burnish.methods.method import Method
from burnish.methods.peft_format import save_adapter
from burnish.models.load import Base


def export(base: Base, method: Method, template: str | None, out: Path) -> list[str]:
    """Write `adapter_config.json`, `adapter_model.safetensors` and the chat template; returns what to say."""
    if not method.makes_adapter:
        raise MethodError(f"{method.name} makes a whole model, not an adapter; use --to merged")
    with new_directory(out) as temporary:
        save_adapter(base.model, method, temporary, base=base.name, base_sha256=base.sha256)
        if template is not None:
            write_text(temporary / "chat_template.jinja", template)
    return [f"{out}: adapter for {base.name} (sha256 {base.sha256[:12]}…); {method.readers} can read it"]
