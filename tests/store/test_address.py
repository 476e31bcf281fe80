"""Where a store lies: by path or by URL, and never with a secret in it."""

import pytest

import ndmc
from ndmc.errors import InputError
from ndmc.store.address import check_address, check_store_name, place_of

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


@pytest.mark.parametrize("name", ["x.csv", "a/x.XLSX", "x.json", "s3://bucket/x.yaml"])
def test_a_run_is_not_named_as_another_kind_of_file(name):
    """With what writes a table of it."""
    with pytest.raises(InputError, match=r"name it x.zarr; then ndmc percentiles x.zarr --csv x"):
        check_store_name(name)


@pytest.mark.parametrize("name", ["x.nc", "x.h5"])
def test_arrays_of_a_run_are_written_in_python(name, tmp_path):
    """By the command that refuses the name, too."""
    with pytest.raises(InputError, match=r"ndmc.percentiles\('x.zarr'\).to_netcdf"):
        ndmc.run("starter", 64, seed=1, out=tmp_path / name)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["x", "x.zarr", "x.v1.2", "memory://a", "csv", "a.csv/run", "."])
def test_other_names_are_taken(name):
    """A store ends as one likes."""
    check_store_name(name)
