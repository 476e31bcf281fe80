"""Charts: text that stays text, nothing cut off, the same bytes every time, one message if not."""

import csv
import io
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import matplotlib
import matplotlib.image
import pytest
from command import ndmc
from strategies import python

from ndmc.errors import InputError, RunError
from ndmc.scenario.quality import rate
from ndmc.studies.ratings import Rated
from ndmc.views.charts import check_file
from ndmc.views.quality_map import csv_table, write_quality
from ndmc.views.shifts import Shift, write_picture

ODD = 'a<b & "c" $x_1$ \\alpha {}'
LONG = "a very long name of something, " * 4


def rated(method, title="x", levels=None, **scores):
    """Return a row of the map of quality."""
    return Rated(title, "", 1, rate(method, scores, levels))


RATED = [
    rated("laner", "motors", {"temporal": "low"}, reliability=2, temporal=3),
    rated("pedigree", ODD, reliability=2, basic=1.05),
    rated("hedbrant_soerme", LONG, level=5),
]
SHIFTS = [
    Shift("imports", 1.2, 0.6, False),
    Shift(ODD, -0.3, 1.0, False),
    Shift(LONG, 171.6, 0.9, True),
    Shift("exports", -8.7, 0.9, True),
]
CHARTS = {
    "quality": lambda path, title: write_quality(path, title, RATED),
    "one score": lambda path, title: write_quality(path, title, RATED[2:]),
    "shifts": lambda path, title: write_picture(path, title, SHIFTS),
    "none moved": lambda path, title: write_picture(path, title, []),
}
every_chart = pytest.mark.parametrize("write", CHARTS.values(), ids=CHARTS)


def texts(path):
    """Return the texts of a drawing."""
    root = ElementTree.parse(path).getroot()
    return ["".join(item.itertext()) for item in root.iter() if item.tag.endswith("}text")]


@every_chart
@pytest.mark.parametrize("suffix", [".svg", ".PNG", ".pdf"])
def test_the_same_chart_has_the_same_bytes(write, suffix, tmp_path):
    """Whatever was drawn before, and whatever a user's own style is, which stays as it was."""
    write(tmp_path / f"one{suffix}", "A chart")
    with matplotlib.rc_context({"font.size": 30, "axes.grid": True, "svg.fonttype": "path"}):
        write(tmp_path / f"two{suffix}", "A chart")
        assert matplotlib.rcParams["font.size"] == 30
    one = (tmp_path / f"one{suffix}").read_bytes()
    assert one == (tmp_path / f"two{suffix}").read_bytes()
    assert len(one) > 5000


@every_chart
def test_nothing_is_cut_off(write, tmp_path):
    """A margin on every side is blank, however long the names are."""
    write(tmp_path / "a.png", LONG)
    page = matplotlib.image.imread(tmp_path / "a.png")[..., :3]
    for edge in (page[:12], page[-12:], page[:, :12], page[:, -12:]):
        assert (edge == 1).all()
    assert page.min() < 0.1


@every_chart
def test_a_title_is_text_whatever_it_holds(write, tmp_path):
    """It can be searched; no letter of it is markup or a formula, no line break breaks a line."""
    write(tmp_path / "a.svg", f"{ODD}\n\x1b\x00é")
    shown = f"{ODD}\\n\\x1b\\x00é"
    assert shown in texts(tmp_path / "a.svg")
    root = ElementTree.parse(tmp_path / "a.svg").getroot()
    assert root.find("{http://www.w3.org/2000/svg}title").text == shown


def test_the_map_of_quality_says_all(tmp_path):
    """Names, scores with their sensitivity, cv, distribution and method, in words."""
    write_quality(tmp_path / "a.svg", "Copper", RATED)
    heads = ["motors", ODD, LONG, "reliability", "temporal", "basic", "level"]
    cells = ["2", "3 low", "1.05", "5", "7.6 %, normal (laner)"]
    legend = ["cv (%)", "best", "worst", "score within its method"]
    assert set(heads + cells + legend) <= set(texts(tmp_path / "a.svg"))


def test_colors_follow_the_scores(tmp_path):
    """The best score of every method has one color, the worst another, and each its own."""
    rows = [rated("laner", reliability=n) for n in range(1, 5)]
    rows += [rated("hedbrant_soerme", level=n) for n in (1, 5)]
    write_quality(tmp_path / "a.svg", "x", rows)
    mesh = (tmp_path / "a.svg").read_text().split('id="QuadMesh_1"')[1].split("</g>")[0]
    colors = re.findall(r"fill: (#\w+)", mesh)
    assert len(set(colors[:4])) == 4
    assert colors[4:] == [colors[0], colors[3]]


