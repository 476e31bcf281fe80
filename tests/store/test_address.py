"""Where a store lies: by path or by URL, and never with a secret in it."""

import pytest

import ndmc
from ndmc.errors import InputError
from ndmc.store.address import check_address, place_of

SECRET = [
    "s3://AKIAKEY:hush@bucket/run.zarr",
    "s3://bucket/run.zarr?token=hush",
    "https://hush@host/run.zarr",
    "file://hush@host/run.zarr",
    "simplecache::s3://AKIAKEY:hush@bucket/run.zarr",
]


@pytest.mark.parametrize("url", SECRET)
def test_an_address_with_a_secret_is_refused_and_not_shown(cli, url):
    """Whatever takes the address of a store refuses one with a user or a query, unseen."""
    for command in (
        ["run", "starter", "-n", "64", "--out", url],
        ["run", "starter", "-n", "64", "--plan", "--out", url],
        ["job", "slurm", "starter", "--parts", "2", "--out", url],
        *([word, url] for word in ("info", "percentiles", "finish", "validate", "check")),
    ):
        done = cli(*command)
        assert done.code == 2
        assert done.err.count("\n") == 1
        assert "hush" not in done.out + done.err
        assert "AKIAKEY" not in done.out + done.err
    with pytest.raises(InputError, match="AWS_ACCESS_KEY_ID"):
        ndmc.open(url)


@pytest.mark.parametrize("url", ["a?b@c.zarr", "s3://bucket/me@home/run.zarr", "memory://a.zarr"])
def test_what_only_looks_like_a_secret(url):
    """A path may hold any character, and a key of a bucket an @."""
    assert check_address(url) == url


def test_a_path_as_a_url(tmp_path):
    """A file:// URL names a folder."""
    assert place_of(f"file://{tmp_path}/run.zarr").url == f"{tmp_path}/run.zarr"
