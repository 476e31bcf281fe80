"""The store: one Zarr v3 group per run, readable by plain xarray.

The root holds the kept outputs with dims (draw, year, ...), one shard per block of draws, each
written once and whole. Inside a chunk the draws of a cell lie together, which is how they are
computed and how percentiles read them. The root's document carries all metadata and a checksum of
itself; ``ledger`` records which blocks are safely written, and holds what percentiles need of them.
"""

from __future__ import annotations

import datetime
import difflib
import functools
import importlib.metadata
import json
import platform
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ndmc.arrays import get_array, put_array, read_chunk
from ndmc.dims import Dims
from ndmc.errors import InputError, RunError
from ndmc.labels import write_labels
from ndmc.ledger import Entry, Ledger, block_name, checksum, stage_name
from ndmc.place import Folder, Place, place_of, told
from ndmc.scenario import Scenario
from ndmc.shards import encoded, output_document
from ndmc.stages import Spec, blocks
from ndmc.steps import Output, Plan

__all__ = ["Store", "create", "open_store", "seal"]

FORMAT = 1
# Smaller inner chunks cost more in per-chunk overhead than they save in reading one year.
_INNER_BYTES = 2**20
#: What makes two runs the same run, but for the number of draws, which can be raised.
_IDENTITY = (
    "ndmc",
    "variant",
    "changes",
    "scenario_hash",
    "seed",
    "keep",
    "percentiles",
    "quantiles",
    "exceed",
    "dtype",
    "compute",
    "bits",
)
#: What stores say that were written before there was a choice.
_BEFORE = {"compute": "float64", "bits": 0}
_ROOT = "zarr.json"


