"""Every key of a store: where its files lie, and what the entries of its ledger are called.

=====================================  =========================================================
``zarr.json``                          document of the root; written last, it makes a store
``in_use/zarr.json``                   document of an array or group
``in_use/c/3/0/0``                     a chunk: the fourth block of draws
``percentiles/in_use_low/c/0/0/0``     the one chunk of a small array
``ledger/block-FIRST``                 entry of a block, named by its first draw
``ledger/stage-FIRST``                 entry of a stage
``ledger/again-DRAWS-CONFIDENCE``      entry of a second pass, and with ``-FIRST`` of a block of it
``ledger/run.lock``                    file that a lock is on
``ledger/digests/FIRST-STOP``          digest of consecutive draws of a block
``ledger/digests/again-...``           digest of a block in a second pass
``ledger/digests/stage-FIRST.state``   digest of all draws before a stage
``ledger/digests/NAME.brackets``       brackets of a stage or a second pass
=====================================  =========================================================
"""

from __future__ import annotations

import re

from ndmc.errors import RunError

__all__ = [
    "DIGESTS",
    "ENSEMBLE",
    "PERCENTILES",
    "ROOT",
    "SENSITIVITY",
    "again_name",
    "again_of_block",
    "block_name",
    "brackets_key",
    "digest_key",
    "is_merged",
    "percentile_key",
    "piece_key",
    "share_key",
    "stage_name",
    "stage_of",
    "state_key",
]

ROOT = "zarr.json"

#: The groups of the Zarr hierarchy; and a folder that is no part of it, with one for digests.
INPUTS, PARAMETERS, PERCENTILES, TABLES = "inputs", "parameters", "percentiles", "tables"
SENSITIVITY = "sensitivity"

#: The attribute of a store that says of which ensemble it is.
ENSEMBLE = "ensemble"
LEDGER = "ledger"
DIGESTS = f"{LEDGER}/digests"


#: Names of scenarios, numbers and the words above. No file of a store is called anything else.
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")

_LONGEST_KEY = 1000

_ENTRY = re.compile(r"(block|stage)-\d{16,19}|again-\d{16,19}-\d\.\d{6}(-\d{16,19})?")


def checked(key: str, url: str) -> str:
    """Return a key that can only name what lies in a store, whoever wrote it there.

    Raises
    ------
    RunError
        For any other: absolute ones, those that lead up, or have a drive or an empty part.

    Examples
    --------
    >>> checked("in_use/c/0/0/0", "run.zarr")
    'in_use/c/0/0/0'
    """
    if len(key) > _LONGEST_KEY or not _KEY.fullmatch(key):
        raise outside(key, url)
    return key


def outside(key: str, url: str) -> RunError:
    """Return what is said of a file that is not in the store that names it."""
    shown = f"{key[:60]!r}{'...' * (len(key) > 60)}"
    return RunError(f"{url!r} is not a store of ndmc's: it names {shown}, which is no file in it")


def document_key(key: str) -> str:
    return f"{key}/{ROOT}"


def chunk_key(key: str, *place: int) -> str:
    return "/".join([key, "c", *map(str, place)])


def percentile_key(title: str) -> str:
    return f"{PERCENTILES}/{title}"


def share_key(name: str) -> str:
    return f"{SENSITIVITY}/{name}"


def is_of_whole(key: str) -> bool:
    """Whether a document is of what is written once all draws are there."""
    return key.partition("/")[0] in (PERCENTILES, SENSITIVITY)


# --- entries of the ledger ----------------------------------------------------------------------


def block_name(first: int) -> str:
    return f"block-{first:016d}"


def stage_name(first: int) -> str:
    return f"stage-{first:016d}"


def again_name(draws: int, confidence: float) -> str:
    return f"again-{draws:016d}-{confidence:.6f}"


def again_of_block(again: str, first: int) -> str:
    return f"{again}-{first:016d}"


def is_entry(name: str) -> bool:
    return bool(_ENTRY.fullmatch(name))


def is_block(name: str) -> bool:
    return name.startswith("block-")


def first_of_block(name: str) -> int:
    return int(name.removeprefix("block-"))


def is_again_of_block(name: str) -> bool:
    found = _ENTRY.fullmatch(name)
    return bool(found and found[2])


def stage_of(name: str) -> int | None:
    """Return the draw with which the stage of an entry begins, or None if it is of no stage."""
    return int(name.removeprefix("stage-")) if name.startswith("stage-") else None


def entry_key(name: str) -> str:
    return f"{LEDGER}/{name}"


def lock_key(name: str) -> str:
    return f"{LEDGER}/{name}.lock"


# --- digests ------------------------------------------------------------------------------------


def digest_key(name: str) -> str:
    return f"{DIGESTS}/{name}"


def piece_key(first: int, stop: int) -> str:
    return digest_key(f"{first}-{stop}")


def state_key(stage: str) -> str:
    return digest_key(f"{stage}.state")


def brackets_key(name: str) -> str:
    return digest_key(f"{name}.brackets")


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
