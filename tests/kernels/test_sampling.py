"""Philox, uniforms, scores and marginals."""

import itertools

import numpy as np
import pytest
import reference
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special, stats

from ndmc_kernels import sampling
from ndmc_kernels._jit import kernel

SEED = 2**64 - 3
STREAMS = np.array([0, 1, 2**32, 2**63 + 12345, 2**64 - 1], dtype=np.uint64)
KNOWN = {  # Random123's published vectors: counter, key, block
    "zeros": ("00000000 " * 4, "00000000 " * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    "ones": ("ffffffff " * 4, "ffffffff " * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    "pi": (
        "243f6a88 85a308d3 13198a2e 03707344",
        "a4093822 299f31d0",
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
}


def words(text):
    """Return hexadecimal words as one row of uint32."""
    return np.array([[int(word, 16) for word in text.split()]], dtype=np.uint32)


def fill(function, first=0, width=64, streams=STREAMS, seed=SEED):
    """Return a filled array [stream, draw]."""
    out = np.full((len(streams), width), np.nan)
    function(seed, streams, first, out)
    return out


def marginal(function, source, *numbers):
    """Return one row of source mapped to one row, through rows 1 and 2 of larger arrays."""
    padded = np.full((3, source.size), 0.5)
    padded[1] = source
    out = np.full((4, source.size), np.nan)
    columns = [np.atleast_2d(np.array(n, dtype=float)) for n in numbers]
    function(padded, np.array([1]), np.array([2]), *columns, out)
    assert np.isnan(out[[0, 1, 3]]).all()
    return out[2]


@kernel("void(u4[:, ::1], u4[:, ::1], u4[:, ::1])")
def philox_blocks(counters, keys, out):
    """Write the block of each counter [n, 4] and key [n, 2] to out [n, 4]."""
    for n in range(out.shape[0]):
        c, k, block = counters[n], keys[n], out[n]
        words = sampling.philox(c[0], c[1], c[2], c[3], k[0], k[1])
        for word in range(4):
            block[word] = words[word]


UNIFORMS = fill(sampling.uniforms, width=4096, streams=STREAMS[:1])[0]
SCORES = special.ndtri(UNIFORMS)


@pytest.mark.parametrize("name", KNOWN)
def test_philox_known_answers(name):
    """Reproduces the published known-answer vectors, as does the reference."""
    counter, key, expected = map(words, KNOWN[name])
    got = np.empty_like(counter)
    philox_blocks(counter, key, got)
    assert_array_equal(got, expected)
    assert_array_equal(reference.philox(counter[0], key[0]), expected[0])


def test_philox_matches_reference():
    """Equals the pure Python twin on random counters and keys."""
    rng = np.random.default_rng(1)
    counters = rng.integers(0, 2**32, (100, 4), dtype=np.uint32)
    keys = rng.integers(0, 2**32, (100, 2), dtype=np.uint32)
    got = np.empty_like(counters)
    philox_blocks(counters, keys, got)
    assert_array_equal(got, [reference.philox(c, k) for c, k in zip(counters, keys, strict=True)])


@pytest.mark.parametrize("first", [0, 64, 2**33 - 64, 2**33, 2**40 + 2])
def test_uniforms_match_reference(first):
    """Equals the twin bit for bit, also where the block number passes 32 bits."""
    expected = reference.uniforms(SEED, STREAMS, first, 64)
    assert_array_equal(fill(sampling.uniforms, first), expected)


def test_uniforms_lie_strictly_inside():
    """Maps the smallest and the largest word to 2**-53 and 1 - 2**-53, as doubles."""
    smallest, largest = (np.array([x]) for x in ((0 + 0.5) * 2.0**-52, (2**52 - 0.5) * 2.0**-52))
    assert smallest > 0
    assert largest < 1
    got = fill(sampling.uniforms, width=1 << 20)
    assert 0 < got.min() < 1e-5
    assert 1 - 1e-5 < got.max() < 1


@pytest.mark.parametrize("function", [sampling.uniforms, sampling.normals])
def test_draws_pass_the_32_bits_of_a_block_number(function):
    """Gives a row across the carry into the upper counter word what its halves give."""
    whole = fill(function, first=2**33 - 64, width=192)
    assert_array_equal(whole[:, :64], fill(function, 2**33 - 64))
    assert_array_equal(whole[:, 64:], fill(function, 2**33, 128))


@pytest.mark.parametrize("function", [sampling.uniforms, sampling.normals])
@pytest.mark.parametrize("cuts", [[64], [128], [64, 192, 512], [960]])
def test_draws_do_not_depend_on_tiles(function, cuts):
    """Gives the same bits however a range is cut into tiles."""
    whole = fill(function, first=1000, width=1024)
    edges = [0, *cuts, 1024]
    parts = [fill(function, 1000 + a, b - a) for a, b in itertools.pairwise(edges)]
    assert_array_equal(np.concatenate(parts, axis=1), whole)


def test_draws_do_not_depend_on_other_streams():
    """Gives a stream the same draws in any company and order."""
    whole = fill(sampling.normals)
    assert_array_equal(fill(sampling.normals, streams=STREAMS[::-1].copy()), whole[::-1])
    assert_array_equal(fill(sampling.normals, streams=STREAMS[2:3].copy()), whole[2:3])


def test_uniforms_are_uniform():
    """Passes a Kolmogorov-Smirnov test and a chi-square test of its last bits."""
    got = fill(sampling.uniforms, width=1 << 17, streams=STREAMS[:2]).ravel()
    assert stats.kstest(got, "uniform").pvalue > 1e-4
    low_bits = (got * 2.0**52).astype(np.int64) & 0xFF
    assert stats.chisquare(np.bincount(low_bits, minlength=256)).pvalue > 1e-4


@pytest.mark.parametrize("lag", [1, 2, 3])
def test_draws_are_uncorrelated(lag):
    """Shows no correlation between near draws, or between near streams and seeds."""
    width = 1 << 17
    near = fill(sampling.normals, width=width, streams=np.arange(4, dtype=np.uint64), seed=7)
    other = fill(sampling.normals, width=width, streams=np.zeros(1, np.uint64), seed=7 + lag)
    pairs = [(near[0, :-lag], near[0, lag:]), (near[0], near[lag]), (near[0], other[0])]
    for a, b in pairs:
        assert stats.pearsonr(a, b).pvalue > 1e-4


def test_normals_match_reference():
    """Equals SciPy's quantile of the reference uniforms."""
    expected = reference.normals(SEED, STREAMS, 10, 64)
    assert_allclose(fill(sampling.normals, 10), expected, rtol=4e-15)


def test_normals_do_not_depend_on_what_is_scored_together():
    """Gives the same bits in one row as in many, which fill several chunks."""
    streams = np.arange(100, dtype=np.uint64)
    whole = fill(sampling.normals, streams=streams, width=192)
    alone = [fill(sampling.normals, streams=streams[n : n + 1], width=192) for n in range(100)]
    assert_array_equal(np.concatenate(alone), whole)
    assert_array_equal(fill(sampling.normals, streams=streams)[:, :64], whole[:, :64])


@pytest.mark.parametrize("rows", [0, 1, 33])
def test_normals_of_any_shape(rows):
    """Fills rows longer than a chunk, few rows, and none."""
    streams = np.arange(rows, dtype=np.uint64)
    scores, uniforms = (fill(f, 0, 4096, streams) for f in (sampling.normals, sampling.uniforms))
    assert_allclose(scores, special.ndtri(uniforms), rtol=4e-15)


@pytest.mark.parametrize(
    ("name", "operation"),
    [
        ("uniforms", "add"),
        ("normals", "div"),
        ("normal", "fmadd"),
        ("lognormal", "fmadd"),
        ("truncated_normal", "div"),
        ("triangular", "sqrt"),
    ],
)
def test_loops_use_vector_registers(name, operation):
    """Finds the costliest arithmetic of a kernel packed in wide registers, where there are any."""
    kernel = getattr(sampling, name)
    assert operation in reference.packed_arithmetic(kernel)


def test_normals_are_normal():
    """Passes a Kolmogorov-Smirnov test."""
    got = fill(sampling.normals, width=1 << 17, streams=STREAMS[3:4])[0]
    assert stats.kstest(got, "norm").pvalue > 1e-4


def test_cdf_turns_scores_back():
    """Recovers the uniforms, and equals its twin."""
    scores, got = fill(sampling.normals), np.empty((len(STREAMS), 64))
    sampling.cdf(scores, got)
    assert_allclose(got, fill(sampling.uniforms), rtol=1e-13)
    assert_allclose(got, reference.cdf(scores), rtol=1e-13)


def test_normal_matches_reference():
    """Scales scores, through the given rows, in its Python body too."""
    expected = reference.normal(SCORES, 3.0, 0.5)
    assert_allclose(marginal(sampling.normal, SCORES, [3.0, 0.5]), expected, rtol=1e-12)
    assert_allclose(marginal(sampling.normal.py_func, SCORES, [3.0, 0.5]), expected, rtol=1e-12)


def test_lognormal_matches_scipy():
    """Agrees with SciPy's quantile function."""
    got = marginal(sampling.lognormal, SCORES, [1.2, 0.4])
    assert_allclose(got, reference.lognormal(SCORES, 1.2, 0.4), rtol=1e-12)
    assert_allclose(got, stats.lognorm.ppf(UNIFORMS, 0.4, scale=np.exp(1.2)), rtol=1e-12)


def test_log_series_matches_reference():
    """Sums Chebyshev polynomials, and takes exp."""
    terms = [0.3, 0.8, -0.2, 0.1, 0.05, -0.01, 0.02]
    expected = reference.log_series(SCORES, terms)
    assert_allclose(marginal(sampling.log_series, SCORES, terms), expected, rtol=1e-14)


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, np.inf), (0.5, 1.5), (-np.inf, 0.8), (-np.inf, np.inf)]
)
def test_truncated_normal_matches_scipy(low, high):
    """Agrees with SciPy's quantile function when the probabilities are of the lower tail."""
    mu, sigma = 1.0, 0.4
    a, b = (low - mu) / sigma, (high - mu) / sigma
    numbers = [mu, sigma, *stats.norm.cdf([a, b])]
    got = marginal(sampling.truncated_normal, UNIFORMS, numbers)
    assert_allclose(got, reference.truncated_normal(UNIFORMS, *numbers), rtol=1e-12)
    assert_allclose(got, stats.truncnorm.ppf(UNIFORMS, a, b, mu, sigma), rtol=1e-12)


