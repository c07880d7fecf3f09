"""Whether the report notices forgetting: python -m bench.forgetting DATA [--records 60] [--held-out 20] [a.b=c ...].

Three runs on the same few records: full fine-tuning at twenty times its default rate, which must be `lost`;
LoRA at its default, whose word is shown as it comes out (on 60 TREC questions it answers 30 of 40 general requests
with a label, and is `lost`); LoRA at a twentieth of that, which must not be lost.
Prints the words and the numbers behind them; exits with 1 where a word is the wrong one.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import burnish
from burnish.methods.method import method_from
from burnish.models.load import load_base
from burnish.models.parameters import count_parameters
from burnish.pipeline.start import DEFAULT_MODEL

CASES = (("full", 20, ("lost",)), ("lora", 1, ()), ("lora", 1 / 20, ("kept", "not_shown")))  # times the default rate


def main() -> int:
    """Read the arguments, make the runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target")
    parser.add_argument("changes", nargs="*")
    parser.add_argument("--records", type=int, default=60)
    parser.add_argument("--held-out", type=int, default=20)
    given = parser.parse_args()
    parameters = count_parameters(load_base(DEFAULT_MODEL).model)
    limits = (f"data.limit.train={given.records}", f"data.limit.held_out={given.held_out}", "data.validation=20")
    prompts = ("proof.few_shot=[]", "proof.similar=[]")
    wrong = 0
    for method, times, expected in CASES:
        rate = times * method_from(method).learning_rate(parameters)
        own = (f"method={method}", f"training.learning_rate={rate:g}", *limits, *prompts, *given.changes)
        with tempfile.TemporaryDirectory() as folder:
            report = burnish.run(given.target, *own, out=Path(folder) / "run")
        assert report.retention is not None
        wrong += bool(expected) and report.retention.kept not in expected
        said = f" (expected {' or '.join(expected)})" if expected else ""
        print(f"{method} at {rate:g}: {report.retention.kept}{said}", flush=True)
        for p in report.retention.probes:
            ends = f"[{p.low:+.3f}, {p.high:+.3f}]"
            print(
                f"  {p.name}: base {p.base:.3f}, tuned {p.tuned:.3f}, {p.difference:+.3f} {ends} {p.unit}, n {p.count}"
            )
        seconds = report.cost.stage_seconds["retention"]
        print(
            f"  {report.verdict.sentence}\n  retention took {seconds:.0f} s, training {report.cost.train_seconds:.0f} s"
        )
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