@contextmanager
def quiet() -> Iterator[None]:
    """Silence zarr's note that consolidated metadata and strings are new in Zarr v3."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="zarr")
        warnings.filterwarnings("ignore", category=FutureWarning, module="zarr")
        yield


@dataclass(frozen=True)
class Store:
    """An opened store: where it is, and the document of its root as it was then."""

    place: Place
    document: dict[str, Any]

    @property
    def path(self) -> str:
        """The path or URL."""
        return self.place.url

    @property
    def attrs(self) -> dict[str, Any]:
        """The provenance of the run."""
        return dict(self.document["attributes"])

    @functools.cached_property
    def root(self) -> Any:
        """The Zarr group, with the metadata of every array as the document has it."""
        import numcodecs  # noqa: F401 - before Zarr: see ndmc.shards
        import zarr

        with quiet(), told():
            return zarr.open_group(self.path, mode="r+", use_consolidated=True)

    @functools.cached_property
    def spec(self) -> Spec:
        """What the run computes."""
        a = self.attrs
        return Spec(
            seed=a["seed"],
            draws=a["draws"],
            block=a["block"],
            dtype=a["dtype"],
            keep=tuple(a["keep"]),
            percentiles=tuple(a["percentiles"]),
            quantiles=tuple(a["quantiles"]),
            exceed=tuple((name, limit) for name, limit in a["exceed"]),
            compute=a.get("compute", _BEFORE["compute"]),
            bits=a.get("bits", _BEFORE["bits"]),
            **a["stages"],
        )

    @functools.cached_property
    def ledger(self) -> Ledger:
        """What is safely written."""
        keys = ("seed", "scenario_hash", "ndmc")
        run = {key: self.attrs[key] for key in keys}
        identity = {key: self.attrs[key] for key in _IDENTITY if key in self.attrs}
        return Ledger(self.place, {**run, "identity": checksum(identity)})

    @property
    def complete(self) -> bool:
        """Whether every block is written, and the percentiles."""
        return bool(self.attrs["complete"])

    @functools.cached_property
    def dims(self) -> Dims:
        """The dims of the run and their labels."""
        labels = {dim: tuple(names) for dim, names in self.attrs["dims"].items()}
        groups = {
            dim: {group: tuple(members) for group, members in named.items()}
            for dim, named in self.attrs["groups"].items()
        }
        return Dims(labels, groups)

    @functools.cached_property
    def outputs(self) -> dict[str, Output]:
        """The outputs whose draws are kept, and parameters kept as inputs."""
        return {name: self.computed[name] for name in self.spec.keep}

    @functools.cached_property
    def computed(self) -> dict[str, Output]:
        """All outputs, those with percentiles alone included."""
        found = {}
        for entry in self.attrs["outputs"]:
            found[entry["name"]] = Output(**{**entry, "dims": tuple(entry["dims"])})
        return found

    def check_whole(self) -> None:
        """Refuse a store that says it is complete but has lost some of its files.

        Raises
        ------
        RunError
            If a file that the ledger names is missing or has another length.
        """
        lost = [entry.name for entry in self.entries() if not self.has_files(entry)]
        lost += [str(b.start) for b in self.missing()]
        if lost:
            message = f"{self.path!r} has lost part of its data ({lost[0]})"
            raise RunError(f"{message}; run the same command again with --repair")

    def entries(self) -> Iterator[Entry]:
        """Yield the sound entries of the ledger."""
        for name in self.ledger.names:
            entry = self.ledger.read(name)
            if entry is not None:
                yield entry

    def has_files(self, entry: Entry) -> bool:
        """Whether the files an entry names are there, in their lengths."""
        try:
            return all(self.place.size(key) == size for key, (size, _) in self.needed(entry))
        except FileNotFoundError:
            return False

    def needed(self, entry: Entry) -> list[tuple[str, tuple[int, int]]]:
        """Return the files of an entry that are still needed: merged digests are not."""
        newest = self.stage
        if entry.name.startswith("stage-") and entry.name != stage_name(newest):
            return []
        merged = {piece.digest for piece in entry.pieces if piece.stop <= newest}
        return [(key, facts) for key, facts in entry.files.items() if key not in merged]

    @property
    def stage(self) -> int:
        """The draw at which the newest stage begins: all before it are merged in one digest."""
        stages = [int(n.removeprefix("stage-")) for n in self.ledger.names if n[:6] == "stage-"]
        return max(stages, default=0)

    @contextmanager
    def damage(self, what: str) -> Iterator[None]:
        """Turn what Zarr says of damaged or missing data into one message."""
        try:
            with told():
                yield
        except RunError:
            raise
        except (KeyError, ValueError, RuntimeError, OSError) as failed:
            reason = str(failed).splitlines()[0] if str(failed) else type(failed).__name__
            if isinstance(failed, OSError) and not isinstance(failed, FileNotFoundError):
                raise RunError(f"cannot read {what} in {self.path!r}: {reason}") from None
            raise RunError(
                f"{what} in {self.path!r} is damaged or missing ({reason}); "
                "run the same command again with --repair"
            ) from None

    @property
    def metadata(self) -> dict[str, Any]:
        """The documents of all arrays and groups, by key."""
        found: dict[str, Any] = self.document["consolidated_metadata"]["metadata"]
        return found

    def check_labels(self) -> None:
        """Refuse labels of the root that are damaged; of what is gone Zarr makes zeros.

        Raises
        ------
        RunError
            If the labels along a dim are not what was written.
        """
        for key in set(self.metadata) - set(self.outputs):
            about = self.metadata[key]
            if about["node_type"] == "array" and "/" not in key:
                with self.damage(key):
                    read_chunk(self.place, key, about)

    def percentile(self, title: str) -> npt.NDArray[Any]:
        """Return an array of the group of percentiles, such as ``in_use_low``.

        Raises
        ------
        RunError
            If it is damaged.
        """
        key = f"percentiles/{title}"
        with self.damage(key):
            return get_array(self.place, key, self.metadata[key])

    @functools.cached_property
    def arrays(self) -> dict[str, Any]:
        """The Zarr array of each output, read with the draws of a cell together."""
        # Reading 1e5 draws of china_nd's stock takes 0.21 s this way, 0.33 to 0.7 s in C order.
        config = {"order": "F", "write_empty_chunks": True}
        places = {name: place_in_store(output) for name, output in self.outputs.items()}
        with self.damage("an output"):
            return {name: self.root[place].with_config(config) for name, place in places.items()}

    def read(self, name: str, draws: slice, years: slice = slice(None)) -> npt.NDArray[Any]:
        """Return draws of an output as [dims..., draw]."""
        dims = self.outputs[name].dims
        chosen = [draws, *(years if dim == "year" else slice(None) for dim in reversed(dims))]
        with self.damage(repr(name)):
            return np.asarray(self.arrays[name][tuple(chosen)]).T

    def write(self, name: str, draws: range, values: npt.NDArray[Any]) -> str:
        """Write one block of an output [dims..., draw], and return the key of its file."""
        place = place_in_store(self.outputs[name])
        zeros = "/0" * len(self.outputs[name].dims)
        key = f"{place}/c/{draws.start // self.spec.block}{zeros}"
        self.place.write(key, encoded(values, self.metadata[place]), durable=False)
        return key

    def missing(self) -> list[range]:
        """Return the blocks that are not written yet."""
        return [b for b, done in zip(blocks(self.spec), self.written, strict=True) if not done]

    @property
    def written(self) -> npt.NDArray[np.bool_]:
        """Which blocks are written."""
        names = set(self.ledger.names)
        found = []
        for block in blocks(self.spec):
            name = block_name(block.start)
            entry = self.ledger.read(name) if name in names else None
            found.append(entry is not None and entry.stop >= block.stop)
        return np.array(found, dtype=np.bool_)

    def findings(self) -> tuple[list[int], float]:
        """Return in how many draws each watch was met, and the worst balance."""
        pieces = [p for entry in self.entries() if entry.name[:6] == "block-" for p in entry.pieces]
        worst = max((piece.imbalance for piece in pieces), default=0.0)
        return [sum(n) for n in zip(*(piece.counts for piece in pieces), strict=True)], worst

    @property
    def counted(self) -> list[tuple[str, str, int]]:
        """What was counted, its kind, and in how many draws it was so: see `ndmc.audit`."""
        found = zip(self.attrs["watched"], self.attrs["counted"], strict=False)
        return [(name, kind, int(n)) for (name, kind), n in found if n]

    def changed(self, **attributes: Any) -> Store:
        """Return the store with other attributes, written."""
        document = {**self.document, "attributes": {**self.attrs, **attributes}}
        return seal(self.place, document)


def place_in_store(output: Output) -> str:
    """Return where the draws of an output are."""
    return f"inputs/{output.name}" if output.kind == "parameter" else output.name


def seal(place: Place, document: Mapping[str, Any]) -> Store:
    """Write the document of the root, with its checksum, and return the store."""
    attributes = {k: v for k, v in document["attributes"].items() if k != "checksum"}
    plain = json.loads(json.dumps({**document, "attributes": attributes}))
    sealed = {**plain, "attributes": {**attributes, "checksum": checksum(plain)}}
    place.write(_ROOT, json.dumps(sealed).encode())
    return Store(place, sealed)


def _title(scenario: Scenario, plan: Plan) -> str:
    """Return the title of a scenario, which says so if its draws are reconciled."""
    if plan.conditioning is None:
        return scenario.file.title
    how = {"projected": "projected", "active_set": "non-negative"}[plan.conditioning.method]
    return f"{scenario.file.title or scenario.name} ({how} draws)"


def now() -> str:
    """Return the time as stores record it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _version(package: str) -> str:
    return importlib.metadata.version(package)


