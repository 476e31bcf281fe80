"""Pictures of a system: every name once, nothing on top of anything else, text that parses."""

import re
import xml.etree.ElementTree as ElementTree
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest

from ndmc.errors import InputError, RunError
from ndmc.views.diagram import Edge, Node, svg, write_diagram

SVG = "{http://www.w3.org/2000/svg}"
RULES = ("value", "share", "balance", "stock")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def process(name, stock=""):
    """Return a process."""
    return Node(name, "process", stock)


def outside(name):
    """Return a node of the environment."""
    return Node(name, "environment")


def random_system(size, flows, seed):
    """Return a system with parallel flows, loops, flows that start where they end, lone nodes."""
    rng = np.random.default_rng(seed)
    nodes = [
        outside(f"outside {n}") if rng.random() < 0.2 else process(f"process {n}", f"stock {n}")
        for n in range(size)
    ]
    ends = rng.integers(size, size=(flows, 2))
    ends[:, 1] = np.where(rng.random(flows) < 0.7, (ends[:, 0] + 1) % size, ends[:, 1])
    edges = [
        Edge(
            f"{'long and wordy ' * (k % 4)}flow {k}", nodes[a].name, nodes[b].name, RULES[k % 4],
            loop=k % 7 == 0,
        )
        for k, (a, b) in enumerate(ends)
    ]  # fmt: skip
    return nodes, edges


STEEL = (
    [
        outside("ore"),
        process("blast furnace"),
        process("steelmaking"),
        process("casting"),
        process("fabrication"),
        process("use", "steel in use"),
        process("waste management"),
        outside("landfill"),
        outside("trade"),
    ],
    [
        Edge("iron ore", "ore", "blast furnace", "value"),
        Edge("pig iron", "blast furnace", "steelmaking", "balance"),
        Edge("crude steel", "steelmaking", "casting", "balance", loop=True),
        Edge("finished steel", "casting", "fabrication", "balance", loop=True),
        Edge("new scrap", "fabrication", "steelmaking", "share", "share 0.18", loop=True),
        Edge("products", "fabrication", "use", "balance"),
        Edge("imports", "trade", "use", "value"),
        Edge("exports", "fabrication", "trade", "value"),
        Edge("end-of-life steel", "use", "waste management", "stock"),
        Edge("old scrap", "waste management", "steelmaking", "share", loop=True),
        Edge("landfilled", "waste management", "landfill", "balance"),
    ],
)
SYSTEMS = {
    "one": ([process("use", "in use")], []),
    "onto itself": ([process("use")], [Edge("kept", "use", "use", "share")]),
    "ring": (
        [process("a"), process("b")],
        [Edge("there", "a", "b", "value"), Edge("back", "b", "a", "share")],
    ),
    "parallel": (
        [process("a"), process("b")],
        [Edge(f"flow {k}", "a", "b", RULES[k]) for k in range(4)],
    ),
    "steel": STEEL,
    "random": random_system(40, 60, 1),
    "dense": random_system(8, 60, 2),
    "large": random_system(60, 100, 3),
}
every_system = pytest.mark.parametrize(
    ("nodes", "edges"), SYSTEMS.values(), ids=[name.replace(" ", "_") for name in SYSTEMS]
)


def drawn(nodes, edges, title="A system"):
    """Return the root of the drawing."""
    return ElementTree.fromstring(svg(title, nodes, edges))


def groups(root, *kinds):
    """Return the groups of the given classes."""
    return [group for group in root.iter(f"{SVG}g") if group.get("class") in kinds]


def texts(group):
    """Return the texts of a group, the lines of each glued together."""
    return ["".join(text.itertext()) for text in group.iter(f"{SVG}text")]


def box(rect):
    """Return left, top, right and bottom of a rectangle."""
    x, y, width, height = (float(rect.get(key, 0)) for key in ("x", "y", "width", "height"))
    return x, y, x + width, y + height


def boxes(root):
    """Return the rectangle of every node, without that of its stock."""
    return [box(group.find(f"{SVG}rect")) for group in groups(root, "process", "environment")]


