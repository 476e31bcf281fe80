"""Walls: imports run one way between rooms, through faces, and light parts stay light."""

import ast
import functools
import graphlib
import importlib
import sys
from pathlib import Path

import pytest
from strategies import python

import ndmc
import ndmc_kernels

LABELLED = Path(ndmc.__file__).parent
KERNELS = Path(ndmc_kernels.__file__).parent

#: What a room may import from; a room and what is at the root stand for all that they may, too.
BELOW = {
    "typing": set(),
    "legible": set(),
    "errors": {"legible"},
    "given": {"errors"},
    "label": {"errors"},
    "dims": {"label", "typing"},
    "scenario": {"dims", "errors", "given", "typing"},
    "plan": {"scenario"},
    "engine": {"plan"},
    "option": {"given", "label"},
    "portable": set(),
    "zarr_library": set(),
    "store": {"plan", "option", "portable", "zarr_library"},
    "reconciliation": {"engine", "portable", "zarr_library"},
    "model": {"reconciliation", "option"},
    "runs": {"model", "store"},
    "studies": {"runs"},
    "views": {"studies"},
    "cli": {"views"},
    "__main__": {"cli"},
}
ROOMS = sorted(path.name for path in LABELLED.iterdir() if (path / "__init__.py").exists())
MODULES = sorted(
    str(path.relative_to(LABELLED).with_suffix("")).replace("/", ".").replace("\\", ".")
    for path in LABELLED.rglob("*.py")
    if path != LABELLED / "__init__.py"
)


def reachable(room):
    """Return every room below ``room``."""
    return BELOW[room].union(*(reachable(below) for below in BELOW[room]))


