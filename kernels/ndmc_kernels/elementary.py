"""Scalar functions that vectorise inside kernels: exp, log, power and the normal distribution.

`math.exp`, `math.log` and `**` stay scalar calls in Numba from PyPI; polynomials and selects keep a
loop in vector registers. Each function holds its bound over its whole domain, and answers as C does
for nan, zero, infinity and numbers it is not defined for.
"""

from __future__ import annotations

import math

import numpy as np

from ndmc_kernels._jit import bits, double, inline

Coefficients = tuple[float, ...]

_LOG2_E = 1.4426950408889634
_LN2_HIGH = 6.93147180369123816490e-01  # 33 bits, so that its multiples by an exponent are exact
_LN2_LOW = 1.90821492927058770002e-10
_ROUND = 6755399441055744.0  # 1.5 * 2**52: adding it leaves the nearest integer in the low bits
_ROUND_BITS = 0x4338000000000000
_SCALE = _ROUND + 1022.0  # what it leaves is the exponent field of half the power of two
_UPPER_HALF = -(1 << 27)  # a double cut to these bits has exact products with another one
_SQRT_HALF_BITS = 0x3FE6A09E667F3BCD

# Chebyshev fits made with 60 digits, highest power first: exp(r) = 1 + r + r**2 p(r) on
# |r| <= log(2)/2, relative error 1.3e-17, and log(1 + f) = 2 s + s**3 p(s**2), s = f / (2 + f), on
# [sqrt(1/2), sqrt(2)], 9e-18.
_EXP = (
    2.510038549551032e-08,
    2.7620088445409746e-07,
    2.7557268459997064e-06,
    2.4801521295954376e-05,
    0.00019841269863053618,
    0.0013888888917213717,
    0.008333333333330062,
    0.04166666666662413,
    0.16666666666666669,
    0.5000000000000001,
)
_LOG = (
    0.14616585424888623,
    0.15331710618210773,
    0.18182889455674947,
    0.22222211130259878,
    0.2857142862600327,
    0.39999999999899444,
    0.666666666666667,
)
# log(1 + f) = 2/3 s (3 + s**2 + s**4 q(s**2)), 8e-22.
_LOG_SUM = (
    0.1758457654214663,
    0.17559372811383578,
    0.20002206357338018,
    0.23076892456343187,
    0.27272727502971605,
    0.3333333333248435,
    0.4285714285714405,
    0.6,
)
_TWO_THIRDS = 2.0 / 3.0
_TWO_THIRDS_HIGH = 0.6666666567325592
_TWO_THIRDS_LOW = 9.934107462565104e-09
# Normal quantile, highest power first. Centre: z / (u - 1/2) as a ratio of polynomials in
# t = u (1 - u), fitted with 60 digits to 0.003 <= u <= 0.997, relative error 1.5e-16; t and all
# coefficients are positive, so nothing cancels. Tails: AS 241, PPND16 (Wichura 1988), in
# s = sqrt(-log u).
_CENTRE_A = (
    1.2292697542733193e20,
    1.8023449140755843e21,
    3.708172370758199e21,
    2.399513665606888e21,
    6.364221720219888e20,
    7.837289668706348e19,
    4.776990530846477e18,
    1.4838252204589395e17,
    2357524435805092.0,
    18767215240864.055,
    71117912075.44095,
    116039586.45595267,
    66580.2191840346,
    8.064921055355349,
)
_CENTRE_B = (
    2.683968275551106e20,
    1.564850000274649e21,
    2.1067376110192293e21,
    1.0354547099568806e21,
    2.2420068424753555e20,
    2.3510510737365115e19,
    1.253916201797533e18,
    3.4713973303750744e16,
    497743804931700.7,
    3604142404541.158,
    12467283265.936382,
    18534205.754426084,
    9575.83237667358,
    1.0,
)
_TAIL_A = (
    7.74545014278341407640e-4,
    2.27238449892691845833e-2,
    2.41780725177450611770e-1,
    1.27045825245236838258e0,
    3.64784832476320460504e0,
    5.76949722146069140550e0,
    4.63033784615654529590e0,
    1.42343711074968357734e0,
)
_TAIL_B = (
    1.05075007164441684324e-9,
    5.47593808499534494600e-4,
    1.51986665636164571966e-2,
    1.48103976427480074590e-1,
    6.89767334985100004550e-1,
    1.67638483018380384940e0,
    2.05319162663775882187e0,
    1.0,
)
_FAR_A = (
    2.01033439929228813265e-7,
    2.71155556874348757815e-5,
    1.24266094738807843860e-3,
    2.65321895265761230930e-2,
    2.96560571828504891230e-1,
    1.78482653991729133580e0,
    5.46378491116411436990e0,
    6.65790464350110377720e0,
)
_FAR_B = (
    2.04426310338993978564e-15,
    1.42151175831644588870e-7,
    1.84631831751005468180e-5,
    7.86869131145613259100e-4,
    1.48753612908506148525e-2,
    1.36929880922735805310e-1,
    5.99832206555887937690e-1,
    1.0,
)


@inline
def polynomial(x: float, coefficients: Coefficients) -> float:
    """Evaluate a polynomial, highest power first, as two chains of Horner's rule in x**2."""
    # One chain waits for itself: the normal quantile takes 2.7 ns with it, 2.35 with two.
    square = x * x
    first, second = coefficients[0], coefficients[1]
    for n in range(2, len(coefficients) - 1, 2):
        first = first * square + coefficients[n]
        second = second * square + coefficients[n + 1]
    if len(coefficients) % 2:
        return (first * square + coefficients[-1]) + second * x
    return first * x + second


