"""Lists in a stranger's columns, for `burnish init`: the choices of a question, the words of a sentence."""

import re
from collections.abc import Sequence

from burnish.data.layout import as_text, shown, spelled, value_at
from burnish.data.settings import BLANK, MARKS, DataSettings, placeholders
from burnish.data.sources import Source
from burnish.errors import RecipeError

SAMPLE = 5000  # records that are looked at
CHOICES = ("choices", "options", "alternatives", "endings", "candidates")
TEXTS = ("text", "texts", "choice", "option")  # within an object, as ARC has them
SIGNS = ("labels", "label", "marks", "keys", "letters", "choice_labels", "option_labels")
BEHIND = "stand behind the question"
PAIRS = (
    *(("premise", "hypothesis"), ("sentence1", "sentence2"), ("question1", "question2"), ("question", "sentence")),
    *(("text1", "text2"), ("text_a", "text_b")),
)
WORDS = 6  # items without blanks from which a list is a sentence cut into words
_CHOICE = re.compile(r"(option|choice|ending|candidate|alternative|answer|sol)[ _]?[0-9A-Ea-e]")


def choices(source: Source, names: Sequence[str], answer: str | None) -> tuple[str, list[str]]:
    """What a question of several choices lets one choose from, as the end of a prompt, and what is said about it.

    A column with a list of them, marked as the answers are ("B", "2") or as a second list says; an object with a mark
    before each; or a column for each, as option1 and option2. ("", []) where a record has no choices.
    """
    several = [name for name in names if _CHOICE.fullmatch(name) and name != answer]
    answers = [as_text(record.values.get(answer or "")).strip() for record in source.records[:SAMPLE]]
    if len(several) > 1:
        lines = [f"{sign}: {{{name}}}" for sign, name in zip(_ends(several, answers), several, strict=True)]
        return "\n\n" + "\n".join(lines), [f"the columns {shown(several)} {BEHIND}"]
    column = spelled(names, CHOICES, [answer or ""])
    if column is None:
        return "", []
    keys = _keys(source, column)
    if keys:
        lines = [f"{key}: {{{column}.{key}}}" for key in keys]
        return "\n\n" + "\n".join(lines), [f'the choices of the column "{column}" {BEHIND}']
    inside = source.records[0].values.get(column)
    within = [f"{column}.{key}" for key in inside] if isinstance(inside, dict) else []
    name = spelled(within, [f"{column}.{text}" for text in TEXTS]) if within else column
    listed = _lists(source, name) if name is not None else None
    if name is None or listed is None:
        return "", []
    mark = _counted(listed, answers)
    if not mark or not all(a in MARKS[mark][: len(given)] for a, given in zip(answers, listed, strict=True)):
        others = [*within, *(other for other in names if other not in (column, answer))]
        mark = _signed(source, listed, others, answers) or mark
    ending = f"{{{name}:{mark}}}" if mark else f"{{{name}}}"
    return f"\n\n{ending}", [f'the choices of the column "{column}" {BEHIND}']


def choice_columns(names: Sequence[str]) -> set[str]:
    """The columns that hold choices, so that none of them is taken for the question."""
    several = {name for name in names if _CHOICE.fullmatch(name)}
    column = spelled(names, CHOICES)
    return (several if len(several) > 1 else set()) | ({column} if column is not None else set())


def paired(names: Sequence[str]) -> tuple[str, str] | None:
    """Two columns that are judged together, as premise and hypothesis are."""
    pairs = ((spelled(names, [first]), spelled(names, [second])) for first, second in PAIRS)
    return next(((first, second) for first, second in pairs if first is not None and second is not None), None)


def writable(name: str) -> bool:
    """Whether a template can name this column; some end in a colon or a full stop."""
    try:
        return placeholders(f"{{{name}}}") == [name]
    except RecipeError:
        return False


def _ends(several: Sequence[str], answers: Sequence[str]) -> list[str]:
    """The marks of choices in a column each: their names' own ends where the answers go by them, or as they count."""
    own = [name[-1] for name in several]
    mark = _counted([list(several)] * len(answers), list(answers))
    signs = MARKS[mark][: len(several)] if mark else own
    return signs if sum(a in signs for a in answers) > sum(a in own for a in answers) else own


def _keys(source: Source, column: str) -> list[str]:
    """The marks that every record's object has before its choices, {"A": "red", "B": "blue"}; [] for other objects."""
    objects = [record.values.get(column) for record in source.records[:SAMPLE]]
    first = objects[0]
    if not isinstance(first, dict) or len(first) < 2 or not all(len(key) == 1 and key.isalnum() for key in first):
        return []
    alike = all(isinstance(other, dict) and other.keys() == first.keys() for other in objects)
    return list(first) if alike else []


def _lists(source: Source, name: str) -> list[list[object]] | None:
    """A column's lists; None where a record has none."""
    found = [value_at(record.values, name) for record in source.records[:SAMPLE]]
    lists = [value for value in found if isinstance(value, list)]
    return lists if len(lists) == len(found) else None


def _signed(source: Source, listed: list[list[object]], names: Sequence[str], answers: list[str]) -> str:
    """The column whose lists mark the choices and hold the answers, or ""."""
    for name in (name for name in names if name.rpartition(".")[2].casefold() in SIGNS):
        signs = _lists(source, name)
        if signs is not None and all(
            len(sign) == len(given) and answer in map(as_text, sign)
            for sign, given, answer in zip(signs, listed, answers, strict=True)
        ):
            return name
    return ""


def _counted(listed: list[list[object]], answers: list[str]) -> str:
    """The marks by which most answers are one of their choices; of two the first that has them all, or "" for none."""
    met = {
        mark: sum(answer in signs[: len(given)] for answer, given in zip(answers, listed, strict=True))
        for mark, signs in MARKS.items()
    }
    best = max(met, key=lambda mark: met[mark])
    return best if met[best] > len(answers) / 2 else ""


def beside(settings: DataSettings, source: Source) -> tuple[DataSettings, list[str]]:
    """The settings with lists of words written as the sentences that they are, and what is said about it."""
    if settings.format not in ("completion", "classification"):
        return settings, []
    fields, changes, notes = dict(settings.fields), {}, []
    for field, place in (("prompt", "prompt"), ("text", "prompt"), ("completion", "answer")):
        name = fields.get(field)
        if name is None or not _is_words(source, name):
            continue
        changes[place] = f"{{{name}:{BLANK}}}"
        del fields[field]
        notes.append(f'the words of the column "{name}" stand beside each other')
    return settings.model_copy(update={"fields": fields, **changes}), notes


def _is_words(source: Source, name: str) -> bool:
    """Whether a column holds sentences cut into words."""
    lists = _lists(source, name)
    if lists is None or sum(map(len, lists)) < WORDS * len(lists):
        return False
    return all(isinstance(word, str) and not re.search(r"\s", word) for words in lists for word in words)