def labels(root):
    """Return the rectangle that the name of every flow is sure to cover."""
    found = []
    for group in groups(root, "flow"):
        spans = list(group.iter(f"{SVG}tspan"))
        x, size = float(spans[0].get("x")), float(group.find(f"{SVG}text").get("font-size"))
        rows = [float(span.get("y")) for span in spans]
        width = 0.5 * size * max(len(span.text.rstrip()) for span in spans)
        found.append((x, min(rows) - 0.7 * size, x + width, max(rows)))
    return found


def points(path):
    """Yield points along a path, close enough to tell what it crosses."""
    at = np.zeros(2)
    for letter, rest in re.findall(r"([A-Za-z])([^A-Za-z]*)", path):
        numbers = [float(number) for number in NUMBER.findall(rest)]
        if letter in "HV":
            to = at.copy()
            to["HV".index(letter)] = numbers[0]
            knots = [at, to]
        else:
            knots = [at, *(np.array(numbers).reshape(-1, 2) + (at if letter.islower() else 0))]
        if letter != "M":
            for t in np.linspace(0, 1, 80):
                steps = knots
                while len(steps) > 1:
                    steps = [(1 - t) * a + t * b for a, b in pairwise(steps)]
                yield tuple(steps[0])
        at = knots[-1]


def apart(one, two):
    """Say whether two rectangles have no point in common."""
    return one[2] <= two[0] or two[2] <= one[0] or one[3] <= two[1] or two[3] <= one[1]


@every_system
def test_every_name_is_drawn_once(nodes, edges):
    """Every node, stock and flow is named once, in a group of its kind."""
    root = drawn(nodes, edges)
    got = [texts(group) for group in groups(root, "process", "environment")]
    assert got == [[node.name, node.stock] if node.stock else [node.name] for node in nodes]
    assert [texts(group) for group in groups(root, "flow")] == [[edge.name] for edge in edges]


@every_system
def test_nothing_lies_on_a_box(nodes, edges):
    """Boxes keep apart from each other, from the names of flows, and from lines."""
    root = drawn(nodes, edges)
    assert all(apart(one, two) for one, two in combinations(boxes(root), 2))
    assert all(apart(one, two) for one in boxes(root) for two in labels(root))
    for group in groups(root, "flow"):
        line = list(points(group.find(f"{SVG}path").get("d")))
        for left, top, right, bottom in boxes(root):
            inside = [p for p in line if left + 1 < p[0] < right - 1 and top < p[1] < bottom]
            assert not inside


@every_system
def test_names_of_flows_keep_apart(nodes, edges):
    """No flow's name lies on that of another, or on a line."""
    root = drawn(nodes, edges)
    held = labels(root)
    assert all(apart(one, two) for one, two in combinations(held, 2))
    for group in groups(root, "flow"):
        line = list(points(group.find(f"{SVG}path").get("d")))
        for left, top, right, bottom in held:
            assert not any(left < x < right and top < y < bottom for x, y in line)


@every_system
def test_no_two_lines_coincide(nodes, edges):
    """Flows between the same two nodes take their own ways."""
    root = drawn(nodes, edges)
    paths = [group.find(f"{SVG}path").get("d") for group in groups(root, "flow")]
    starts = [next(points(path)) for path in paths]
    ends = [list(points(path))[-1] for path in paths]
    assert len(set(starts)) == len(set(ends)) == len(paths)


@every_system
def test_all_lies_on_the_page(nodes, edges):
    """Boxes, names and lines stay inside the view box."""
    root = drawn(nodes, edges)
    x, y, width, height = map(float, root.get("viewBox").split())
    corners = [(a, b) for box in boxes(root) + labels(root) for a, b in (box[:2], box[2:])]
    lines = [p for g in groups(root, "flow") for p in points(g.find(f"{SVG}path").get("d"))]
    for a, b in corners + lines:
        assert x <= a <= x + width
        assert y <= b <= y + height


@every_system
def test_same_system_gives_same_text(nodes, edges):
    """A drawing depends on the system alone."""
    assert svg("A", nodes, edges) == svg("A", list(nodes), list(edges))


