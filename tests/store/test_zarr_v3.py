"""Files of draws, written by hand, are those that Zarr would write."""

import json
import subprocess
import sys
import tracemalloc
import warnings

import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec, TransposeCodec

import ndmc
from ndmc.store.folder import Folder
from ndmc.store.seal import seal
from ndmc.store.zarr_v3 import SmallArrays, encoded, get_array, only_chunk, output_document


def by_zarr(path, shape, shard, inner, dtype, dims):
    """Return an array that Zarr made with the codecs of a store."""
    return zarr.create_array(
        path,
        shape=shape,
        chunks=inner,
        shards=shard if inner != shard else None,
        dtype=dtype,
        filters=[TransposeCodec(order=[*range(len(shape))][::-1])],
        compressors=[BloscCodec(cname="zstd", clevel=1, shuffle="shuffle"), Crc32cCodec()],
        fill_value=np.nan,
        dimension_names=dims,
        attributes={"units": "t"},
        config={"write_empty_chunks": True},
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("shape", "shard", "inner"),
    [
        ((1000,), (256,), (256,)),
        ((600, 6, 4), (256, 6, 4), (256, 6, 4)),
        ((600, 6, 4), (256, 6, 4), (256, 2, 4)),
        ((600, 4, 6), (256, 4, 6), (256, 4, 3)),
        ((20, 6, 4), (256, 6, 4), (256, 3, 2)),
    ],
)
def test_files_are_those_of_zarr(tmp_path, dtype, shape, shard, inner):
    """Zarr says the same of the array, and reads every draw back, those of a short block too."""
    dims = ("draw", "year", "product")[: len(shape)]
    draws = np.random.default_rng(1).normal(size=shape).astype(dtype)
    theirs = by_zarr(tmp_path / "theirs", shape, shard, inner, dtype, dims)
    about = output_document(shape, shard, inner, dtype, dims, {"units": "t"})
    assert about == json.loads((tmp_path / "theirs/zarr.json").read_bytes())
    theirs[...] = draws
    ours = tmp_path / "ours"
    for block, first in enumerate(range(0, shape[0], shard[0])):
        key = ours / "c" / str(block) / "/".join("0" * (len(shape) - 1))
        key.parent.mkdir(parents=True, exist_ok=True)
        key.write_bytes(b"".join(encoded(draws[first : first + shard[0]].T, about)))
    (ours / "zarr.json").write_text(json.dumps(about))
    np.testing.assert_array_equal(zarr.open_array(ours, mode="r")[...], draws)
    sizes = [
        [path.stat().st_size for path in sorted(folder.rglob("c/**/*")) if path.is_file()]
        for folder in (ours, tmp_path / "theirs")
    ]
    assert sizes[0] == sizes[1]


def test_a_short_block_is_filled_piece_by_piece():
    """Two draws of a block of 256 do not take the memory of 256: 205 MB, and 410 once."""
    shard, names = (256, 100, 2000), ("draw", "year", "product")
    about = output_document((2, *shard[1:]), shard, (256, 1, 2000), "float32", names, {})
    draws = np.ones((*shard[:0:-1], 2), np.float32)
    tracemalloc.start()
    try:
        assert sum(1 for _ in encoded(draws, about)) == 100 + 1
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "values",
    [
        np.linspace(0.0, 1.0, 6).reshape(2, 3),
        np.float32([[1.5], [np.nan]]),
        np.arange(5),
        np.array(3),
        np.array([["a", "", "täglich"]]),
        np.array("alone"),
    ],
    ids=str,
)
def test_small_arrays_are_those_of_zarr(tmp_path, values):
    """Zarr says the same of a small array, writes the same bytes, and reads them back."""
    dims, about = ("a", "b")[: values.ndim], {"units": "t"}
    texts = values.dtype.kind == "U"
    with warnings.catch_warnings():  # texts have no stable place in the format yet
        warnings.simplefilter("ignore")
        theirs = zarr.create_array(
            tmp_path / "theirs",
            shape=values.shape,
            chunks=values.shape,
            dtype="string" if texts else values.dtype,
            compressors=[Crc32cCodec()],
            fill_value={"U": "", "f": np.nan}.get(values.dtype.kind, 0),
            dimension_names=dims,
            attributes=about,
            config={"write_empty_chunks": True},
        )
        theirs[...] = values
        ours = SmallArrays(Folder(tmp_path))
        ours.put("ours", values, dims, about)
        np.testing.assert_array_equal(zarr.open_array(tmp_path / "ours", mode="r")[...], values)
    found, chunk = ours.documents["ours"], only_chunk("", ours.documents["ours"])
    assert (tmp_path / f"ours{chunk}").read_bytes() == (tmp_path / f"theirs{chunk}").read_bytes()
    wanted = {"dimension_names": [], **json.loads((tmp_path / "theirs/zarr.json").read_bytes())}
    assert found == json.loads((tmp_path / "ours/zarr.json").read_bytes()) == wanted
    data = (tmp_path / f"ours{chunk}").read_bytes()
    assert ours.files == {f"ours{chunk}": seal(f"ours{chunk}", data, len)}
    if not texts:
        np.testing.assert_array_equal(get_array(data, found), values)


TWO_DOORS = """
import sys, threading, time
import numpy as np
from ndmc.store.zarr_v3 import encoded, output_document
from ndmc.store.opening import open_store

class Aside:
    def find_spec(self, name, path=None, target=None):
        if name == "numcodecs.zlib" and not other.ident:
            other.start()
            time.sleep(0.3)

def write():
    about = output_document((8,), (8,), (8,), "float64", ("draw",), {})
    done.append(len([*encoded(np.zeros(8), about)]))

def read():
    done.append(len(store.arrays))

done, store = [], open_store(sys.argv[1])
first, second = (read, write) if sys.argv[2] == "read" else (write, read)
other = threading.Thread(target=second)
sys.meta_path.insert(0, Aside())
first()
other.join()
assert len(done) == 2
"""


@pytest.mark.parametrize("first", ["read", "write"])
def test_one_thread_reads_while_another_writes_for_the_first_time(tmp_path, first):
    """A thread in the middle of importing what both need does not fail another, or itself."""
    ndmc.run("starter", draws=64, seed=1, out=tmp_path / "run.zarr")
    command = [sys.executable, "-c", TWO_DOORS, str(tmp_path / "run.zarr"), first]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
