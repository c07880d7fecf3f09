"""General knowledge: four given answers to each question, of which the right one should be the likeliest.

The model is asked in its own chat template and the options are not shown to it. An option's likelihood is its mean
log-probability per token (end of turn not counted), as for labels; an answer is right where the right option's is
higher than that of every wrong one. The margin is the right option's minus the best wrong one's.
"""

from collections.abc import Sequence

from burnish.proof.probe import Asking, Item, asked, data_of, line_of
from burnish.proof.summary import Line


class _Knowledge:
    name = "knowledge"
    chunk = 25

    def items(self) -> list[Item]:
        """The questions."""
        rows = data_of(self.name)["questions"]
        return [Item(row["id"], row["question"], row["right"], tuple(row["wrong"])) for row in rows]

    def fits(self, item: Item, asking: Asking) -> bool:
        """A question with its longest option."""
        return asking.fits(item)

    def measure(self, items: Sequence[Item], asking: Asking) -> list[Line]:
        """Right or wrong, and the margin in nats per token."""
        renderer = asking.renderer
        options = [(item.right, *item.wrong) for item in items]
        tokens = [
            [renderer.answer(item.request, option) for option in row] for item, row in zip(items, options, strict=True)
        ]
        sums = asking.engine.continuations([renderer.prompt(item.request) for item in items], tokens)
        lines = []
        for item, row, given, totals in zip(items, options, tokens, sums, strict=True):
            means = [total / len(ids) for total, ids in zip(totals, given, strict=True)]
            best = max(range(len(row)), key=lambda i: (means[i], i))  # a tie is not right
            found = {
                "answer": row[best],
                "expected": item.right,
                "score": 1.0 if best == 0 else 0.0,
                "other_scores": {"margin": means[0] - max(means[1:])},
                "label_scores": dict(zip(row, means, strict=True)),
                "answer_tokens": len(given[best]),
                "reference_nats": -totals[0],
                "reference_tokens": len(given[0]),
            }
            lines.append(line_of(self, item, asking, {**asked(item, asking), **found}))
        return lines


probe = _Knowledge()
