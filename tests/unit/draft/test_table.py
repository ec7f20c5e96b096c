import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load, save

from summand.draft import DraftTableError, Recycled, load_table, save_table
from summand.draft.table import _digest

VOCABULARY = 12
token = st.integers(0, VOCABULARY - 1)
followers = st.lists(token, min_size=1, max_size=8, unique=True).map(tuple)
learned = st.builds(
    Recycled,
    st.just(VOCABULARY),
    st.dictionaries(token, followers, max_size=6).map(lambda d: tuple(d.items())),
    st.dictionaries(st.tuples(token, token), followers, max_size=6).map(lambda d: tuple(d.items())),
)
TABLE = Recycled(VOCABULARY, ((3, (1, 2)), (7, (5,))), (((1, 2), (3, 4, 5)),))

#: A table without metadata, which says so.
_EMPTY = ("singles", "singles.followers", "pairs", "pairs.followers")
_ENTRY = '{"dtype":"I32","shape":[0],"data_offsets":[0,0]}'
_HEADER = '{"__metadata__":null,' + ",".join(f'"{name}":{_ENTRY}' for name in _EMPTY) + "}"
_NULL = len(_HEADER).to_bytes(8, "little") + _HEADER.encode()


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("tables") / "table.safetensors"


def _load(path, vocabulary=VOCABULARY, tokenizer="abc"):
    return load_table(path, vocabulary=vocabulary, tokenizer=tokenizer)


@given(learned)
def test_what_is_written_is_read(path, table):
    save_table(path, table, tokenizer="abc")
    assert _load(path) == table
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@given(st.data())
def test_a_damaged_file_is_refused_or_says_the_same(path, data):
    save_table(path, TABLE, tokenizer="abc")
    whole = path.read_bytes()
    kept = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    places = st.integers(0, max(len(kept) - 1, 0))
    for place, byte in data.draw(st.dictionaries(places, st.integers(0, 255), max_size=3)).items():
        kept[place : place + 1] = [byte]
    path.write_bytes(kept)
    refusal = None
    found = TABLE
    try:
        found = _load(path)
    except DraftTableError as e:
        refusal = str(e)
    assert found == TABLE
    if refusal is not None:
        assert refusal.startswith(f"{path}: ")
        assert refusal.endswith("delete it or name another FILE")


def _altered(path, tensors=None, **facts):
    save_table(path, TABLE, tokenizer="abc")
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    tensors = load(data) | (tensors or {})
    path.write_bytes(save(tensors, header["__metadata__"] | {"sha256": _digest(tensors)} | facts))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("singles", lambda a: a.astype("int64"), "singles must be of type I32, not 'I64'"),
        ("singles", lambda a: a[:, 0], r"rows of 1, not the shape \(2,\)"),
        ("singles", lambda a: a * 0, "singles must each occur once"),
        ("singles", lambda a: a + 8, "singles must be 0 to 11, not 15"),
        ("singles", lambda a: a.repeat(7, axis=0), "at most 12 rows"),
        ("singles.followers", lambda a: a[:1], r"the shape \(2, 8\), not \(1, 8\)"),
        ("singles.followers", lambda a: a[:, ::-1], "-1 at the ends of rows only"),
        ("singles.followers", lambda a: a * 0 - 1, "1 to 8 different tokens"),
        ("pairs.followers", lambda a: a * 3, "followers of pairs must be 0 to 11, not 12"),
        ("more", lambda a: a, "its tensors must be"),
    ],
)
def test_wrong_tensors_are_refused(path, name, change, message):
    save_table(path, TABLE, tokenizer="abc")
    tensors = load(path.read_bytes())
    _altered(path, {name: change(tensors.get(name, tensors["pairs"])).copy()})
    with pytest.raises(DraftTableError, match=message):
        _load(path)


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("format", "another"),
        ("version", "2"),
        ("vocabulary", "13"),
        ("tokenizer", "xyz"),
        ("sha256", "0"),
    ],
)
def test_another_tables_facts_are_refused(path, fact, value):
    _altered(path, **{fact: value})
    with pytest.raises(DraftTableError, match=f"{fact} must be '.*', not '{value}'; delete it or"):
        _load(path)


def test_an_altered_table_that_is_consistent_is_read(path):
    _altered(path)
    assert _load(path) == TABLE


def test_a_table_of_another_model_is_refused(path):
    save_table(path, TABLE, tokenizer="abc")
    with pytest.raises(DraftTableError, match="vocabulary must be '13', not '12'"):
        _load(path, vocabulary=13)
    with pytest.raises(DraftTableError, match="tokenizer must be 'x', not 'abc'"):
        _load(path, tokenizer="x")


def test_what_is_no_table_is_refused(tmp_path):
    with pytest.raises(DraftTableError, match="No such file or directory; delete it or name"):
        _load(tmp_path / "none")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DraftTableError, match="not a regular file"):
        _load(tmp_path / "pipe")
    with pytest.raises(DraftTableError, match="null byte"):
        _load(tmp_path / "a\0b")
    (tmp_path / "large").write_bytes(bytes(2 << 20))
    with pytest.raises(DraftTableError, match="it must be at most 1,376,688 bytes"):
        _load(tmp_path / "large")
    (tmp_path / "header").write_bytes((1 << 40).to_bytes(8, "little"))
    with pytest.raises(DraftTableError, match="its header must be at most 65536 bytes"):
        _load(tmp_path / "header")
    (tmp_path / "null").write_bytes(_NULL)
    with pytest.raises(DraftTableError, match="format must be 'summand draft table', not None"):
        _load(tmp_path / "null")
    (tmp_path / "list").write_bytes((2).to_bytes(8, "little") + b"[]")
    with pytest.raises(DraftTableError, match="not a safetensors file"):
        _load(tmp_path / "list")


def test_a_table_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(DraftTableError, match="cannot write the draft table .*taken.*another FILE"):
        save_table(tmp_path / "taken", TABLE, tokenizer="abc")
    assert [file.name for file in tmp_path.iterdir()] == ["taken"]
    with pytest.raises(DraftTableError, match="No such file"):
        save_table(tmp_path / "none" / "table", TABLE, tokenizer="abc")


def test_only_the_user_reads_it(path):
    save_table(path, TABLE, tokenizer="abc")
    assert path.stat().st_mode & 0o777 == 0o600
