"""A store that someone else made is data: whatever stands in it, nothing outside is touched."""

import shutil

import numpy as np
import pytest
from command import here
from numcodecs.blosc import Blosc

import ndmc
from ndmc.errors import InputError, RunError
from ndmc.store import summaries
from ndmc.store.folder import Folder
from ndmc.store.integrity import verify
from ndmc.store.opening import open_store
from ndmc.store.store import write_root

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
    with pytest.raises(InputError, match="is not a store of ndmc's"):
        verify(out)
    with pytest.raises(InputError, match="is not a store of ndmc's"):
        ndmc.run("starter", 300, out=out, repair=True, **ASKED)
    assert (victim / "zarr.json").read_text() == "mine"
    assert [path.name for path in victim.iterdir()] == ["zarr.json"]


# --- what stands in the root ----------------------------------------------------------------------


def forged(store, value, *path):
    """Put a value at a path of the document of the root, with the right checksum."""
    *above, last = path
    inner = store.document
    for part in above:
        inner = inner[part]
    inner[last] = value
    write_root(store.place, store.document)
    return store.path


WRONG = [
    ("draws", -5, "attribute 'draws' is -5; it should be greater than or equal to 1"),
    ("draws", 2**63, "attribute 'draws' is 9223372036854775808"),
    ("draws", "300", "attribute 'draws' is '300'; it should be a valid integer"),
    ("draws", 2**50, "blocks, where a store has at most 1000000"),
    ("block", 300, "which is no power of two"),
    ("stages", {"begin": 8192, "pilot": 0, "counted": 7}, "where no stage begins"),
    ("quantiles", [0.5, 1.5], "attribute 'quantiles.1' is 1.5"),
    ("quantiles", [0.5] * 1001, "at most 1000 items"),
    ("quantiles", [0.5], "is not what the attributes say of it"),
    ("seed", 2**64, "attribute 'seed'"),
    ("keep", ["nothing"], "a name of 'keep' is not among the outputs"),
    ("keep", ["../../x"], "attribute 'keep.0'"),
    ("exceed", [["in_use", 1.0]], "the document of 'percentiles/in_use_exceedance' is missing"),
    ("exceed", [["other", 1.0]], "a name of 'exceed' has no percentiles"),
    ("dtype", "float16", "'float32' or 'float64'"),
    ("bits", 40, "where float32 has 23"),
    ("counted", [1], "1 numbers are counted of"),
    ("balance", {"checked": [], "not_computed": [], "worst": float("nan")}, "balance.worst"),
    ("coordinates", "in_use", "which are not all further labels"),
    ("until", [{"met": 1}], "attribute 'until.0"),
    ("complete", 2, "attribute 'complete' is 2"),
    ("changes", {"a": 1}, "attribute 'changes.a' is 1"),
    ("changes", "{", "attribute 'changes' is '{'"),
    ("dims", "[" * 10**6, "attribute 'dims' is"),
    ("title", 1, "attribute 'title' is 1"),
]


@pytest.mark.parametrize(
    ("name", "value", "said"), WRONG, ids=[f"{n}-{v!r:.20}" for n, v, _ in WRONG]
)
def test_attributes_that_no_run_writes_are_refused(store, name, value, said):
    """An attribute of a wrong kind, out of range or at odds with others ends in one message."""
    with pytest.raises(InputError) as refused:
        open_store(forged(store, value, "attributes", name))
    assert said in str(refused.value)
    assert len(str(refused.value)) < 400 + len(store.path)


@pytest.mark.parametrize("name", ["draws", "seed", "dims", "outputs", "stages", "watched"])
def test_attributes_that_every_run_writes_are_needed(store, name):
    """Nothing is assumed of a run that does not say it."""
    del store.document["attributes"][name]
    with pytest.raises(InputError, match=f"the attribute '{name}' is missing"):
        open_store(write_root(store.place, store.document).path)


def test_labels_have_to_agree(store):
    """Labels stand once, years are years, and groups are of labels."""
    dims, groups = (store.attrs[name] for name in ("dims", "groups"))
    wrong = {
        "one of the labels of 'product' stands twice": ("dims", {**dims, "product": ["a"] * 3}),
        "labels of 'year' are not years": ("dims", {**dims, "year": [*dims["year"][1:], "2010"]}),
        "hold what are no labels of it": ("groups", {"product": {"all": ["tram"]}}),
        "in another order": ("dims", dict(reversed(dims.items()))),
    }
    for said, (name, value) in wrong.items():
        with pytest.raises(InputError, match=said):
            open_store(forged(store, value, "attributes", name))
        forged(store, {"dims": dims, "groups": groups}[name], "attributes", name)
    forged(store, {"product": "product"}, "attributes", "of")  # a circle
    with pytest.raises(InputError, match="the dim 'product' does not come before 'product'"):
        open_store(
            forged(store, {"product": {"product": dims["product"]}}, "attributes", "belongs")
        )
    for name in ("of", "belongs"):
        forged(store, {}, "attributes", name)
    assert open_store(store.path).dims.groups == store.dims.groups


