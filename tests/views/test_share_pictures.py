"""Pictures of a sensitivity study: layers add up, colors stay, nothing overlaps or is cut off."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from matplotlib import style
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle, StepPatch
from matplotlib.text import Text
from product_study import study

from ndmc.errors import InputError
from ndmc.views.charts import STYLE
from ndmc.views.share_cells import read_cell
from ndmc.views.share_marks import blanks, columns_of, marks_of, short_names
from ndmc.views.share_stack import edges_of, layers_of
from ndmc.views.shares import KINDS, check_picture, draw_page, page_of, picture

LONG = "content[product=a very long name of a product, {} nobody wants to read]"


@pytest.fixture(scope="module")
def small():
    """Return a study of nine groups, the first three years of which hardly vary."""
    return study(9, quiet=3, pairs=64)


def drawn(found, kind="all", output=None, sel=None, group=None):
    """Draw a study, and return the figure and its page."""
    page, figure = page_of(*found, output, sel, group), Figure()
    with style.context(["default", STYLE]):
        draw_page(figure, page, kind)
    return figure, page


def altered(found, title="in_use_total", **changes):
    """Return a study with other values in the last year, or all of them, of an output."""
    dataset = found[0].copy(deep=True)
    for name, change in changes.items():
        variable = dataset[f"{title}_{name}"]
        variable[:] = change(variable.values)
    return dataset, found[1]


def layers(dataset, percentiles=None, output=None, sel=None):
    """Return the layers of a cell."""
    return layers_of(read_cell(dataset, percentiles, output, sel), marks_of(dataset).names)


def texts(figure):
    """Return every text that is seen, with where it stands."""
    ticks = set()
    for axes in figure.findobj(lambda one: hasattr(one, "get_xticklabels")):
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
                if not low <= tick.get_loc() <= high or not axis.get_visible():
                    ticks |= {tick.label1, tick.label2}
    return [
        (text.get_text(), text.get_window_extent())
        for text in figure.findobj(Text)
        if text.get_text().strip() and text.get_visible() and text not in ticks
    ]


# --- what is drawn --------------------------------------------------------------------------------


@pytest.mark.parametrize(("groups", "names"), [(1, 1), (5, 5), (8, 8), (9, 7), (60, 7)])
def test_layers_add_up_to_1(groups, names):
    """The largest seven stand alone, an eighth too if it is the last; interactions fill up."""
    found = layers(study(groups, pairs=32, years=4)[0])
    assert np.allclose(sum(layer.values for layer in found), 1)
    own = [layer for layer in found if layer.group is not None]
    assert len(own) == names
    assert [layer.name for layer in found[len(own) :]] == [
        *([f"{groups - 7} others"] if names < groups else []),
        "interactions",
    ]
    mean = [layer.values.mean() for layer in own]
    assert mean == sorted(mean, reverse=True)


def test_what_is_below_0_is_drawn_below_0(small):
    """A share below 0 is neither cut nor hidden by another, which is said; all add up to 1."""
    found = altered(small, first_order=lambda x: np.vstack([x[:8], np.full((1, 21), -0.2)]))
    figure, page = drawn(found, "years")
    stack = figure.axes[1]
    patches = [one for one in stack.patches if isinstance(one, StepPatch)]
    height = sum(one.get_data().values - one.get_data().baseline for one in patches)
    assert np.allclose(height, 1)
    assert stack.get_ylim()[0] < -0.2
    assert min(np.min(one.get_data().values) for one in patches) <= -0.2
    assert "estimates below 0 are drawn below 0" in stack.get_xlabel()
    assert page.cell.first.best.min() == -0.2


def test_no_year_has_layers_where_nothing_varies(small):
    """Where no group has a share the year is marked; where one has none, the rest says so."""
    found = altered(small, first_order=lambda x: np.where(np.arange(21) == 5, np.nan, x))
    assert all(np.isnan(layer.values[5]) for layer in layers(*found))
    figure, page = drawn(found, "years")
    assert np.flatnonzero(~page.cell.known).tolist() == [5]
    assert "no shares" in [name for name, _ in texts(figure)]
    one = altered(small, first_order=lambda x: np.where(np.arange(9)[:, None] == 4, np.nan, x))
    assert layers(*one)[-1].name == "interactions and groups without a share"


def test_years_that_hardly_vary_are_greyed(small):
    """Of the spread and of the layers, from the beginning of the first to the end of the last."""
    figure, page = drawn(small, "years")
    assert np.flatnonzero(page.cell.quiet).tolist() == [0, 1, 2]
    for axes in figure.axes:
        (veil,) = [one for one in axes.patches if isinstance(one, Rectangle)]
        assert (veil.get_x(), veil.get_width()) == (2000.5, 3)
        assert axes.get_xlim() == (2000.5, 2021.5)
    assert "sd below 1 % of the mean" in [name for name, _ in texts(figure)]


def test_the_spread_is_that_of_the_percentiles(small):
    """Else of mean and sd; of an event how often it comes. The words say which."""
    cell = read_cell(*small, None, None)
    assert np.array_equal(cell.spread.high, small[1].in_use_total[2])
    assert cell.spread.words == ("2.5 to 97.5 % of the draws", "median")
    plain = read_cell(small[0], None, None, None)
    assert plain.spread.words == ("1.96 sd to each side", "mean")
    assert np.allclose(plain.spread.high - plain.spread.low, 3.92 * small[0].in_use_total_sd)
    event = read_cell(*small, "in_use_above", None)
    assert np.array_equal(event.spread.middle, small[1].in_use_exceedance[0])
    assert event.name == "in_use > 100 kt"
    assert read_cell(*small, "in_use_above", {"in_use_limit": 100.0}).name == event.name
    assert read_cell(small[0], None, "in_use_above", None).spread is None


@pytest.mark.parametrize("kind", ["years", "tornado"])
def test_a_year_beside_an_axis_is_a_year(small, kind):
    """2051, and not 2,051: an output may be the year of an event."""
    figure, _ = drawn(small, kind)
    axes = [one.yaxis if kind == "years" else one.xaxis for one in figure.axes]
    shown = {axis.get_major_formatter()(number, 0) for axis in axes for number in (2051, 2051.5)}
    assert {text.lstrip("+") for text in shown} >= {"2051", "2051.5"}
    assert not any("," in text for text in shown)


def test_a_tornado_says_how_far_and_which_way(small):
    """The longest on top, dark on the side where the group is high, plain where that is unknown."""
    found = altered(small, effect=lambda x: np.where(np.arange(9)[:, None] == 8, 0, x))
    figure, page = drawn(found, "tornado")
    bars = [one for one in figure.axes[0].patches if round(one.get_height(), 6) == 0.7]
    left, right = bars[::2], bars[1::2]
    widths = [bar.get_width() for bar in right]
    assert widths == sorted(widths, reverse=True)
    assert [bar.get_width() for bar in left] == [-width for width in widths]
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    alphas = [(low.get_alpha(), high.get_alpha()) for low, high in zip(left, right, strict=True)]
    dark = dict(zip(names, alphas, strict=True))
    sign = dict(zip(page.cell.groups, page.cell.sign[:, -1], strict=True))
    looks = {-1: (1.0, 0.35), 0: (0.6, 0.6), 1: (0.35, 1.0)}
    assert dark == {name: looks[sign[name]] for name in names}
    assert len(set(dark.values())) == 3
    assert "direction not known" in [name for name, _ in texts(figure)]
    last = found[0].isel(year=-1)
    half = 1.96 * last.in_use_total_sd * np.sqrt(last.in_use_total_first_order.max())
    assert widths[0] == pytest.approx(half.item())


def test_dots_have_their_limits(small):
    """First and total of each group; what is wrong with one stands beside it."""
    found = altered(small, flag=lambda x: np.where(np.arange(9)[:, None] == 8, 5, x))
    figure, page = drawn(found, "dots")
    lines = [one.get_xydata() for one in figure.axes[0].lines if len(one.get_xydata()) == 2]
    first, total = page.cell.first, page.cell.total
    ends = [[share.low[g, -1], share.high[g, -1]] for g in page.rows for share in (first, total)]
    assert np.allclose([line[:, 0] for line in lines[: len(ends)]], ends)
    assert [name.strip() for name, _ in texts(figure)].count("unsettled") == 1


def test_groups_that_do_not_reach_a_cell_have_no_row(small):
    """They are counted; in the map they have a dot, and what has no share a stroke."""
    figure, page = drawn(small, "dots", "in_use", {"product": "product 2"})
    assert not {0, 3, 6} & set(page.cell.reached)
    assert "groups that do not reach it: 3" in figure.axes[0].get_xlabel()
    figure, page = drawn(small, "map", "in_use", {"product": "product 2"})
    sheet = page.sheet
    assert sheet.outputs[0] == "in_use of product 2"
    assert len(figure.axes[0].lines) == (sheet.flag == 1).sum() > 0
    said = [name for name, _ in texts(figure) if name.startswith(("0.", "1."))]
    assert said == [f"{x:.2f}" for x in sheet.total.flat if x >= 0.05]


def test_the_map_has_what_varies_the_headline_first(small):
    """What has no share in a year is counted instead, and which groups reach no output."""
    dataset, _ = altered(small, "ratio", first_order=lambda x: x * np.nan)
    dataset = dataset.assign_attrs(headline='["target"]')  # as it is stored
    page = page_of(dataset, None, None, None, None)
    assert page.sheet.outputs == ("target", "in_use_total", "in_use > 100 kt")
    assert "outputs that do not vary: 1" in page.sheet.left_out
    of_stock = [name for name in dataset.data_vars if name.startswith("in_use")]
    only = dataset[of_stock].drop_vars("in_use_above_first_order")
    page = page_of(only, None, None, {"product": "product 2"}, None)
    assert page.sheet.outputs == ("in_use of product 2",)
    assert "groups that reach none: 3" in page.sheet.left_out


def test_of_many_groups_those_that_count_are_drawn():
    """The five largest always have a row; what is left out is counted."""
    figure, page = drawn(study(60, pairs=32, years=2), "dots")
    assert 5 <= len(page.rows) <= 20
    assert f"smaller groups not drawn: {60 - len(page.rows)}" in figure.axes[0].get_xlabel()


# --- which cell -----------------------------------------------------------------------------------


def test_the_total_of_the_headline_is_drawn_by_default(small):
    """Of labels that are picked the cell; without a total, what varies most, which is said."""
    dataset, percentiles = small
    assert read_cell(*small, None, None).heading == "in_use_total"
    assert read_cell(*small, None, {"year": 2010}).years[9] == 2010
    assert read_cell(*small, None, {"year": 2010}).at == 9
    picked = read_cell(*small, "in_use", {"product": "product 1"})
    assert picked.heading == "in_use of product 1"
    assert read_cell(*small, "ratio", {"product": "product 1"}).heading == "ratio"
    assert np.array_equal(picked.total.best, dataset.in_use_total_order.sel(product="product 1"))
    assert np.array_equal(picked.spread.low, percentiles.in_use[0, 1])
    of_total = {f"in_use_total{suffix}" for suffix in ("_first_order", "_first_order_low")}
    alone = dataset.drop_vars([*of_total, "in_use_total_mean", "in_use_total_sd"])
    assert read_cell(alone, None, "in_use", None).heading.endswith(", which varies most")


def test_the_last_year_that_has_shares_is_looked_at(small):
    """Unless another is picked."""
    last = lambda x: np.where(np.arange(21) == 20, np.nan, x)  # noqa: E731
    dataset, _ = altered(small, first_order=last)
    assert read_cell(dataset, None, None, None).at == 19
    assert read_cell(dataset, None, None, {"year": 2021}).at == 20


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"output": "in_us"}, "output: the study has no output 'in_us'; did you mean 'in_use'?"),
        ({"sel": {"product": "x"}}, "sel: product has no label 'x'"),
        ({"sel": {"prduct": "x"}}, "sel: there is no dim 'prduct'; did you mean"),
        ({"sel": {"year": "2001..2003"}}, "sel: a picture shows one cell; pick one label of year"),
        ({"kind": "dot"}, "kind: there is no picture 'dot'; did you mean 'dots'?"),
        ({"kind": "line", "group": "group_10"}, "group: the study has no group 'group_10'; did"),
        ({"kind": "tornado", "output": "in_use_above"}, "kind: in_use_above is an event"),
    ],
)
def test_what_the_study_has_not_is_refused(small, asked, message, tmp_path):
    """What is asked for is named with what there is, and no file is left."""
    with pytest.raises(InputError) as refused:
        picture(small[0], tmp_path / "a.svg", **asked)
    assert str(refused.value).startswith(message)
    assert not list(tmp_path.iterdir())


def test_files_are_refused_before_anything_is_computed():
    """As of every other picture."""
    with pytest.raises(InputError, match=r"--picture: .*must end in .svg, .png or .pdf$"):
        check_picture(Path("a.gif"), [])
    with pytest.raises(InputError, match="--picture: png has no letter '鉄'"):
        check_picture(Path("a.png"), ["鉄鋼"])


# --- what it looks like ---------------------------------------------------------------------------


def test_a_group_has_one_color_in_every_picture(small):
    """Whatever the output and its cell are, and whether it is a layer, a bar or a dot."""
    seen = {}
    for output, sel in ((None, None), ("ratio", None), ("in_use", {"product": "product 2"})):
        figure, page = drawn(small, "all", output, sel)
        stack, dots, tornado = figure.axes[1], figure.axes[2], figure.axes[4]
        names = [page.marks.names[group] for group in page.rows]
        handles, labels = stack.get_legend_handles_labels()
        found = [(name, one.get_facecolor()) for one, name in zip(handles, labels, strict=True)]
        found += zip(names, (line.get_color() for line in dots.lines[::4]), strict=False)
        bars = [one.get_facecolor() for one in tornado.patches if round(one.get_height(), 6) == 0.7]
        found += zip((one.get_text() for one in tornado.get_yticklabels()), bars[::2], strict=True)
        for name, color in found:
            if name in page.cell.groups:
                assert seen.setdefault(name, to_rgb(color)) == to_rgb(color)
    assert len(seen) == len(set(seen.values())) == 9


def test_colors_are_told_apart_by_those_who_confuse_them():
    """Of the first seven, seen with all cones or without one kind (Machado 2009), and in print."""
    colors = np.array([to_rgb(color) for color in marks_of(study(60, pairs=32, years=1)[0]).colors])
    ranked = np.array([to_rgb(c) for c in dict.fromkeys(_colors_by_rank())])[:7]
    assert {tuple(color) for color in ranked} <= {tuple(color) for color in colors}
    protan = [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]
    deutan = [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]
    for kind in (np.eye(3), np.array(protan), np.array(deutan)):
        lab = _lab(_linear(ranked) @ kind.T)
        assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(lab, 2)) > 10


def _colors_by_rank():
    """Return the colors from that of the largest group on."""
    dataset = study(12, pairs=32, years=1)[0]
    order = np.argsort(-dataset.in_use_total_total_order[:, 0].values)
    return [marks_of(dataset).colors[group] for group in order]


def _linear(color):
    """Return the light of a color of a screen."""
    return np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)


def _lab(light):
    """Return light in CIE Lab, where distances are those that are seen."""
    xyz = np.clip(light, 0, 1) @ np.array(
        [[0.4339, 0.2126, 0.0178], [0.3762, 0.7152, 0.1095], [0.1899, 0.0722, 0.8727]]
    )
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = f.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


ODD = ["price_$x$ and $y_1$", "Größe_ß", LONG.format("such as"), LONG.format("which")]
CASES = {
    "one": lambda: study(1, pairs=32, years=1),
    "nineteen": lambda: many_outputs(study(19, pairs=32, names=named(19))),
    "sixty": lambda: study(60, pairs=32, years=110, quiet=2),
}


@pytest.mark.parametrize("case", CASES)
def test_no_text_lies_on_another(case):
    """However many groups and years there are, and however long their names."""
    figure, _ = drawn(CASES[case]())
    figure.draw_without_rendering()
    seen = texts(figure)
    assert len(seen) > 30
    x0, y0, x1, y1 = np.array([box.extents for _, box in seen]).T
    apart = (x1[:, None] <= x0 + 1) | (y1[:, None] <= y0 + 1)
    both = ~(apart | apart.T | np.eye(len(seen), dtype=bool))
    assert [(seen[a][0], seen[b][0]) for a, b in np.argwhere(both)] == []


def named(groups):
    """Return names of groups, some of them odd."""
    usual = (f"lifetime_scale_of_{n}[product=electric bicycles]" for n in itertools.count())
    return [*itertools.islice(itertools.chain(ODD, usual), groups)]


def many_outputs(found):
    """Return a study with sixteen more outputs."""
    dataset, percentiles = found
    of_ratio = [name for name in dataset.data_vars if name.startswith("ratio_")]
    more = {
        name.replace("ratio", f"final_output_{n}"): dataset[name]
        for n in range(16)
        for name in of_ratio
    }
    return dataset.assign(more), percentiles


def test_long_names_are_short_and_differ():
    """What is in the middle is left out; a name as long as needed where two would be one."""
    names = [LONG.format("such as"), LONG.format("which"), "a" * 90, "Größe", "\x1b[31m" + "b" * 50]
    found = short_names(names)
    assert found[3] == "Größe"
    assert found[0] != found[1]
    assert all("…" in name for name in (*found[:3], found[4]))
    assert columns_of(found[2]) <= 30
    assert found[4].startswith("\\x1b[31m")
    near = [f"{'x' * 40}{n}{'y' * 40}" for n in range(3)]
    assert len(set(short_names(near))) == 3
    assert short_names(["x", "x"]) == ["x", "x"]


def test_wide_letters_have_their_room(tmp_path):
    """A font without them gives too little; in a viewer that has them they would leave the page."""
    names = [
        "価格",
        "需要",
        *(f"鉄鋼の非常に長い名前であるので短くされるべき{n}" for n in range(3)),
    ]
    assert [columns_of(name) <= 30 for name in short_names(names)] == [True] * 5
    assert (blanks("価格"), blanks("price")) == (3 * " ", "")
    picture(study(5, pairs=32, names=names)[0], tmp_path / "a.svg", kind="dots")
    assert "需要" in (tmp_path / "a.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", KINDS)
def test_an_output_without_years_is_drawn(small, kind):
    """As one column, of which no year is said."""
    figure, page = drawn(small, kind, "target")
    assert (page.cell.years, page.heading) == ((), "A product of groups: target")
    assert not [name for name, _ in texts(figure) if "20" in name and "," not in name]


def test_the_same_study_gives_the_same_file(small, tmp_path):
    """And its texts can be searched."""
    for name in ("one.svg", "two.svg"):
        picture(small[0], tmp_path / name, percentiles=small[1], kind="years")
    one = (tmp_path / "one.svg").read_bytes()
    assert one == (tmp_path / "two.svg").read_bytes()
    assert b">A product of groups: in_use_total</text>" in one


def test_a_line_shows_one_group_over_the_years(small):
    """The largest, or the one that is asked for."""
    figure, page = drawn(small, "line", group="group_4")
    assert figure.axes[0].get_title("left") == "Share of group_4"
    assert np.array_equal(edges_of(page.cell), np.arange(2000.5, 2022))
    _, page = drawn(small, "line")
    assert page.group == page.cell.total.best[:, -1].argmax()


def test_a_study_by_prior_inputs_says_so(small):
    """A picture of reconciled draws is about what they were before."""
    dataset = small[0].assign_attrs(reconciled="prior inputs", variant="low")
    page = page_of(dataset, None, None, None, None)
    assert page.heading == "A product of groups: low: by prior inputs: in_use_total"
    with pytest.raises(InputError, match="no sensitivity study"):
        page_of(xr.Dataset(), None, None, None, None)