@functools.cache
def imported(path):
    """Return (module, name) of every import of a file, also inside functions.

    An import for type checkers counts: a room that names another's types knows it.
    """
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {(alias.name, "") for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: imports are absolute"
            found |= {(node.module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            found |= {(arg.value, "") for arg in node.args if isinstance(arg, ast.Constant)}
    return found


def file_of(name):
    """Return the file of a module, given without the package's name."""
    path = LABELLED.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def own(name):
    """Return (module, name) of the imports of a module from ndmc, the package's name left out."""
    return {
        (module.removeprefix("ndmc."), what)
        for module, what in imported(file_of(name))
        if module.startswith("ndmc.")
    }


def room_of(name):
    """Return the room, or the module at the root, that a module belongs to."""
    return name.split(".")[0]


def face_of(room):
    """Return the names a room's face lists."""
    return importlib.import_module(f"ndmc.{room}").__all__


def test_every_module_has_a_room():
    """No module stands outside the rooms, and no room outside the order."""
    assert {room_of(name) for name in MODULES} == set(BELOW)
    assert {room for room in BELOW if (LABELLED / room).is_dir()} == set(ROOMS)


@pytest.mark.parametrize("name", MODULES)
def test_imports_run_one_way(name):
    """A module imports from its own room and from those below."""
    here = room_of(name)
    rooms = {room_of(module) for module, _ in own(name)}
    assert rooms <= reachable(here) | {here}


@pytest.mark.parametrize("name", MODULES)
def test_what_crosses_a_wall_is_in_its_owners_list(name):
    """Other rooms import what the module lists, from modules that the room's face lists."""
    for module, what in own(name):
        room, _, inner = module.partition(".")
        if room == room_of(name):
            continue
        found = importlib.import_module(f"ndmc.{module}")
        if not inner:  # a module at the root, or a module of a room: `from ndmc.room import module`
            assert what in found.__all__, f"{name} imports {what} from {module}"
            continue
        assert inner.split(".")[0] in face_of(room), f"{name} imports {module}"
        assert not what or what in found.__all__, f"{name} imports {what} from {module}"


@pytest.mark.parametrize("room", ROOMS)
def test_faces_list_what_others_use(room):
    """A face lists nothing that no other room imports."""
    used = {
        module.split(".")[1] if "." in module else what
        for name in [*MODULES, "__init__"]
        if room_of(name) != room
        for module, what in own(name)
        if room_of(module) == room
    }
    assert set(face_of(room)) - {"main"} <= used | public_homes(room)


def public_homes(room):
    """Return the modules of a room that public names come from."""
    homes = (home.split(".") for home in ndmc._HOMES.values())
    return {home[2] for home in homes if len(home) > 2 and home[1] == room}


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith("__")])
def test_a_module_lists_what_other_rooms_use(name):
    """A list names what crosses a wall and nothing else: the rest is the room's own affair."""
    listed = getattr(importlib.import_module(f"ndmc.{name}"), "__all__", [])
    outside = [other for other in MODULES if room_of(other) != room_of(name)]
    used = {what for other in outside for module, what in own(other) if module == name}
    homes = ndmc._HOMES.items()
    used |= {ndmc._NAMES.get(public, public) for public, home in homes if home == f"ndmc.{name}"}
    assert set(listed) == used


@pytest.mark.parametrize("room", ROOMS)
def test_no_circle_within_a_room(room):
    """The modules of a room can be read in an order."""
    within = [name for name in MODULES if room_of(name) == room and name != room]
    graph = {
        name: {module for module, _ in own(name) if module in within and module != name}
        for name in within
    }
    graphlib.TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("room", ROOMS)
def test_a_face_says_what_the_room_is_for(room):
    """A face is one sentence of purpose, a law and a list of names."""
    tree = ast.parse((LABELLED / room / "__init__.py").read_text(encoding="utf-8"))
    purpose, law = ast.get_docstring(tree).split("\n\n")
    assert purpose.endswith(".")
    assert law.endswith(".")
    assert {type(node) for node in tree.body} <= {ast.Expr, ast.Assign, ast.ImportFrom}


def test_contributors_are_told_the_same():
    """The table of rooms for contributors says of each what its face says first."""
    text = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for room in ROOMS:
        purpose = importlib.import_module(f"ndmc.{room}").__doc__.split("\n\n")[0]
        assert f"| `{room}` | {' '.join(purpose.split())} |" in text


@pytest.mark.parametrize("name", ndmc.__all__)
def test_no_room_takes_a_public_name(name):
    """Importing a module at the root never puts it where a public function stands."""
    assert name not in BELOW


@pytest.mark.parametrize("path", sorted(KERNELS.glob("*.py")), ids=lambda path: path.stem)
def test_kernels_import_numpy_and_numba_only(path):
    """Kernels know the standard library, NumPy, Numba, and each other."""
    roots = {module.partition(".")[0] for module, _ in imported(path)}
    assert roots - set(sys.stdlib_module_names) <= {"numpy", "numba", "llvmlite", "ndmc_kernels"}


def test_kernels_stand_alone():
    """Importing every kernel pulls in nothing of the labelled layer."""
    names = ", ".join(f"ndmc_kernels.{path.stem}" for path in sorted(KERNELS.glob("[a-z]*.py")))
    code = f"import sys, {names}; print({{'ndmc', 'xarray', 'dask', 'zarr'}} & set(sys.modules))"
    assert python(code) == "set()"


HEAVY = "{'numpy', 'numba', 'scipy', 'xarray', 'dask', 'zarr', 'pandas', 'pydantic'}"


def test_import_is_light():
    """`import ndmc` loads nothing heavy, and lists its public names all the same."""
    code = f"import sys, ndmc; print(sorted({HEAVY} & set(sys.modules)), len(dir(ndmc)) > 9)"
    assert python(code) == "[] True"


def test_public_names_exist():
    """Every public name can be had, and no other."""
    for name in ndmc.__all__:
        assert getattr(ndmc, name).__doc__
    assert set(dir(ndmc)) == set(ndmc.__all__)
    with pytest.raises(AttributeError, match="no attribute 'runn'"):
        _ = ndmc.runn


def test_reading_a_scenario_needs_no_engine():
    """Loading a scenario neither compiles kernels nor opens stores."""
    code = (
        "import sys, ndmc; ndmc.load('starter'); "
        "print(sorted({'numba', 'xarray', 'zarr', 'pandas'} & set(sys.modules)))"
    )
    assert python(code) == "[]"


def test_a_plain_run_loads_what_it_needs(tmp_path):
    """A run writes its store without the libraries that take a second to load."""
    heavy = "{'dask', 'xarray', 'zarr', 'pandas'}"
    code = f"""
import sys
from ndmc.cli import main
sys.argv = ["ndmc", "run", "china_nd", "-n", "300", "--out", {str(tmp_path / "run.zarr")!r}]
try:
    main()
finally:
    print(sorted({heavy} & set(sys.modules)))
"""
    assert python(code).splitlines()[-1] == "[]"
