"""burnish beside TRL with PEFT, on the same work, in one run: python -m bench.peers [WORK] [--cases a b c d].

Builds an environment from bench/peers.txt (the torch that burnish has) under WORK, writes the cases (bench/cases.py),
and runs each program in a process of its own, nothing beside it, burnish before and after TRL's best. TRL appears as
its settings are when nobody touches them, in the best of several configurations (both found by short tries) and in
fp32 with checkpointing; ratios are against the best. Both sides get the same start of LoRA, the same records in the
same updates and the same constant rate, so losses are compared update by update with TRL's in fp32. The last line on
standard output is JSON; it also stands in bench/results/tables/peers.json, where cases that were not asked for stay as
they were. Where bf16 is no faster than fp32, both sides compute in fp32, and the numbers stand in a table of their own
(peers-avx2.json); so they do, where a processor with AVX-512 is asked to do without it, on both sides:
ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 python -m bench.peers
There TRL untouched is left out: it computes in bf16 all the same, and two updates take more than ten minutes.
With `--device cuda` both sides run on the GPU (peers-cuda.json), and their first updates, in which kernels are loaded,
are left out of the rates; `--python` names the Python of an environment that is there already.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import torch

from bench.cases import Case, cases
from bench.tables import keep, kept
from burnish.methods.method import Start, method_from
from burnish.methods.peft_format import save_adapter
from burnish.models.device import bf16_is_faster
from burnish.models.load import load_base

ROOT = Path(__file__).resolve().parent.parent
TRIED, ALL = 2, 10**6  # updates of a try, whose first, which compiles, is not timed; a GPU's are soon done


@dataclass(frozen=True)
class Configuration:
    """How TRL is run."""

    weights: str
    compute: str
    checkpointing: bool
    batch: int

    def __str__(self) -> str:
        how = "weights bf16" if self.weights == "bf16" else "bf16 autocast" if self.compute == "bf16" else "fp32"
        return f"{how}, checkpointing {'on' if self.checkpointing else 'off'}, batch {self.batch}"


REFERENCE = Configuration("fp32", "fp32", True, 8)
UNTOUCHED = Configuration("fp32", "bf16", True, 8)  # what TRL 1.16 does where nothing is set
BATCHES = (1, 4, 8)


@dataclass(frozen=True)
class Bench:
    """Where things are."""

    work: Path
    python: Path
    model: Path
    device: str

    @property
    def skip(self) -> int:
        """Updates that are not timed."""
        return 2 if self.device == "cuda" else 0

    def trl(self, case: Case, how: Configuration, updates: int = ALL) -> dict[str, object]:
        """One run of TRL."""
        adapter = "-" if case.full else str(self.work / "adapter")
        given = [how.weights, how.compute, "yes" if how.checkpointing else "no", str(how.batch), str(updates)]
        return self._run([str(self.python), str(ROOT / "bench" / "peer_trl.py")], case, [adapter, *given, self.device])

    def burnish(self, case: Case, dtype: str, updates: int = ALL) -> dict[str, object]:
        """One run of burnish."""
        return self._run([sys.executable, "-m", "bench.peer_burnish"], case, [dtype, str(updates), self.device])

    def bound(self, case: Case, dtype: str) -> float:
        """Seconds of the unavoidable products."""
        command = [sys.executable, "-m", "bench.bound", str(self.case(case)), str(self.model), dtype, self.device]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return float(json.loads(done.stdout.splitlines()[-1])["seconds"])

    def case(self, case: Case) -> Path:
        """The file of a case."""
        return self.work / f"case-{case.name}.json"

    def _run(self, program: Sequence[str], case: Case, more: Sequence[str]) -> dict[str, object]:
        result = self.work / "result.json"
        result.unlink(missing_ok=True)
        command = [*program, str(self.case(case)), str(self.model), str(result), *more]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode or not result.is_file():
            sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-4000:]}")
        found: dict[str, object] = json.loads(result.read_text(encoding="utf-8"))
        return found


def rate_of(result: dict[str, object], skip: int) -> float:
    """Tokens of records a second, over all updates but the first `skip` of them."""
    seconds = result["seconds"]
    assert isinstance(seconds, list)
    share = (len(seconds) - skip) / len(seconds)
    return float(str(result["tokens"])) * share / sum(seconds[skip:])


def tried(bench: Bench, case: Case, compute: str) -> dict[Configuration, float]:
    """Tokens a second of TRL's configurations: untouched, batch sizes, then a frozen base in bf16 at the best of them.

    Trained weights in bf16 would lose their updates, so full fine-tuning is not tried with them.
    """
    found: dict[Configuration, float] = {}

    def take(how: Configuration) -> None:
        few = bench.device == "cpu"
        found[how] = rate_of(bench.trl(case, how, TRIED if few else ALL), 1 if few else bench.skip)
        print(f"  tried TRL, {how}: {found[how]:.0f} tokens/s", flush=True)

    if compute == "bf16":
        take(UNTOUCHED)
    for batch in BATCHES if bench.device == "cpu" else BATCHES[-1:]:  # a GPU is quickest with the most at once
        take(Configuration("fp32", compute, False, batch))
    if compute == "bf16" and not case.full:
        take(replace(max(found, key=lambda how: found[how]), weights="bf16"))
    return found


def losses_of(result: dict[str, object]) -> list[float]:
    """The loss of every update."""
    losses = result["losses"]
    assert isinstance(losses, list)
    return losses


def apart(reference: Sequence[float], losses: Sequence[float]) -> float:
    """The largest difference of an update's loss, as a share of the first one."""
    return max(abs(a - b) for a, b in zip(reference, losses, strict=True)) / reference[0]