@pytest.mark.parametrize(("more", "labels"), [(70, 1), (5, 20_000)], ids=["dims", "labels"])
def test_more_cells_than_an_array_can_have_are_refused(store, more, labels):
    """Documents follow from numbers of labels alone: no array is made to tell that they do not."""
    attributes = store.document["attributes"]
    further = {f"dim{n}": [f"{m}" for m in range(labels)] for n in range(more)}
    attributes["dims"] = {**attributes["dims"], **further}
    attributes["outputs"][0]["dims"] = [*attributes["dims"]]
    with pytest.raises(InputError, match=r"the document of .* is missing"):
        open_store(write_root(store.place, store.document).path)


def test_a_block_of_more_bytes_than_can_be_counted_is_refused(store):
    """Its size is no 64-bit number."""
    with pytest.raises(InputError, match="is not what the attributes say of it"):
        open_store(forged(store, 2**62, "attributes", "block"))


@pytest.mark.parametrize(
    ("key", "path", "value"),
    [
        ("in_use", ("shape",), [300, 10**9, 3]),
        ("in_use", ("shape", 1), 15.0),
        ("in_use", ("data_type",), "float64"),
        ("in_use", ("codecs", 0, "configuration", "order"), [0, 1, 2]),
        ("in_use", ("fill_value",), 0),
        ("in_use", ("attributes", "scale_factor"), 2),
        ("percentiles/in_use", ("dimension_names", 0), "year"),
        ("percentiles/in_use_sd", ("attributes", "units"), "kt"),
        ("percentiles", ("attributes", "count"), 7),
        ("year", ("data_type",), "string"),
        ("parameters/content", ("shape", 0), 4),
        ("parameters/content", ("attributes", "add_offset"), 1),
        ("tables", ("attributes", "production.csv"), 1),
        ("inputs", ("node_type",), "array"),
    ],
)
def test_documents_are_what_the_attributes_say(store, key, path, value):
    """Shapes, types, codecs and what is said of an array follow from the attributes, or else."""
    forged(store, value, "consolidated_metadata", "metadata", key, *path)
    with pytest.raises(InputError, match=f"the document of '{key}' is "):
        open_store(store.path)


def test_what_is_named_often_is_read_once(store, monkeypatch):
    """A headline names what is shown: a hundred thousand times the same is shown once."""
    forged(store, ["in_use"] * 10**5, "attributes", "headline")
    read, summarise = [], summaries.summarise
    monkeypatch.setattr(summaries, "summarise", lambda *some: read.append(1) or summarise(*some))
    assert here("percentiles", store.path).code == 0
    assert len(read) == 1


def test_a_document_that_is_too_deep_is_damage(store):
    """It is none of the run's, as any other text."""
    (store.place.path / "year" / "zarr.json").write_text("[" * 10**5)
    assert [found.key for found in verify(store)] == ["year/zarr.json"]


@pytest.mark.parametrize(
    "text",
    [
        "[" * 10**5,
        '{"attributes": "\\ud800"}',
        '{"attributes": {"changes": "\\"\\\\ud800\\""}}',
        "1" * 5000,
        "[]",
        '{"attributes": []}',
    ],
)
def test_what_is_no_root_is_said_so(tmp_path, text):
    """JSON that is too deep, holds half a character or huge numbers is nobody's root."""
    (tmp_path / "zarr.json").write_text(text)
    with pytest.raises(InputError, match="is not a store of ndmc's"):
        open_store(tmp_path)


@pytest.mark.parametrize("name", ["in_use", "stock_total"])
def test_a_block_holds_no_more_than_a_block(tmp_path, name):
    """A chunk that would be unpacked to a thousand times its block is refused before it is."""
    out = tmp_path / "run.zarr"
    ndmc.run("china_nd", 8192, out=out, keep=["in_use", "stock_total"], block=8192, workers=1)
    store = open_store(out)
    key = store.shard(name, 0)
    whole = store.place.read(key)
    assert store.read(name, slice(0, 8192)).shape[-1] == 8192
    bomb = Blosc(cname="zstd").encode(np.zeros(2**27))
    assert len(bomb) < len(whole)
    store.place.write(key, bomb + whole[len(bomb) :])
    with pytest.raises(RunError, match="a chunk of another size"):
        open_store(out).read(name, slice(0, 8192))


# --- the scenario in a store ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("metadata", "tables", "attributes", "../x.csv"), "a", "cannot be a table in a folder"),
        (("metadata", "tables", "attributes", "a\0b"), "a", "cannot be a table in a folder"),
        (("metadata", "tables", "attributes"), {}, "does not exist"),
        (("scenario_text",), "[" * 10**4, "nested deeper"),
        (("scenario_text",), ("production.csv", "../../../../etc/passwd"), "leads out"),
        (("scenario_text",), ("value: 2,", "value: 3,"), "the one whose hash it has"),
        (("watched", 0, 1), "clip", "outputs are not those of its scenario"),
    ],
)
def test_the_scenario_of_a_store_is_that_of_its_hash(store, path, value, said):
    """``ndmc finish`` reads texts of the store alone, and only those its draws were made from."""
    text = store.attrs["scenario_text"]
    if isinstance(value, tuple):
        assert value[0] in text
        value = text.replace(*value)
    above = "consolidated_metadata" if path[0] == "metadata" else "attributes"
    store.document["attributes"]["complete"] = False
    forged(store, value, above, *path)
    done = here("finish", store.path)
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert said in done.err
