"""The check page: what is in the data, what is dropped, and which tokens are trained, before anything runs."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from burnish.data.dataset import DataCounts, Dataset
from burnish.data.fit import TokenizedDataset
from burnish.data.tokenize import Encoder
from burnish.types import TokenizedExample

SHOWN = 160  # tokens of an example that are shown; more are left out in the middle of the page, never of the data
SURPRISING = 0.05  # share of empty records from which something is said about them
SHADES = {
    "trained": ("green", "bright_green"),
    "given": ("white", "bright_black"),
    "special": ("magenta", "magenta"),
    "left_out": ("white", "white"),
}


def check_page(
    tokenized: TokenizedDataset, encoder: Encoder, *, colour: bool = True, examples: int = 3
) -> RenderableType:
    """The page. Without colour, trained tokens stand in [[double brackets]] and control tokens as they are."""
    documents = tokenized.train
    lines = [Text(line) for line in (*summary(tokenized.dataset), *_lengths(tokenized), *_encoding(tokenized, encoder))]
    lines += [Text(""), _legend(colour)]
    for document in _chosen(documents, examples):
        lines += [Text(""), Text(f"{document.id}: {len(document.tokens)} tokens, {document.targets} trained", "bold")]
        lines.append(_coloured(document, encoder, colour))
    return Group(*lines)


def masks(tokenized: TokenizedDataset, encoder: Encoder, examples: int = 3) -> list[dict[str, object]]:
    """The same examples as plain values, for a report: `pieces` are (kind, text) of each token.

    Kinds: given, special, trained, "trained special", and left_out for what a long document has in its middle.
    """
    return [
        {
            "id": document.id,
            "tokens": len(document.tokens),
            "trained": document.targets,
            "pieces": [list(piece) for piece in _pieces(document, encoder)],
        }
        for document in _chosen(tokenized.train, examples)
    ]


def summary(dataset: Dataset) -> list[str]:
    """Counts and remarks that need no tokenizer, a line each."""
    counts = dataset.counts
    columns = ", ".join(f"{ours} <- {column}" for ours, column in dataset.columns.items())
    lines = [f"format {dataset.format}, task {dataset.kind}" + (f" ({columns})" if columns else "")]
    lines.append(accounting(counts))
    for reason, ids in counts.dropped_ids.items():
        shown = ", ".join(ids[:5]) + (f" and {len(ids) - 5:,} more" if len(ids) > 5 else "")
        lines.append(f"  dropped as {reason}: {shown}")
        if reason == "empty" and dataset.kind != "text" and len(ids) > SURPRISING * counts.given:
            lines.append(
                '  an empty answer is not learned; where it means something, write a word there, such as "none"'
            )
    if counts.duplicates:
        lines.append(f"{counts.duplicates:,} records repeat an earlier one, question and answer; they are kept")
    if dataset.labels is not None:
        shown = ", ".join(dataset.labels[:12]) + (" ..." if len(dataset.labels) > 12 else "")
        lines.append(f"{len(dataset.labels)} labels: {shown}")
    if counts.unseen_labels:
        lines.append(f"{counts.unseen_labels:,} validation or held-out records have a label that train does not have")
    return [*lines, *counts.label_variants, *counts.notes]


def accounting(counts: DataCounts) -> str:
    """Where every record is: `300 records = 216 train + 24 validation + 60 held out`."""
    parts = [f"{counts.train:,} train", f"{counts.validation:,} validation", f"{counts.held_out:,} held out"]
    parts += [f"{number:,} dropped ({reason})" for reason, number in counts.dropped.items()]
    parts += [f"{counts.unused:,} unused (beyond data.limit)"] if counts.unused else []
    return f"{counts.given:,} records = " + " + ".join(parts)


def _lengths(tokenized: TokenizedDataset) -> list[str]:
    documents = tokenized.train
    tokens, targets = [len(document.tokens) for document in documents], [document.targets for document in documents]
    lines = [
        f"tokens of a training document: {_spread(tokens)}; longest allowed {tokenized.max_length:,}",
        f"trained tokens of it: {_spread(targets)}",
        f"{sum(targets):,} of {sum(tokens):,} training tokens are trained ({sum(targets) / sum(tokens):.1%})",
    ]
    return [*lines, f"raw documents in {tokenized.windows:,} windows"] if tokenized.windows else lines


def _spread(values: Sequence[int]) -> str:
    ordered = sorted(values)
    high = ordered[min(int(0.95 * len(ordered)), len(ordered) - 1)]
    return f"median {ordered[len(ordered) // 2]:,}, 95 % up to {high:,}, most {ordered[-1]:,}"


def _encoding(tokenized: TokenizedDataset, encoder: Encoder) -> list[str]:
    """The template, the tokens that end an answer, and what was special while encoding."""
    counts, template = tokenized.encoding, encoder.template
    lines = []
    if template is not None and tokenized.dataset.kind != "text":
        end = encoder.tokenizer.decode([encoder.end_of_turn])
        lines.append(
            f"chat template {template.name}; an answer ends with {end}; generation stops at {encoder.stop_words}"
        )
        lines += template.notes + template.role_notes(tokenized.dataset.roles)
    if counts.apart:
        lines.append(f"{counts.apart:,} answers are encoded apart, since they would merge with the end of their prompt")
    if counts.control_strings:
        lines.append(f"{counts.control_strings:,} records hold the text of a control token; it is encoded as text")
    if counts.split:
        lines.append(
            f"{counts.split:,} conversations become a document for each answer: the template rewrites earlier turns"
        )
    return lines


def _legend(colour: bool) -> Text:
    if not colour:
        return Text("[[trained]], given, <control token>:")
    legend = Text("trained", SHADES["trained"][0])
    return legend.append(" / ").append("given", SHADES["given"][0]).append(" / ").append("control", "magenta")


def _chosen(documents: Sequence[TokenizedExample], count: int) -> list[TokenizedExample]:
    """A short, a usual and a long document."""
    ordered = sorted(documents, key=lambda document: (len(document.tokens), document.id))
    places = [round(share * (len(ordered) - 1)) for share in (0.05, 0.5, 0.95, 0.25, 0.75)]
    return [ordered[place] for place in dict.fromkeys(places[:count])]


def _coloured(document: TokenizedExample, encoder: Encoder, colour: bool) -> Text:
    """A document with every token in the shade of its kind, neighbours in turn lighter and darker."""
    text = Text()
    before = ""
    for number, (kind, piece) in enumerate(_pieces(document, encoder)):
        trained = kind.startswith("trained")
        if not colour:
            text.append(
                "[[" if trained and before != "trained" else "]]" if before == "trained" and not trained else ""
            )
            before = "trained" if trained else "given"
            text.append(piece)
        else:
            style = SHADES["trained" if trained else kind][number % 2]
            text.append(piece, style + (" bold underline" if kind == "trained special" else ""))
    if before == "trained":
        text.append("]]")
    return text


def _pieces(document: TokenizedExample, encoder: Encoder) -> Iterator[tuple[str, str]]:
    """(kind, text) of each token; bytes of one character stay together; the middle of a long document is left out."""
    shown, done = "", 0
    total = len(document.tokens)
    for at, token in enumerate(document.tokens):
        if total > SHOWN + 20 and SHOWN * 3 // 4 <= at < total - SHOWN // 4:
            if at == SHOWN * 3 // 4:
                yield "left_out", f" ... {total - SHOWN} tokens ... "
            shown, done = "", at + 1
            continue
        text = str(encoder.tokenizer.decode(list(document.tokens[done : at + 1]), clean_up_tokenization_spaces=False))
        if text.endswith("�") and at + 1 < total and text != "�" * len(text):
            continue
        piece, shown = text[len(shown) :], text
        kind = "special" if token in encoder.special_ids else "given"
        if document.trained[at]:
            kind = "trained special" if kind == "special" else "trained"
        yield kind, piece
