"""A store that someone else made is data: whatever stands in it, nothing outside is touched."""

import shutil

import pytest

import ndmc
from ndmc.errors import RunError
from ndmc.store.folder import Folder
from ndmc.store.integrity import verify
from ndmc.store.store import open_store, write_root

ASKED = {"seed": 4, "keep": ["in_use", "production"], "workers": 1}


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Return the path of a small store."""
    out = tmp_path_factory.mktemp("stores") / "sound.zarr"
    ndmc.run("starter", 300, out=out, **ASKED)
    return out


@pytest.fixture
def store(sound, tmp_path):
    """Return a copy of the small store, to be forged."""
    return open_store(shutil.copytree(sound, tmp_path / "run.zarr"))


@pytest.mark.parametrize("key", ["../victim", "in_use/../../victim", "VICTIM", "link"])
def test_nothing_outside_is_written(store, tmp_path, key):
    """``--repair`` writes documents where the root says; none of them lies outside the store."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "zarr.json").write_text("mine")
    (store.place.path / "link").symlink_to(victim)
    metadata = store.document["consolidated_metadata"]
    metadata["metadata"][key.replace("VICTIM", str(victim))] = store.metadata["year"]
    out = write_root(Folder(store.place.path), store.document).path
    with pytest.raises(RunError, match="is not a store of ndmc's"):
        verify(out)
    with pytest.raises(RunError, match="is not a store of ndmc's"):
        ndmc.run("starter", 300, out=out, repair=True, **ASKED)
    assert (victim / "zarr.json").read_text() == "mine"
    assert [path.name for path in victim.iterdir()] == ["zarr.json"]