def identity(scenario: Scenario, spec: Spec) -> dict[str, Any]:
    """Return what makes two runs the same run."""
    return {
        "ndmc": _version("ndmc"),
        "scenario_hash": scenario.hash,
        "variant": scenario.variant,
        "changes": dict(scenario.changes),
        "seed": spec.seed,
        "keep": list(spec.keep),
        "percentiles": list(spec.percentiles),
        "quantiles": list(spec.quantiles),
        "exceed": [list(pair) for pair in spec.exceed],
        "dtype": spec.dtype,
        "compute": spec.compute,
        "bits": spec.bits,
    }


def open_store(where: Path | str | Place) -> Store:
    """Open an existing store.

    Raises
    ------
    InputError
        If there is none, or it is not one of ndmc's.
    RunError
        If its root is damaged.
    """
    place = where if isinstance(where, Place) else place_of(where)
    try:
        data = place.read(_ROOT)
        document = json.loads(data)
        attributes = document["attributes"]
    except PermissionError:
        raise InputError(f"{place.url!r} cannot be read: permission denied") from None
    except (FileNotFoundError, NotADirectoryError):
        if place.exists():
            raise _not_ours(place) from None
        raise InputError(f"there is no store at {place.url!r}") from None
    except OSError as failed:
        raise RunError(f"cannot read {place.url!r}: {failed.strerror or failed}") from None
    except (KeyError, ValueError, TypeError):
        raise _not_ours(place) from None
    sound = _is_sound(document)
    if attributes.get("ndmc_format") != FORMAT and (sound or "checksum" not in attributes):
        raise _not_ours(place)
    if not sound:
        raise _damaged(place)
    return Store(place, document)


