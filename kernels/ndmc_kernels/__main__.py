"""Compile into the cache the kernels that nearly every run needs: python -m ndmc_kernels."""

from ndmc_kernels import balance, cohort, sampling, survival

COMMON = (
    sampling.normals,
    sampling.normal,
    survival.weibull,
    cohort.leaving,
    cohort.convolve,
    balance.accumulate,
    balance.transfer,
    sampling.uniforms,
    sampling.truncated_normal,
)

if __name__ == "__main__":
    for kernel in COMMON:
        kernel.compiled  # noqa: B018 - compiled when asked for
