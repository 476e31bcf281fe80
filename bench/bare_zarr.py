"""Write the draws of a run again with Zarr alone: the same arrays, codecs, shards and chunks.

The bytes come from memory: the draws of one block, over and over.
"""

import argparse
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import zarr


def copied(like: zarr.Array, group: zarr.Group) -> zarr.Array:
    """Return a new array that is stored as another one is."""
    return group.create_array(
        like.name,
        shape=like.shape,
        chunks=like.chunks,
        shards=like.shards,
        dtype=like.dtype,
        filters=like.filters,
        compressors=like.compressors,
        fill_value=like.fill_value,
        dimension_names=like.metadata.dimension_names,
        config={"write_empty_chunks": True},
    )


def write(array: zarr.Array, block: np.ndarray, first: int) -> None:
    """Write one shard, transposed as ndmc hands it over."""
    stop = min(first + block.shape[-1], array.shape[0])
    array[first:stop] = block[..., : stop - first].T


def main() -> None:
    """Write all arrays that were kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("like", type=Path, help="store whose arrays are made again")
    parser.add_argument("blocks", type=Path, help="draws of one block of each array, .npz")
    parser.add_argument("out")
    options = parser.parse_args()
    source, group = zarr.open_group(options.like, mode="r"), zarr.create_group(options.out)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        for name, block in np.load(options.blocks).items():
            array = copied(source[name], group)
            starts = range(0, array.shape[0], block.shape[-1])
            for _ in threads.map(partial(write, array, block), starts):
                pass


if __name__ == "__main__":
    main()