def _is_sound(document: dict[str, Any]) -> bool:
    attributes = document["attributes"]
    plain = {k: v for k, v in attributes.items() if k != "checksum"}
    return bool(attributes.get("checksum") == checksum({**document, "attributes": plain}))


def _damaged(place: Place) -> RunError:
    return RunError(
        f"the metadata of {place.url!r} are damaged (zarr.json is not what was written); "
        "its numbers cannot be trusted: run into another --out, or restore the file"
    )


def _not_ours(place: Place) -> InputError | RunError:
    if any(name.startswith("stage-") for name in place.names("ledger")):
        return _damaged(place)
    return InputError(f"{place.url!r} is not a store of ndmc's (format {FORMAT})")


def existing(place: Place) -> Store | None:
    """Return the store there is at a place, if there is one."""
    if not place.exists() or _is_begun(place):
        return None
    return open_store(place)


def create(place: Place, scenario: Scenario, plan: Plan, spec: Spec) -> Store:
    """Return the store of a run: a new one, or the one an earlier attempt began.

    Raises
    ------
    InputError
        If the path belongs to something else; nothing is touched.
    RunError
        If it cannot be written.
    """
    store = existing(place)
    if store is not None:
        check_same(store, scenario, spec)
        return store
    try:
        with told(), place.begin() as begun:
            _create(begun, scenario, plan, spec)
    except OSError as failed:
        reason = f"cannot write {place.url!r}: {failed.strerror or failed}"
        if isinstance(failed, FileNotFoundError) and not isinstance(place, Folder):
            raise InputError(f"{reason}; choose another --out", "--out") from None
        remedy = "choose another --out, or make room and run the same command again"
        raise RunError(f"{reason}; {remedy}") from None
    store = open_store(place)
    check_same(store, scenario, spec)  # another may have been quicker
    return store


def _is_begun(place: Place) -> bool:
    """Whether an object store holds no more than the beginning of a store: its root comes last."""
    if isinstance(place, Folder) or place.exists(_ROOT):
        return False
    return place.exists("ledger/zarr.json") or not place.names("")


def check_same(store: Store, scenario: Scenario, spec: Spec) -> None:
    """Refuse a store whose run is not the one asked for, and show the difference."""
    wanted = identity(scenario, spec)
    for key in _IDENTITY:
        found = store.attrs.get(key, _BEFORE.get(key))
        if found == wanted[key]:
            continue
        shown = f"{found!r}, asked for {wanted[key]!r}"
        if key == "scenario_hash":
            shown = _difference(store, scenario)
        raise InputError(
            f"the store belongs to another run ({key.replace('_hash', '')}: {shown}); "
            "choose another --out or remove it",
            store.path,
        )