def build(work: Path) -> Path:
    """The peers' environment; returns its Python."""
    python = work / "env" / "bin" / "python"
    if not (work / "env" / "ready").is_file():
        print("building the peers' environment", flush=True)
        venv.create(work / "env", with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "--quiet"]
        subprocess.run([*install, f"torch=={torch.__version__.partition('+')[0]}"], check=True)
        subprocess.run([*install, "-r", str(ROOT / "bench" / "peers.txt")], check=True)
        (work / "env" / "ready").touch()
    return python


def compare(bench: Bench, case: Case, dtype: str) -> dict[str, object]:
    """All numbers of one case."""
    print(f"case {case.name}: {len(case.documents)} records, {case.tokens:,} tokens, {case.source}", flush=True)
    rated = tried(bench, case, dtype)
    best = max(rated, key=lambda how: rated[how])
    reference = bench.trl(case, REFERENCE)  # recomputing changes no loss
    before, theirs, after = bench.burnish(case, dtype), bench.trl(case, best), bench.burnish(case, dtype)
    bound = bench.bound(case, dtype)
    rates = {
        "burnish": (rate_of(before, bench.skip) + rate_of(after, bench.skip)) / 2,
        "trl": rate_of(theirs, bench.skip),
        "trl_fp32": rate_of(reference, bench.skip),
    }
    peaks = {
        "burnish": max(int(str(r["peak_bytes"])) for r in (before, after)),
        "trl": int(str(theirs["peak_bytes"])),
        "trl_fp32": int(str(reference["peak_bytes"])),
    }
    wanted, found = losses_of(reference), losses_of(after)
    difference = apart(wanted, found)
    result = {
        "tokens_per_second_ratio": rates["burnish"] / rates["trl"],
        "memory_ratio": peaks["burnish"] / peaks["trl"],
        "bound_share": bound * rates["burnish"] / case.tokens,
        "loss_max_relative_difference": difference,
        "trl_loss_max_relative_difference": apart(wanted, losses_of(theirs)),
        "records": len(case.documents),
        "tokens": case.tokens,
        "source": case.source,
        "date": datetime.now(UTC).date().isoformat(),
        "tokens_per_second": rates,
        "peak_bytes": peaks,
        "trl_best": str(best),
        **({"trl_untouched": rated[UNTOUCHED]} if UNTOUCHED in rated else {}),
        "trl_tried": {str(how): rate for how, rate in rated.items()},
        "burnish_twice": [rate_of(before, bench.skip), rate_of(after, bench.skip)],
        "losses": {"burnish": found, "trl_fp32": wanted, "trl": losses_of(theirs)},
    }
    untouched = f", untouched {rated[UNTOUCHED]:.0f}" if UNTOUCHED in rated else ""
    print(
        f"  burnish {rates['burnish']:.0f} tokens/s, TRL at its best ({best}) {rates['trl']:.0f}{untouched}, "
        f"in fp32 {rates['trl_fp32']:.0f}; memory {peaks['burnish'] / 1e9:.1f}, "
        f"{peaks['trl'] / 1e9:.1f} and {peaks['trl_fp32'] / 1e9:.1f} GB; "
        f"{100 * bound * rates['burnish'] / case.tokens:.0f} % of the time is "
        f"products that cannot be avoided; losses differ by at most {100 * difference:.2f} % of the first",
        flush=True,
    )
    return result


def main() -> None:
    """Build, write the cases, compare, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, nargs="?", default=Path(tempfile.gettempdir()) / "burnish-peers")
    parser.add_argument("--cases", nargs="+", default=["a", "b", "c", "d"], choices=["a", "b", "c", "d"])
    parser.add_argument("--records", type=int, help="only the first so many of each case")
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--python", type=Path, help="the Python of an environment that has bench/peers.txt")
    given = parser.parse_args()
    work = given.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    python = given.python or build(work)
    base = load_base(given.model, dtype="fp32", device="cpu")
    made = cases(base, given.cases)
    lora = method_from("lora")
    lora.attach(base.model, Start(torch.Generator().manual_seed(0)))
    save_adapter(base.model, lora, work / "adapter", base=str(base.path), base_sha256=base.sha256)
    bench = Bench(work, python, base.path, given.device)
    del base
    dtype = "bf16" if given.device == "cuda" or bf16_is_faster() else "fp32"
    result: dict[str, object] = {}
    for whole in made:
        case = replace(whole, documents=whole.documents[: given.records])
        case.write(bench.case(case))
        result = _kept_with(case.name, compare(bench, case, dtype), python, dtype, given.device)
    print(json.dumps(result))


def _kept_with(name: str, found: dict[str, object], python: Path, dtype: str, device: str) -> dict[str, object]:
    """Write the table with one more case; what was measured before an interruption is not lost."""
    table = "peers" if dtype == "bf16" else f"peers-{torch.backends.cpu.get_cpu_capability().lower()}"
    machine = f"{platform.machine()}, {torch.get_num_threads()} threads, {dtype}"
    if device == "cuda":
        table, machine = "peers-cuda", f"{torch.cuda.get_device_name()}, {dtype}"
    every = dict(sorted({**(kept(table) or {"cases": {}})["cases"], name: found}.items()))
    first = next(iter(every.values()))  # case a, once it was measured
    keys = ("tokens_per_second_ratio", "memory_ratio", "bound_share", "loss_max_relative_difference")
    result = {
        **{key: first[key] for key in keys},
        "cases": every,
        "machine": machine,
        "versions": {"torch": torch.__version__, "trl": _version(python, "trl"), "peft": _version(python, "peft")},
    }
    keep(table, result)
    return result


def _version(python: Path, package: str) -> str:
    code = f"from importlib.metadata import version; print(version({package!r}))"
    return subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()