def test_truncated_normal_keeps_the_far_tail():
    """Keeps its digits seven deviations out, by mirroring."""
    numbers = [1.0, -0.1, *stats.norm.sf([7.0, 8.0])]
    got = marginal(sampling.truncated_normal, UNIFORMS, numbers)
    assert_allclose(got, 1 + 0.1 * stats.truncnorm.ppf(UNIFORMS, 7, 8), rtol=1e-12)
    assert got.min() >= 1.7
    assert got.max() <= 1.8


def test_truncated_normal_is_finite_at_the_top():
    """Stays finite where the probability rounds to 1."""
    u = np.full(64, 1 - 2.0**-53)
    assert np.isfinite(marginal(sampling.truncated_normal, u, [0.0, 1.0, 0.5, 1.0])).all()


def test_uniform_matches_scipy():
    """Agrees with SciPy, in its Python body too."""
    expected = reference.uniform(UNIFORMS, -2.0, 5.0)
    for function in (sampling.uniform, sampling.uniform.py_func):
        assert_allclose(marginal(function, UNIFORMS, [-2.0, 5.0]), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("numbers", [(1, 2, 4), (1, 1, 4), (1, 4, 4), (-3, 0, 1e-3), (5, 5.5, 6)])
def test_triangular_matches_scipy(numbers):
    """Agrees with SciPy, also when the mode is one of the ends."""
    expected = reference.triangular(UNIFORMS, *numbers)
    for function in (sampling.triangular, sampling.triangular.py_func):
        assert_allclose(marginal(function, UNIFORMS, numbers), expected, rtol=1e-12, atol=1e-14)


def test_triangular_is_exact_when_it_is_a_point():
    """Returns the one possible value when low, mode and high coincide."""
    assert_array_equal(marginal(sampling.triangular, UNIFORMS, [2.0, 2.0, 2.0]), 2.0)


@pytest.mark.parametrize(
    "cumulative", [[0.2, 0.5, 0.9, 1.0], [0.0, 0.5, 0.5, 1.0], [1.0, 1.0, 1.0, 1.0]]
)
def test_discrete_matches_reference(cumulative):
    """Picks the first value whose cumulative probability reaches the uniform, bounds included."""
    u = np.concatenate([UNIFORMS[:60], [0.2, 0.5, 0.9, 0.0]])
    values = [3.0, 1.0, 7.0, 5.0]
    expected = reference.discrete(u, cumulative, values)
    for function in (sampling.discrete, sampling.discrete.py_func):
        assert_array_equal(marginal(function, u, cumulative, values), expected)


def test_discrete_returns_the_last_value_above_a_sum_that_fell_short():
    """Falls back on the last value if the probabilities sum to just below 1."""
    u = np.full(64, 1 - 2.0**-53)
    assert_array_equal(marginal(sampling.discrete, u, [0.5, 1 - 2.0**-50], [1.0, 2.0]), 2.0)


NUMBERS = {
    "normal": [2.0, 0.5],
    "lognormal": [0.1, 0.3],
    "truncated_normal": [1.0, 0.3, 0.01, 1.0],
    "uniform": [1.0, 3.0],
    "triangular": [1.0, 2.0, 4.0],
}


@pytest.mark.parametrize("name", NUMBERS)
def test_marginals_do_not_depend_on_the_tile(name):
    """Gives a draw the same bits at any width and place."""
    function, numbers = getattr(sampling, name), NUMBERS[name]
    whole = marginal(function, UNIFORMS, numbers)
    assert_array_equal(marginal(function, UNIFORMS[64:192].copy(), numbers), whole[64:192])


@pytest.mark.parametrize("name", NUMBERS)
def test_marginals_may_write_to_rows_beside_their_source(name):
    """Gives the same bits in one array as from one to another."""
    function, numbers = getattr(sampling, name), NUMBERS[name]
    rows = np.stack([np.zeros_like(UNIFORMS), UNIFORMS, np.zeros_like(UNIFORMS)])
    for target in (0, 2):
        function(rows, np.array([1]), np.array([target]), np.array([numbers]), rows)
        assert_array_equal(rows[target], marginal(function, UNIFORMS, numbers))
    assert_array_equal(rows[1], UNIFORMS)
