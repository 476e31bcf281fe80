"""A study is a run whose blocks add up squares: the same, however its draws are cut."""

import pytest
from numpy.testing import assert_array_equal
from studied import Studied

from ndmc.engine.evaluation import measure
from ndmc.errors import InputError
from ndmc.runs.merging import merged_until
from ndmc.runs.options import Options
from ndmc.runs.replay import replayed
from ndmc.runs.run import execute
from ndmc.store.spec import stages
from ndmc.store.squares import of_all


def sums_in(out):
    """Return the sums of squares of a store, and its work."""
    _, work = replayed(out)
    merged = merged_until(work, [*stages(work.spec)][-1])
    return of_all(merged.bundles, work.squares), work


def studied(out, draws, **options):
    """Return the sums of a study of so many draws."""
    execute(Studied("starter", draws, out=out, keep=["none"], **options))
    return sums_in(out)[0]


def test_sums_of_one_round_are_those_of_its_tiles(tmp_path):
    """Every leaf is that of a tile, in its batch."""
    found = studied(tmp_path / "store", 2048)
    _, work = sums_in(tmp_path / "store")
    assert_array_equal(found, measure(work.plan, work.spec.seed, range(2048)))


def test_a_run_and_a_study_are_not_the_same(tmp_path):
    """Neither goes on with the store of the other."""
    studied(tmp_path / "store", 1000)
    with pytest.raises(InputError, match="it is a study of which inputs matter, asked for a run"):
        execute(Options("starter", 1000, out=tmp_path / "store", keep=["none"]))
