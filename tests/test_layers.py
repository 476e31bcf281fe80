"""Layers: imports run downward only, and the light parts stay light."""

import ast
import sys
from pathlib import Path

import pytest
from strategies import python

import ndmc
import ndmc_kernels

LABELLED = Path(ndmc.__file__).parent
KERNELS = Path(ndmc_kernels.__file__).parent

#: From what a person touches down to what knows nothing; a line is one layer.
ORDER = [
    {"__main__"},
    {"cli"},
    {"profile"},
    {"report"},
    {"validation"},
    {"drawn_dataset"},
    {"reconciled_dataset", "reconciled_figures"},
    {"posterior"},
    {"figures"},
    {"overview"},
    {"execution"},
    {"integrity", "limits", "dataset"},
    {"convergence"},
    {"streaming"},
    {"scheduling"},
    {"replay"},
    {"work"},
    {"digest"},
    {"quantiles"},
    {"store"},
    {"labels"},
    {"evaluation"},
    {"audit", "bounds"},
    {"tile_width", "tiles"},
    {"cohorts", "weighting"},
    {"model"},
    {"conditioning", "plan"},
    {"slopes"},
    {"reconciliation", "rowcode"},
    {"fields"},
    {"instructions"},
    {"loops", "stocks", "system"},
    {"equations"},
    {"vocabulary"},
    {"steps"},
    {"covariance", "samplers"},
    {"flodym"},
    {"flodym_model"},
    {"scenario"},
    {"parameters"},
    {"scores"},
    {"tables", "distributions", "dependence", "schema"},
    {"diagram", "heatmap", "shifts"},
    {"document", "layout", "lifetimes", "ordering", "jobs", "ledger", "arrays", "shards"},
    {"stopwatch", "jacobian", "adjustment"},
    {"expressions"},
    {"units", "dims", "bundle", "place", "stages", "quality"},
    {"errors"},
]
DEPTH = {name: depth for depth, names in enumerate(ORDER) for name in names}
MODULES = sorted(path.stem for path in LABELLED.glob("*.py") if path.stem != "__init__")


def imports(path):
    """Return every module a file imports, also inside functions, but not for type checkers."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for part in node.body
        for inner in ast.walk(part)
    }
    found = set()
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: imports are absolute"
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            found |= {arg.value for arg in node.args if isinstance(arg, ast.Constant)}
    return found


def test_every_module_has_a_layer():
    """No module stands outside the layers."""
    assert set(MODULES) == set(DEPTH)


@pytest.mark.parametrize("name", MODULES)
def test_imports_run_downward(name):
    """A module imports only from layers below its own."""
    for found in imports(LABELLED / f"{name}.py"):
        package, _, module = found.partition(".")
        if package != "ndmc" or module not in DEPTH or module == name:
            continue
        # The two faces to a person may share what they print.
        faces = {name, module} == {"cli", "report"}
        assert DEPTH[module] > DEPTH[name] or faces, f"{name} imports {module}"


@pytest.mark.parametrize("path", sorted(KERNELS.glob("*.py")), ids=lambda path: path.stem)
def test_kernels_import_numpy_and_numba_only(path):
    """Kernels know the standard library, NumPy, Numba, and each other."""
    roots = {found.partition(".")[0] for found in imports(path)}
    assert roots - set(sys.stdlib_module_names) <= {"numpy", "numba", "llvmlite", "ndmc_kernels"}


def test_kernels_stand_alone():
    """Importing every kernel pulls in nothing of the labelled layer."""
    names = ", ".join(f"ndmc_kernels.{path.stem}" for path in sorted(KERNELS.glob("[a-z]*.py")))
    code = f"import sys, {names}; print({{'ndmc', 'xarray', 'dask', 'zarr'}} & set(sys.modules))"
    assert python(code) == "set()"


HEAVY = "{'numpy', 'numba', 'scipy', 'xarray', 'dask', 'zarr', 'pandas', 'pint', 'pydantic'}"


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
    heavy = "{'pint', 'scipy.special', 'scipy.sparse', 'dask', 'xarray', 'zarr', 'pandas'}"
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