@inline
def exp_of_sum(high: float, low: float) -> float:
    """Return e**(high + low) where low is below 1e-3 in size."""
    # The clamps pass nan and keep 2**count a number; multiplying by it gives 0 below and inf above
    # without a select, which took 10 % more time.
    high = -708.4 if high < -708.4 else high
    high = 710.0 if high > 710.0 else high
    scaled = high * _LOG2_E + _SCALE
    count = scaled - _SCALE
    r = (high - count * _LN2_HIGH) - (count * _LN2_LOW - low)
    # The last step on its own, as the sum of two chains ends 0.03 eps further off.
    y = r + r * r * (_EXP[-1] + r * polynomial(r, _EXP[:-1]))
    return (2.0 + 2.0 * y) * double(bits(scaled) << 52)


@inline
def exp(x: float) -> float:
    """Return e**x to 0.75 eps, relatively; it is 0 below -708.05, where e**x is 3.2e-308."""
    return exp_of_sum(x, 0.0)


@inline
def fraction_and_exponent(x: float) -> tuple[float, float]:
    """Return (f, count) of x = (1 + f) 2**count > 0, where sqrt(1/2) <= 1 + f < sqrt(2)."""
    subnormal = x < 2.2250738585072014e-308
    i = bits(x * 18014398509481984.0 if subnormal else x)
    shift = (i - _SQRT_HALF_BITS) >> 52
    count = (double(shift + _ROUND_BITS) - _ROUND) - (54.0 if subnormal else 0.0)
    f = double(i - (shift << 52)) - 1.0
    return f, count


@inline
def log(x: float) -> float:
    """Return the natural logarithm to 0.75 eps, relatively; it is -inf at 0 and nan below."""
    f, count = fraction_and_exponent(x)
    s = f / (2.0 + f)
    half = 0.5 * f * f
    tail = s * (half + s * s * polynomial(s * s, _LOG)) + count * _LN2_LOW
    y = count * _LN2_HIGH - ((half - tail) - f)
    y = x if x == math.inf else y
    y = -math.inf if x == 0.0 else y
    return y if x >= 0.0 else math.nan


@inline
def upper_half(x: float) -> float:
    """Cut a number to its first 26 bits."""
    return double(bits(x) & _UPPER_HALF)


@inline
def log_as_sum(x: float) -> tuple[float, float]:
    """Return two numbers whose sum is the logarithm of x >= 0 to 2**-63, relatively."""
    f, count = fraction_and_exponent(x)
    s = f / (2.0 + f)
    # s with its rounding error, then log(1 + f) = 2/3 s (3 + s**2 + s**4 q(s**2)), both as sums
    # of a number cut short, whose products are exact, and the rest.
    s_high, f_high = upper_half(s), upper_half(f)
    s_low = ((f - 2.0 * s_high) - s_high * f_high - s_high * (f - f_high)) / (2.0 + f)
    square = s * s
    rest = s_low * (s_high + s) + square * square * polynomial(square, _LOG_SUM)
    t_high = upper_half(3.0 + s_high * s_high + rest)
    t_low = rest - ((t_high - 3.0) - s_high * s_high)
    rest = s_low * t_high + t_low * s
    y_high = upper_half(s_high * t_high + rest)
    y_low = rest - (y_high - s_high * t_high)
    whole = count * _LN2_HIGH
    part = _TWO_THIRDS_HIGH * y_high
    high = whole + part
    low = ((whole - high) + part) + (
        (_TWO_THIRDS_LOW * y_high + _TWO_THIRDS * y_low) + count * _LN2_LOW
    )
    high = high if x < math.inf else x
    return (-math.inf if x == 0.0 else high), low


@inline
def power(x: float, y: float) -> float:
    """Return x**y to 1 eps, relatively, as C's pow does; below 3.2e-308 it is 0."""
    size = abs(x)
    high, low = log_as_sum(size)
    exponent = y * high
    # Beyond that the result is 0 or inf whatever the digits, and the rest might be nan.
    exact = abs(exponent) < 1000.0
    y_high, log_high = upper_half(y), upper_half(high)
    rest = (y - y_high) * log_high + y * (low + (high - log_high))
    result = exp_of_sum(y_high * log_high if exact else exponent, rest if exact else 0.0)
    result = 1.0 if (size == 1.0) | (y == 0.0) else result
    half, floor = 0.5 * y, np.floor(y)
    odd = (floor == y) & (np.floor(half) != half)
    result = -result if odd & (bits(x) < 0) else result
    undefined = (x < 0.0) & (x > -math.inf) & (floor != y)
    return math.nan if undefined else result


@inline
def is_central(u: float) -> bool:
    """Whether a uniform belongs to the central range of the normal quantile, as 99.4 % do."""
    return abs(u - 0.5) <= 0.497


@inline
def central_quantile(u: float) -> float:
    """Return the standard normal quantile of 0.003 <= u <= 0.997, to 1e-15."""
    t = u * (1.0 - u)
    return (u - 0.5) * polynomial(t, _CENTRE_A) / polynomial(t, _CENTRE_B)


@inline
def tail_quantile(u: float) -> float:
    """Return that of u < 0.003 or u > 0.997, to 1e-15; it is nan outside 0 <= u <= 1."""
    s = math.sqrt(-log(u if u < 0.5 else 1.0 - u))
    far = s > 5.0
    a = polynomial(s - 5.0, _FAR_A) if far else polynomial(s - 1.6, _TAIL_A)
    b = polynomial(s - 5.0, _FAR_B) if far else polynomial(s - 1.6, _TAIL_B)
    z = a / b if s < math.inf else s
    return -z if u < 0.5 else z


@inline
def normal_cdf(z: float) -> float:
    """Return the standard normal probability below z."""
    return 0.5 * math.erfc(-z * 0.7071067811865476)
