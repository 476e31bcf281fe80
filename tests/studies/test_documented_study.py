"""The study of the tutorial is what a reader gets who types what stands there."""

from pathlib import Path

import pytest
from documented import blocks, executed, typed, written

PAGE = Path(__file__).parents[2] / "docs" / "copper-in-germany.md"
BLOCKS = [*blocks(PAGE.read_text(encoding="utf-8"))]
#: Commands that compute nothing, and take a tenth of a second each.
CHECKS = ("ndmc new", "ndmc check")


def missing(text, printed):
    """Return the lines of a block that are not printed, in their order; `...` is any number."""
    lines = iter(" ".join(one.split()) for one in printed)
    wanted = [" ".join(one.split()) for one in text.splitlines()]
    return [one for one in wanted if one not in ("", "...") and one not in lines]


def followed(folder, understood):
    """Do what the page says, step by step, and return how many outputs were as it has them."""
    printed, compared = None, 0
    for file, kind, text in BLOCKS:
        if file:
            written(folder / file, text)
        elif kind == "text" and printed is not None:
            assert missing(text, printed) == []
            compared += 1
        elif kind == "sh":
            printed = typed(text, folder) if understood(text) else None
        elif kind == "python":
            printed = executed(text) if understood(text) else None
    return compared


def test_each_step_is_checked_and_prints_what_the_page_says(tmp_path):
    """From the empty folder to the variants, and the scenario on the other."""

    def quick(text):
        return text.startswith(CHECKS) and "--variant" not in text

    assert followed(tmp_path, quick) == 3
    typed("ndmc check my_copper --variant both\nndmc check my_copper_stagnant", tmp_path)
    typed("ndmc run my_copper --variant both -n 256 --keep none --percentiles bill", tmp_path)


@pytest.mark.torture
def test_all_that_is_printed_is_what_the_page_says(tmp_path, monkeypatch):
    """Runs, percentiles, shares and the comparison of policies, too."""
    monkeypatch.chdir(tmp_path)
    assert followed(tmp_path, lambda text: True) == 9