def test_material_runs_from_left_to_right():
    """The main chain keeps its order; scrap runs back."""
    nodes, edges = STEEL
    left = dict(
        zip([n.name for n in nodes], [b[0] for b in boxes(drawn(nodes, edges))], strict=True)
    )
    back = {edge.name for edge in edges if left[edge.origin] >= left[edge.target]}
    assert back == {"new scrap", "old scrap", "exports"}


def test_order_of_the_flows_does_not_turn_the_chain():
    """An import that is listed first does not make its stage the start of the chain."""
    nodes, edges = STEEL
    left = [b[0] for b in boxes(drawn(nodes[::-1], edges[::-1]))][::-1]
    assert left[:7] == sorted(left[:7])


def test_drawing_needs_nothing_else():
    """No scripts, no links, no files: a drawing is one text."""
    root = drawn(*STEEL)
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags == {"svg", "title", "g", "rect", "path", "text", "tspan"}
    assert svg("A", *STEEL).count("http") == 1


def test_rules_and_loops_are_told_apart():
    """The line says what determines a flow, its color whether it is in a loop; a legend tells."""
    nodes, edges = SYSTEMS["parallel"]
    root = drawn(nodes, [*edges, Edge("loop", "a", "b", "value", loop=True)])
    lines = [group.find(f"{SVG}path") for group in groups(root, "flow")]
    styles = {(p.get("stroke"), p.get("stroke-width"), p.get("stroke-dasharray")) for p in lines}
    assert len(styles) == 5
    (legend,) = groups(root, "legend")
    assert texts(legend) == ["value", "share", "balance", "stock release", "solved together"]
    drawn_as = [
        (p.get("stroke"), p.get("stroke-width"), p.get("stroke-dasharray"))
        for p in legend.iter(f"{SVG}path")
    ]
    assert set(drawn_as) == styles


def test_pointer_shows_the_rule():
    """The tooltip of a flow has its ends and its rule."""
    nodes = [process("a"), process("b")]
    root = drawn(nodes, [Edge("f", "a", "b", "share", "share 0.6"), Edge("g", "b", "a", "balance")])
    titles = [group.find(f"{SVG}title").text for group in groups(root, "flow")]
    assert titles == ["a to b: share 0.6", "b to a"]


def test_any_name_is_escaped():
    """Names with the letters of XML are drawn as they are written."""
    odd = "a<b & \"c\" 'd' ]]> \\N"
    nodes = [process(odd, "<s>"), outside("鉄鋼")]
    edges = [Edge("&amp;", odd, "鉄鋼", "value", '<"x">')]
    root = drawn(nodes, edges, title="<T&T>")
    assert texts(groups(root, "process")[0]) == [odd, "<s>"]
    assert texts(groups(root, "flow")[0]) == ["&amp;"]
    assert root.find(f"{SVG}title").text == "<T&T>"


def test_control_characters_are_shown():
    """What XML cannot hold is written as an escape, in a box that is wide enough for it."""
    plain, odd = (
        drawn([process(name)], [])
        for name in (r"a\x00\x1b\n\ud800\uffffb", "a\0\x1b\n\ud800\uffffb")
    )
    assert texts(groups(odd, "process")[0]) == [r"a\x00\x1b\n\ud800\uffffb"]
    assert ElementTree.tostring(odd) == ElementTree.tostring(plain)


@pytest.mark.parametrize("name", ["a.svg", "A.SVG"])
def test_a_file_holds_the_drawing(name, tmp_path):
    """A file holds the text of the drawing, whichever way its suffix is written."""
    write_diagram(tmp_path / name, "Steel", *STEEL)
    assert (tmp_path / name).read_text(encoding="utf-8") == svg("Steel", *STEEL)


@pytest.mark.parametrize("name", ["a.png", "a.dot", "a", "svg"])
def test_other_suffixes_are_refused(name, tmp_path):
    """A file of another suffix is named, and nothing is written."""
    with pytest.raises(InputError, match=r"its name must end in \.svg$") as raised:
        write_diagram(tmp_path / name, "Steel", *STEEL)
    assert name in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_named():
    """A folder that is not there is a failure of the work, not of the input."""
    with pytest.raises(RunError, match=r"cannot write .*all\.svg.: No such file"):
        write_diagram(Path("/nowhere/at/all.svg"), "Steel", *STEEL)
