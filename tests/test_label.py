"""Labels as people write them are read at every door in the same way, and shown so again."""

import contextlib
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ndmc.dims import Dims
from ndmc.label import LabelError, pairs, plain_label, read_labels

LABELS = {
    "product": ("Passenger cars", "Steel, cast", "bus", "x=1", "it's", "1.10", "a/b"),
    "region": ("CN", "EU", "bus"),
    "year": ("2001", "2002", "2003"),
}
DIMS = Dims(LABELS, {"region": {"all": ("CN", "EU", "bus")}})


def read(text):
    """Return what a text names."""
    return DIMS.read(text, LABELS)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("year=2001", {"year": ["2001"]}),
        ("year=2001 product=Passenger cars", {"year": ["2001"], "product": ["Passenger cars"]}),
        ("product=Passenger cars, year=2001", {"product": ["Passenger cars"], "year": ["2001"]}),
        (" year = 2001 , 2002 ,", {"year": ["2001", "2002"]}),
        ("product=Steel, cast year=2001", {"product": ["Steel, cast"], "year": ["2001"]}),
        ("product='Steel, cast',bus", {"product": ["Steel, cast", "bus"]}),
        ('product="it\'s",a/b', {"product": ["it's", "a/b"]}),
        ("product='it''s'", {"product": ["it's"]}),
        ("product=it's", {"product": ["it's"]}),
        ("product=x=1", {"product": ["x=1"]}),
        ("product='a b=c'", {"product": ["a b=c"]}),
        ("product='a' b", {"product": ["'a' b"]}),
        ("2001, CN", {"year": ["2001"], "region": ["CN"]}),
        ("2001..2003,all", {"year": ["2001..2003"], "region": ["all"]}),
        ("year=2001,CN", {"year": ["2001"], "region": ["CN"]}),
        ("product=bus,bus", {"product": ["bus", "bus"]}),
        ("other=x, y", {"other": ["x", "y"]}),
    ],
)
def test_pairs_are_read(text, found):
    """A label ends at a comma or where the next dim begins, or stands in quotes."""
    assert read(text) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("year=", "'year' has no label"),
        ("year= product=bus", "'year' has no label"),
        ("bus", "product and region have a label 'bus'; write product=bus"),
        ("product", "'product' is a dim; write product=label"),
        ("buss", "no dim has a label 'buss'; did you mean 'bus'"),
        ("year 2001", "no dim has a label 'year 2001'.*write dim=label"),
    ],
)
def test_other_pairs_are_refused(text, message):
    """A dim without a label, and a label that is not of one dim alone."""
    with pytest.raises(LabelError, match=message):
        read(text)


LETTERS = st.sampled_from([*"ab= ,;'\"1.", "\u00fc", "u\u0308", "\n"])

TEXTS = st.lists(LETTERS, max_size=8).map("".join)


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from("xyz"), st.lists(TEXTS, min_size=1, max_size=2), max_size=3))
@example({"x": ["'", ",'"]})
def test_what_is_shown_is_read_again(labels):
    """Whatever letters labels have, and whatever stands beside them."""
    labels = {dim: [plain_label("", label) for label in some] for dim, some in labels.items()}
    for between in (" ", ", "):
        assert read_labels(pairs(labels, between), {}) == labels


@pytest.mark.parametrize("piece", [" ", "a ", "'", "a='", "x= ", "a  ", ", ", '"a" '])
def test_a_long_text_is_read_in_no_time(piece):
    """However often its reader could try again."""
    begin = time.process_time()
    with contextlib.suppress(LabelError):
        read(piece * 100_000 + "?")
    assert time.process_time() - begin < 5


@pytest.mark.parametrize(
    ("dim", "text", "message"),
    [
        ("year", "1900", "1900 lies before the years of the scenario, 2001..2003"),
        ("year", "2004.0", "2004 lies after the years of the scenario, 2001..2003"),
        ("year", "2001-01-01", "'2001-01-01' is no year; write whole numbers such as 2001"),
        ("year", "2001/02", "'2001/02' is no year"),
        ("year", "2001p", "'2001p' is no year"),
        ("year", "02001", "'02001' is no year"),
        ("product", "BUS", r"no label 'BUS' \(capitals count\); did you mean 'bus'"),
        ("product", "Passenger  cars", r"\(blanks count\); did you mean 'Passenger cars'"),
        ("product", "passengercars", r"\(capitals and blanks count\); did you mean 'Pass"),
        ("product", "CN", "'CN' is a label of region, not of product; choose one of"),
        ("product", "all", "'all' is a label of region, not of product"),
        ("region", "product", "'product' is a dim, and no label of region; choose one of"),
        ("product", "busses", "product has no label 'busses'; did you mean 'bus'"),
    ],
)
def test_what_is_no_label_is_said(dim, text, message):
    """A year is never taken for a misspelt other; what is near or stands elsewhere is named."""
    with pytest.raises(LabelError, match=message):
        DIMS.positions(dim, text)


@pytest.mark.parametrize(
    ("dim", "text", "places"),
    [
        ("year", "2002.0", (1,)),
        ("year", "2001..2002", (0, 1)),
        ("year", "2001.0 .. 2003", (0, 1, 2)),
        ("region", "all", (0, 1, 2)),
        ("product", "1.10", (5,)),
    ],
)
def test_labels_groups_and_years_have_places(dim, text, places):
    """Years may be written as spreadsheets do, and from one to another."""
    assert DIMS.chosen(dim, text) == places


def test_years_do_not_run_backwards():
    """The right way round is proposed."""
    with pytest.raises(LabelError, match=r"'2003..2001' runs backwards; write 2001..2003"):
        DIMS.chosen("year", "2003..2001")


def test_letters_are_compared_composed():
    """It makes no difference how an accent is encoded."""
    dims = Dims({"product": ("K\u00fchlschrank",), "year": ("2001",)})
    assert dims.positions("product", "Ku\u0308hlschrank") == (0,)
    assert dims.read("Ku\u0308hlschrank", dims.labels) == {"product": ["K\u00fchlschrank"]}
