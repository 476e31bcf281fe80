"""A sensitivity study of a model in NumPy: outputs are products of what groups of inputs do."""

import numpy as np
import xarray as xr

from ndmc.store.shares import Flag

BATCHES, T95 = 32, 2.04


def evaluate(z, power):
    """Return [draw, product, year]: a product over groups, with a sum of two products in it."""
    both = np.einsum("dg,gpy->dpy", z[:, :2], power[:2])
    return np.exp(np.einsum("dg,gpy->dpy", z, power)) * (1 + both**2)


def shares(base, other, swapped, back):
    """Return first, total and interaction, each with its limits, of one group: [3, 3, ...]."""
    p = 2 * (base - swapped) * (back - other)
    i = ((base - swapped) - (back - other)) ** 2
    d = (base - other) ** 2 + (swapped - back) ** 2
    sums = np.stack([x.reshape(BATCHES, -1, *x.shape[1:]).sum(axis=1) for x in (p, i, d)])
    whole, less = sums.sum(axis=1), sums.sum(axis=1, keepdims=True) - sums
    with np.errstate(invalid="ignore"):
        best, left = ratios(*whole), ratios(*less)
    se = np.sqrt((BATCHES - 1) / BATCHES * ((left - left.mean(axis=1, keepdims=True)) ** 2).sum(1))
    return np.stack([best, best - T95 * se, best + T95 * se], axis=1)


def ratios(p, i, d):
    """Return first, total and interaction."""
    return np.stack([p / d, (p + i) / d, i / d])


def study(groups=5, years=21, products=3, pairs=256, names=None, quiet=0, seed=1):
    """Return the dataset of a study and its percentiles; the first ``quiet`` years hardly vary.

    Outputs are ``in_use`` (product, year) with its total, ``ratio`` (year), a ``target`` that has
    no year, and whether ``in_use_total`` is above a limit.
    """
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((2 * pairs, groups))
    power = powers(rng, groups, products, years)
    power[:, :, :quiet] *= 0.001
    data = {"in_use": [], "in_use_total": [], "ratio": [], "target": [], "above": []}
    base = outputs(z, power)
    for group in range(groups):
        other = z.reshape(-1, 2, groups).copy()
        other[:, :, group] = other[:, ::-1, group]
        swapped = outputs(other.reshape(-1, groups), power)
        for title, found in data.items():
            y, w = base[title], swapped[title]
            found.append(shares(y[::2], y[1::2], w[::2], w[1::2]))
    return dataset(data, base, names, z), percentiles(base)


def powers(rng, groups, products, years):
    """Return how strongly each group moves each product and year; every third not the last one."""
    size = 0.16 * rng.permutation(0.88 ** np.arange(groups))
    slope = np.linspace(0, 1, years) * rng.uniform(-1, 1, (groups, 1)) + rng.uniform(
        0.2, 1, (groups, 1)
    )
    power = size[:, None, None] * slope[:, None, :] * rng.choice([-1, 1], (groups, products, 1))
    power[::3, products - 1 :] = 0
    return power


def outputs(z, power):
    """Return every output, as [draw, ...]."""
    each = 1000 * np.arange(1, power.shape[2] + 1) * evaluate(z, power)
    total = each.sum(axis=1)
    above = (total > np.median(total, axis=0)).astype(float)
    return {
        "in_use": each,
        "in_use_total": total,
        "ratio": each[:, 0] / total,
        "target": total[:, -1],
        "above": above,
    }


DIMS = {
    "in_use": ("product", "year"),
    "in_use_total": ("year",),
    "ratio": ("year",),
    "target": (),
    "above": ("year",),
}


def dataset(data, base, names, z):
    """Return shares, flags, means and effects by title."""
    groups = z.shape[1]
    found = {}
    for title, parts in data.items():
        values = np.stack(parts)  # [group, share, limit, ...]
        dims = DIMS[title]
        if title == "above":
            title, dims = "in_use_above", ("in_use_limit", *dims)
            values = values[:, :, :, None]
        else:
            found |= moments(title, dims, base[title], values, z)
        for at, share in enumerate(("first_order", "total_order", "interaction")):
            for end, suffix in enumerate(("", "_low", "_high")):
                found[f"{title}_{share}{suffix}"] = (("group", *dims), values[:, at, end])
        still = np.where(np.isnan(values[:, 1, 0]), Flag.CONSTANT, 0)
        flag = np.where(values[:, 1, 0] == 0, Flag.STRUCTURAL_ZERO, still).astype(np.int8)
        found[f"{title}_flag"] = (("group", *dims), flag)
    names = [f"group_{n}" for n in range(groups)] if names is None else names
    coords = {
        "group": ("group", np.array(names)),
        "group_members": ("group", np.array(names)),
        **labels(base),
    }
    attrs = {"title": "A product of groups", "draws": len(z), "seed": 1, "headline": ["in_use"]}
    return xr.Dataset(found, coords, attrs)


def moments(title, dims, y, values, z):
    """Return mean, sd, linear share and the signed half-width of each group."""
    sd = y.std(axis=0, ddof=1)
    flat = y.reshape(len(y), -1)
    sign = np.sign(z.T @ (flat - flat.mean(axis=0))).reshape(-1, *y.shape[1:])
    effect = sign * 1.96 * sd * np.sqrt(np.maximum(values[:, 0, 0], 0))
    about = {"units": "1" if title == "ratio" else "t"}
    return {
        f"{title}_mean": (dims, y.mean(axis=0), about),
        f"{title}_sd": (dims, sd, about),
        f"{title}_linear_share": (dims, np.full(y.shape[1:], 0.97)),
        f"{title}_effect": (("group", *dims), effect, about),
    }


def percentiles(base):
    """Return percentiles as `ndmc.percentiles` does."""
    shares = [0.025, 0.5, 0.975]
    found = {
        title: (("quantile", *DIMS[title]), np.quantile(y, shares, axis=0), {"units": "t"})
        for title, y in base.items()
        if title != "above"
    }
    found["in_use_exceedance"] = (("in_use_limit", "year"), base["above"].mean(axis=0)[None])
    return xr.Dataset(found, {"quantile": shares, **labels(base)})


def labels(base):
    """Return the labels of every dim of outputs."""
    _, products, years = base["in_use"].shape
    return {
        "product": [f"product {n}" for n in range(products)],
        "year": range(2001, 2001 + years),
        "in_use_limit": ("in_use_limit", [100.0], {"units": "kt"}),
    }