def test_the_picture_of_shifts_says_all(tmp_path):
    """Names, a legend, and the number of what moved too far to be shown."""
    write_picture(tmp_path / "a.svg", "A market", SHIFTS)
    found = [text.strip() for text in texts(tmp_path / "a.svg")]
    named = [*(shift.title.strip() for shift in SHIFTS), "+171.6", "-8.7"]
    legend = ["as measured, 95 %", "reconciled, 95 %", "rejected"]
    assert set(named + legend) <= set(found)
    assert "moved, in standard deviations as measured" in found
    write_picture(tmp_path / "b.svg", "A market", SHIFTS[:2])
    assert "rejected" not in texts(tmp_path / "b.svg")


def test_letters_that_no_font_has(tmp_path):
    """Who looks at an SVG may have them; what cannot show them is refused, and whose they are."""
    rows = [rated("laner", "鉄鋼", expert=1)]
    write_quality(tmp_path / "a.svg", "x", rows)
    assert "鉄鋼" in texts(tmp_path / "a.svg")
    message = "--quality: png has no letter '鉄', which is in '鉄鋼'; draw .svg"
    with pytest.raises(InputError, match=f"^{message}$"):
        write_quality(tmp_path / "a.png", "x", rows)
    assert not (tmp_path / "a.png").exists()


def test_a_table_of_scores_holds_any_name():
    """Names are text, whatever letters they have."""
    table = csv.DictReader(io.StringIO(csv_table([rated("laner", ODD, expert=1)])))
    assert next(table)["parameter"] == ODD


@pytest.mark.parametrize("name", ["a.gif", "a", "svg"])
def test_other_suffixes_are_refused(name):
    """What is allowed stands in one message."""
    with pytest.raises(InputError, match=r"--quality: .*must end in .svg, .png, .pdf or"):
        check_file(Path(name), "--quality", ".csv")
    with pytest.raises(InputError, match=r"must end in .svg, .png or .pdf$"):
        write_picture(Path(name), "x", SHIFTS)


def test_no_scores_are_no_map(tmp_path):
    """There is nothing to draw."""
    with pytest.raises(InputError, match="no parameter has scores"):
        write_quality(tmp_path / "a.svg", "x", [])


@every_chart
def test_a_file_that_cannot_be_written_is_named(write):
    """A folder that is not there is a failure of the work, not of the input."""
    with pytest.raises(RunError, match=r"cannot write .*all\.svg.: No such file"):
        write(Path("/nowhere/at/all.svg"), "x")


@pytest.mark.parametrize(
    "command",
    [["check", "uk_ree", "--quality", "a.svg"], ["reconcile", "no", "--picture", "a.svg"]],
)
def test_without_matplotlib_one_message_comes_first(command, tmp_path):
    """It says what to install, before anything is read or computed."""
    code = f"""
import os, sys
sys.modules["matplotlib"] = None
os.chdir({str(tmp_path)!r})
sys.argv, sys.stderr = ["ndmc", *{command}], sys.stdout
try:
    from ndmc.cli import main
    main()
except SystemExit as end:
    print(end.code)
"""
    option = command[2]
    asked = "the picture is drawn by matplotlib; install it with: pip install matplotlib"
    assert python(code).splitlines() == [f"error: {option}: {asked}", "2"]
    assert not list(tmp_path.iterdir())


def test_a_home_that_cannot_be_written_is_not_spoken_of(tmp_path):
    """Matplotlib would say it twice beside every picture; elsewhere it logs as it did before."""
    code = """
import logging, os, sys
sys.stderr = sys.stdout
os.environ["MPLCONFIGDIR"] = "/dev/null/home"
from pathlib import Path
from ndmc.views.charts import check_file, write_chart
check_file(Path("a.svg"), "--picture")
write_chart(Path(sys.argv[1]), "x", lambda figure: figure.subplots())
print(logging.getLogger("matplotlib").level == logging.NOTSET)
"""
    assert python(code, tmp_path / "a.svg") == "True"


def test_a_table_needs_no_matplotlib(tmp_path):
    """Scores as CSV are written without drawing."""
    code = """
import sys
sys.modules["matplotlib"] = None
from pathlib import Path
from ndmc.scenario.quality import rate
from ndmc.studies.ratings import Rated
from ndmc.views.quality_map import write_quality
write_quality(Path(sys.argv[1]), "x", [Rated("content", "", 1, rate("laner", {"expert": 2}))])
"""
    python(code, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text().startswith("parameter,labels,cells,method,expert,cv")


def test_a_backend_that_is_none_is_named(monkeypatch, tmp_path):
    """Matplotlib cannot be imported with one, which is said before anything is read."""
    monkeypatch.setenv("MPLBACKEND", "bogus")
    for asked in (["check", "no", "--quality", "a.png"], ["reconcile", "no", "--picture", "a.svg"]):
        done = ndmc(*asked, folder=tmp_path)
        message = f"error: {asked[2]}: matplotlib has no backend 'bogus'; unset MPLBACKEND\n"
        assert (done.code, done.out, done.err) == (2, "", message)
