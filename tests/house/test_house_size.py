"""Files of at most 400 lines, functions of at most 60, commands of at most 40, and no room for odds and ends."""

import re

from tests.house.source import all_sources, functions

LINES, FUNCTION, COMMAND = 400, 60, 40
EMPTY_WORDS = re.compile(r"(^|_)(utils?|helpers?|common|managers?|misc|tools)(_|$)", re.IGNORECASE)


def test_files_are_short() -> None:
    counts = {source.where: source.text.count("\n") for source in all_sources()}
    assert {where: count for where, count in counts.items() if count > LINES} == {}


def test_functions_are_short() -> None:
    found = {}
    for source in all_sources():
        limit = COMMAND if source.where.startswith(("burnish/cli", "burnish/server")) else FUNCTION
        for function in functions(source):
            assert function.end_lineno is not None
            length = function.end_lineno - function.lineno + 1
            if length > limit:
                found[f"{source.where}:{function.lineno} {function.name}"] = length
    assert found == {}


def test_names_say_what_is_inside() -> None:
    paths = {part for source in all_sources() for part in (source.path.stem, source.path.parent.name)}
    assert sorted(name for name in paths if EMPTY_WORDS.search(name)) == []
