"""Studies of scenarios whose shares are known: in closed form, or by quadrature."""

import known_shares
import numpy as np
import pytest
from strategies import write

import ndmc

#: Half of a 95 % interval of 32 batches is so many standard errors.
HALF = 2.04


def studied(name, folder, draws, seed=1):
    """Return what is known of a scenario, and its study."""
    known = known_shares.CASES[name]()
    path = write(known.data, folder / name)
    out = folder / f"{name}-{seed}.zarr"
    return known, ndmc.sensitivity(path, draws, seed=seed, out=out, **known.options).load()


def assert_known(known, shares):
    """Demand the known shares within four standard errors, and what they obey exactly."""
    assert shares.group.values.tolist() == [*known.first]
    for of, wanted in (("first_order", known.first), ("total_order", known.total)):
        names = [f"{known.name}_{of}{end}" for end in ("", "_low", "_high")]
        got, low, high = (shares[one].sel(known.at, method=None).squeeze() for one in names)
        error = (high - low).values / 2 / HALF
        off = np.abs(got.values - [*wanted.values()])
        # Where all is linear and the control leaves nothing to chance: the error of its fit.
        assert (off <= 4 * error + 1e-9).all(), (of, off / error)
        assert ((low <= got) & (got <= high)).all()
    first, total, more = (
        shares[f"{known.name}_{of}"] for of in ("first_order", "total_order", "interaction")
    )
    np.testing.assert_allclose(total - first, more, rtol=0, atol=1e-12)


QUICK = (
    "g_function",
    "least",
    "exceeded",
    "in_time",
    "correlated",
    "by_label",
    "stock",
    "recycled",
)


@pytest.mark.parametrize("name", QUICK)
def test_known_shares(name, tmp_path):
    """Shares are those that pen and paper give."""
    assert_known(*studied(name, tmp_path, 2**12))


@pytest.mark.torture
@pytest.mark.parametrize("name", known_shares.CASES)
def test_known_shares_closely(name, tmp_path):
    """Of 65,536 draws."""
    known, shares = studied(name, tmp_path, 2**16)
    assert_known(known, shares)
    if name == "total_of_normals":
        got = shares.y_first_order.values.squeeze()
        wanted = np.array([*known.first.values()])
        assert (np.abs(got / wanted - 1)[wanted > 1e-6] < 0.05).all()