def _difference(store: Store, scenario: Scenario) -> str:
    """Return the first lines in which the texts of two scenarios differ."""
    before = {"scenario.yaml": store.attrs["scenario_text"], **tables_of(store)}
    after = {"scenario.yaml": scenario.document.text, **scenario.tables}
    for name in {**before, **after}:
        old, new = (texts.get(name, "").splitlines() for texts in (before, after))
        lines = difflib.unified_diff(old, new, n=0, lineterm="")
        changed = [line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")]
        if changed:
            return f"another text, in {name}: {' / '.join(line.strip() for line in changed[:2])}"
    return "another text"


def tables_of(store: Store) -> dict[str, str]:
    """Return the texts of the tables of a run's scenario, by file name."""
    found: dict[str, str] = store.metadata["tables"]["attributes"]
    return found


def _create(place: Place, scenario: Scenario, plan: Plan, spec: Spec) -> None:
    kept = [output for output in plan.outputs if output.name in spec.keep]
    if kept:
        _create_outputs(place, kept, plan.dims, spec, "; ".join(scenario.file.references))
    keys = [f"{place_in_store(output)}/zarr.json" for output in kept]
    metadata = {key.removesuffix("/zarr.json"): json.loads(place.read(key)) for key in keys}
    labels, attributes = write_labels(place, scenario, kept, plan)
    metadata |= labels
    for group in filter(None, attributes):
        metadata[group] = gather(place, group, attributes[group], metadata)
    place.settle(keys)
    # An array, whose folder nobody searches for arrays, and which is not listed in the root.
    put_array(place, "ledger", np.array(0), (), {"long_name": "see files beside this"})
    about = {**_attributes(scenario, plan, spec), **attributes[""]}
    seal(place, group_document(about, metadata))


def restore(store: Store, scenario: Scenario, plan: Plan) -> None:
    """Write anew what a store has besides blocks and percentiles: documents, labels, parameters."""
    write_labels(store.place, scenario, [*store.outputs.values()], plan)
    for key, about in store.metadata.items():
        if about["node_type"] == "group" and key != "percentiles":
            gather(store.place, key, about["attributes"], store.metadata)
        elif about["node_type"] == "array" and not key.startswith("percentiles/"):
            store.place.write(f"{key}/zarr.json", json.dumps(about).encode())


def group_document(attributes: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of a group with the metadata of all that is in it."""
    # Sorted: Zarr must meet a group before what is in it.
    found = dict(sorted(metadata.items()))
    inside = {"kind": "inline", "must_understand": False, "metadata": found}
    return {
        "attributes": dict(attributes),
        "zarr_format": 3,
        "consolidated_metadata": inside,
        "node_type": "group",
    }


def gather(
    place: Place, name: str, attributes: Mapping[str, Any], metadata: Mapping[str, Any]
) -> dict[str, Any]:
    """Write the document of a group with the metadata of its arrays: xarray opens it at once.

    Returns what the root's document should say of the group.
    """
    document = own_document(name, attributes, metadata)
    place.write(f"{name}/zarr.json", json.dumps(document).encode())
    return group_document(attributes, {})


def own_document(
    name: str, attributes: Mapping[str, Any], metadata: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the document of a group inside a store."""
    start = f"{name}/"
    own = {k.removeprefix(start): v for k, v in metadata.items() if k.startswith(start)}
    return group_document(attributes, own)


def _attributes(scenario: Scenario, plan: Plan, spec: Spec) -> dict[str, Any]:
    groups = {dim: named for dim, named in scenario.dims.groups.items() if named}
    return {
        "ndmc_format": FORMAT,
        "title": _title(scenario, plan),
        "scenario": scenario.name,
        "references": list(scenario.file.references),
        **identity(scenario, spec),
        "reconciled": plan.conditioning.method if plan.conditioning else "",
        "rounding_error": 2.0 ** -(1 + (spec.bits or np.finfo(spec.dtype).nmant)),
        "draws": spec.draws,
        "block": spec.block,
        "stages": {"begin": spec.begin, "pilot": spec.pilot, "counted": spec.counted},
        "complete": False,
        "started": now(),
        "versions": {p: _version(p) for p in ("numpy", "numba", "scipy", "zarr", "dask")}
        | {"python": platform.python_version()},
        "machine": platform.machine(),
        "dims": {dim: list(labels) for dim, labels in scenario.dims.labels.items()},
        "groups": {dim: {g: list(m) for g, m in named.items()} for dim, named in groups.items()},
        "headline": list(scenario.file.headline),
        "outputs": [{**o.__dict__, "dims": list(o.dims)} for o in plan.outputs],
        "watched": [[watch.name, watch.kind] for watch in plan.watches],
        "counted": [],
        "balance": {
            "checked": [ledger.process for ledger in plan.ledgers],
            "not_computed": [
                process
                for process in scenario.file.processes
                if process not in {ledger.process for ledger in plan.ledgers}
            ],
        },
        "scenario_text": scenario.document.text,
    }


def _create_outputs(
    place: Place, outputs: Sequence[Output], dims: Dims, spec: Spec, source: str
) -> None:
    for output in outputs:
        about = _output_document(output, dims, spec, source)
        data = json.dumps(about).encode()
        place.write(f"{place_in_store(output)}/zarr.json", data, durable=False)


def _output_document(output: Output, dims: Dims, spec: Spec, source: str) -> dict[str, Any]:
    rest = dims.shape(tuple(reversed(output.dims)))
    shard = (spec.block, *rest)
    inner = _inner_chunk(shard, output.dims, np.dtype(spec.dtype).itemsize)
    attributes = {"units": output.unit, "long_name": output.title, "kind": output.kind}
    if source:
        attributes["source"] = source
    if output.note:
        attributes["comment"] = output.note
    names = ("draw", *reversed(output.dims))
    return output_document((spec.draws, *rest), shard, inner, spec.dtype, names, attributes)


def without_percentiles(store: Store) -> Store:
    """Take the percentiles of a run that is computed anew out of the root, then off the disk."""
    metadata = {k: v for k, v in store.metadata.items() if not k.startswith("percentiles")}
    if len(metadata) < len(store.metadata):
        attributes = {**store.attrs, "complete": False}
        store = seal(store.place, group_document(attributes, metadata))
    store.place.remove("percentiles/zarr.json")
    return store


def raise_draws(store: Store, spec: Spec) -> Store:
    """Make room for more draws; what is written stays.

    All of it is in the root's document, which is replaced in one step; the others follow.
    """
    metadata = {k: v for k, v in store.metadata.items() if not k.startswith("percentiles")}
    for output in store.outputs.values():
        about = metadata[place_in_store(output)]
        metadata[place_in_store(output)] = {**about, "shape": [spec.draws, *about["shape"][1:]]}
    attributes = {
        **{name: value for name, value in store.attrs.items() if name != "until"},
        "draws": spec.draws,
        "stages": {"begin": spec.begin, "pilot": spec.pilot, "counted": spec.counted},
        "complete": False,
    }
    raised = seal(store.place, group_document(attributes, metadata))
    store.place.remove("percentiles/zarr.json")
    write_shapes(raised)
    return raised


def write_shapes(store: Store) -> None:
    """Write the documents of the kept outputs as the root has them, where a raise was cut short."""
    for output in store.outputs.values():
        key = place_in_store(output)
        store.place.write(f"{key}/zarr.json", json.dumps(store.metadata[key]).encode())
    if "inputs" in store.metadata:
        gather(store.place, "inputs", store.metadata["inputs"]["attributes"], store.metadata)


def _inner_chunk(shard: tuple[int, ...], dims: tuple[str, ...], itemsize: int) -> tuple[int, ...]:
    """Cut a shard by years, so that a few years of all draws can be read alone."""
    if "year" not in dims:
        return shard
    axis = 1 + tuple(reversed(dims)).index("year")
    years = shard[axis]
    row = int(np.prod(shard, dtype=np.int64)) // years * itemsize
    wanted = min(years, -(-_INNER_BYTES // row))
    fitting = next(n for n in range(wanted, years + 1) if years % n == 0)
    return (*shard[:axis], fitting, *shard[axis + 1 :])
