"""Every key of a store: where its files lie, and what the entries of its ledger are called."""

from __future__ import annotations

import re

__all__ = [
    "DIGESTS",
    "INPUTS",
    "LEDGER",
    "PARAMETERS",
    "PERCENTILES",
    "ROOT",
    "TABLES",
    "again_name",
    "again_of_block",
    "block_name",
    "brackets_key",
    "chunk_key",
    "digest_key",
    "document_key",
    "entry_key",
    "is_block",
    "is_entry",
    "is_merged",
    "lock_key",
    "percentile_key",
    "piece_key",
    "stage_name",
    "stage_of",
    "state_key",
]

#: The document of the root, which makes a store of files: it is written last.
ROOT = "zarr.json"

#: The groups of the Zarr hierarchy.
INPUTS, PARAMETERS, PERCENTILES, TABLES = "inputs", "parameters", "percentiles", "tables"

#: The folder of what ndmc needs to go on, no part of the hierarchy.
LEDGER = "ledger"

#: The folder in it of what exact percentiles need of draws that are not kept.
DIGESTS = f"{LEDGER}/digests"


def document_key(key: str) -> str:
    """Return the key of the document of an array or group.

    Examples
    --------
    >>> document_key("percentiles/in_use")
    'percentiles/in_use/zarr.json'
    """
    return f"{key}/{ROOT}"


def chunk_key(key: str, *place: int) -> str:
    """Return the key of a chunk of an array.

    Examples
    --------
    >>> chunk_key("in_use", 3, 0, 0)
    'in_use/c/3/0/0'
    """
    return "/".join([key, "c", *map(str, place)])


def percentile_key(title: str) -> str:
    """Return the key of an array of percentiles.

    Examples
    --------
    >>> percentile_key("in_use_low")
    'percentiles/in_use_low'
    """
    return f"{PERCENTILES}/{title}"


# --- entries of the ledger ----------------------------------------------------------------------


def block_name(first: int) -> str:
    """Return the name of the entry of the block that begins with a draw.

    Examples
    --------
    >>> block_name(8192)
    'block-0000000000008192'
    """
    return f"block-{first:016d}"


def stage_name(first: int) -> str:
    """Return the name of the entry of the stage that begins with a draw.

    Examples
    --------
    >>> stage_name(65536)
    'stage-0000000000065536'
    """
    return f"stage-{first:016d}"


def again_name(draws: int, confidence: float) -> str:
    """Return the name of the entry of the second pass over so many draws.

    Examples
    --------
    >>> again_name(65536, 0.95)
    'again-0000000000065536-0.950000'
    """
    return f"again-{draws:016d}-{confidence:.6f}"


def again_of_block(again: str, first: int) -> str:
    """Return the name of the entry of a block that is digested in a second pass."""
    return f"{again}-{first:016d}"


def is_entry(name: str) -> bool:
    """Whether a file of the ledger is an entry: others are locks and digests."""
    return name.startswith(("block-", "stage-", "again-"))


def is_block(name: str) -> bool:
    """Whether an entry is that of a block."""
    return name.startswith("block-")


def stage_of(name: str) -> int | None:
    """Return the draw with which the stage of an entry begins, or None if it is of no stage.

    Examples
    --------
    >>> stage_of(stage_name(65536))
    65536
    """
    return int(name.removeprefix("stage-")) if name.startswith("stage-") else None


def entry_key(name: str) -> str:
    """Return the key of an entry."""
    return f"{LEDGER}/{name}"


def lock_key(name: str) -> str:
    """Return the key of the file that a lock is on."""
    return f"{LEDGER}/{name}.lock"


# --- digests ------------------------------------------------------------------------------------


def digest_key(name: str) -> str:
    """Return the key of the digest of a block in a second pass."""
    return f"{DIGESTS}/{name}"


def piece_key(first: int, stop: int) -> str:
    """Return the key of the digest of consecutive draws of a block.

    Examples
    --------
    >>> piece_key(8192, 16384)
    'ledger/digests/8192-16384'
    """
    return f"{DIGESTS}/{first}-{stop}"


def state_key(stage: str) -> str:
    """Return the key of the digest of all draws before a stage, given by its name."""
    return f"{DIGESTS}/{stage}.state"


def brackets_key(name: str) -> str:
    """Return the key of the brackets of a stage or a second pass, given by its name."""
    return f"{DIGESTS}/{name}.brackets"


def is_merged(name: str, newest: int) -> bool:
    """Whether a file of the folder of digests is merged in that of the newest stage.

    Examples
    --------
    >>> is_merged("8192-16384", 65536), is_merged(f"{stage_name(65536)}.state", 65536)
    (True, False)
    """
    piece = re.fullmatch(r"\d+-(\d+)", name)
    state = re.fullmatch(r"stage-(\d+)\.state", name)
    return bool((piece and int(piece[1]) <= newest) or (state and int(state[1]) < newest))
