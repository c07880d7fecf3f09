"""Whether the report notices forgetting: python -m bench.forgetting DATA [--records 60] [--held-out 20] [a.b=c ...].

Two runs on the same few records: full fine-tuning at twenty times its default rate, which must be `lost`, and LoRA at its default,
which must not be. Prints the words and the numbers behind them; exits with 1 where a word is the wrong one.
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

TIMES = 20


def main() -> int:
    """Read the arguments, make both runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target")
    parser.add_argument("changes", nargs="*")
    parser.add_argument("--records", type=int, default=60)
    parser.add_argument("--held-out", type=int, default=20)
    given = parser.parse_args()
    rate = TIMES * method_from("full").learning_rate(count_parameters(load_base(DEFAULT_MODEL).model))
    limits = (f"data.limit.train={given.records}", f"data.limit.held_out={given.held_out}", "data.validation=20")
    prompts = ("proof.few_shot=[]", "proof.similar=[]")
    wrong = 0
    for method, more, expected in (
        ("full", (f"training.learning_rate={rate}",), ("lost",)),
        ("lora", (), ("kept", "not_shown")),
    ):
        with tempfile.TemporaryDirectory() as folder:
            report = burnish.run(
                given.target, f"method={method}", *more, *limits, *prompts, *given.changes, out=Path(folder) / "run"
            )
        assert report.retention is not None
        wrong += report.retention.kept not in expected
        print(f"{method}: {report.retention.kept} (expected {' or '.join(expected)})", flush=True)
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
