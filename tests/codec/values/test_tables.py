"""Arrays and tables come back equal in every respect, or are refused by the part that would not; with pyarrow and without."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from langchain_core.outputs import Generation

import nbcache
from nbcache.codec.payload import read
from nbcache.codec.values import as_generation, frame_columns, frames, value_in
from nbcache.codec.values.hidden_texts import hidden_texts
from nbcache.codec.values.plain_forms import Writer
from nbcache.errors import DamagedError, NotStorableError
from nbcache.session.installation import installed
from tests.codec.test_payload import KEY
from tests.codec.values.tables import TABLES, exactly_table
from tests.codec.values.test_values import back, loaded, refusal, stored
from tests.support.paths import GOLDEN, ROOT

TOKEN = "sk-" + "Ab1" * 12


@pytest.mark.parametrize("name", TABLES)
def test_a_table_comes_back_equal_in_every_respect(name: str) -> None:
    value = TABLES[name]
    assert exactly_table(back(value), value)
    assert exactly_table(back([{"x": value}]), [{"x": value}])


def run(program: str, *arguments: str) -> str:
    command = [sys.executable, "-W", "error", "-c", program, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=110)
    assert not done.returncode, done.stderr
    return done.stdout


_WITHOUT = "import sys; sys.modules['pyarrow'] = None\n"  # so that its import fails
_READ = (
    "import pathlib, sys\n"
    "from tests.codec.values.test_tables import TABLES, exactly_table, loaded\n"
    "for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):\n"
    "    assert exactly_table(loaded(path.read_bytes()), TABLES[path.stem]), path.stem\n"
)


def test_a_table_comes_back_in_another_process(tmp_path: Path) -> None:
    for name, value in TABLES.items():
        (tmp_path / f"{name}.bin").write_bytes(stored(value))
    run(_READ, str(tmp_path))


def test_a_table_comes_back_without_pyarrow(tmp_path: Path) -> None:
    write = (
        "import pathlib\n"
        "from tests.codec.values.test_tables import TABLES, stored\n"
        "for name, value in TABLES.items():\n"
        "    (pathlib.Path(sys.argv[1]) / f'{name}.bin').write_bytes(stored(value))\n"
    )
    run(_WITHOUT + write + _READ, str(tmp_path))


@pytest.mark.parametrize("name", [name for name in TABLES if isinstance(TABLES[name], pd.DataFrame)])
def test_a_table_comes_back_with_a_pandas_that_takes_no_blocks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    payload = stored(TABLES[name])
    monkeypatch.setattr(frame_columns, "_of_blocks", None)
    assert exactly_table(loaded(payload), TABLES[name])
    assert exactly_table(back(TABLES[name]), TABLES[name])


def test_a_table_of_many_columns_is_one_array() -> None:
    table = TABLES["table of many columns"]
    whole = read(stored(table), KEY)
    assert len(whole.buffers) == 1
    came = loaded(stored(table))
    came["another"] = 1  # pandas would warn of a table in hundreds of pieces
    assert exactly_table(came.drop(columns="another").set_axis(table.columns, axis=1), table)


def test_a_column_of_arrows_is_missed_without_pyarrow(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    texts = pd.Series(["a", None], dtype=pd.StringDtype("pyarrow"))
    (tmp_path / "texts.bin").write_bytes(stored(texts))
    program = (
        "import pathlib\n"
        "from nbcache.errors import NotStorableError\n"
        "from tests.codec.values.test_tables import loaded\n"
        "try:\n"
        "    loaded((pathlib.Path(sys.argv[1]) / 'texts.bin').read_bytes())\n"
        "except NotStorableError as error:\n"
        "    print(error)\n"
    )
    assert "nbcache[arrow]" in run(_WITHOUT + program, str(tmp_path))


def test_columns_of_arrows_come_back() -> None:
    pa = pytest.importorskip("pyarrow")
    types: list[Any] = [pa.int64(), pa.string(), pa.large_string(), pa.timestamp("us", tz="UTC"), pa.decimal128(5, 2)]
    types += [pa.list_(pa.int8()), pa.dictionary(pa.int8(), pa.string())]
    values: list[Any] = [[1, None], ["a", None], ["b"], [0, None], [None], [[1], None], ["x", "x", None]]
    for kind, items in zip(types, values, strict=True):
        series = pd.Series(pa.array(items, type=kind), dtype=pd.ArrowDtype(kind))
        came = back(series)
        assert came.dtype == series.dtype
        assert exactly_table(list(came), list(series))
    few = pd.Series(["abc" * 100] * 10_000, dtype=pd.StringDtype("pyarrow"))[5:7]
    assert len(stored(few)) < 5_000


_DTYPES = st.sampled_from(["i1", "u8", "f2", "f8", ">f4", "c16", "?", "U3", "S2", "M8[ns]", "m8[s]"])
_COLUMNS = st.sampled_from(
    ["Int32", "Float64", "boolean", "category", "string", "object", "float64", "datetime64[ns, UTC]"]
)


@st.composite
def _arrays(draw: st.DrawFn) -> Any:
    return draw(st_numpy.arrays(np.dtype(draw(_DTYPES)), st_numpy.array_shapes(min_dims=0, min_side=0, max_side=4)))


@st.composite
def _frames(draw: st.DrawFn) -> pd.DataFrame:
    rows = draw(st.integers(0, 4))
    names = draw(st.lists(st.text(max_size=3) | st.integers() | st.none(), max_size=4))
    columns = []
    for _ in names:
        dtype: Any = draw(_COLUMNS)
        one: st.SearchStrategy[Any] = st.integers(-100, 100) if dtype != "boolean" else st.booleans()
        if dtype in {"string", "object", "category"}:
            one = st.text(max_size=4) if dtype != "object" else st.text() | st.integers() | st.floats()
        items = draw(st.lists(st.none() | one, min_size=rows, max_size=rows))
        columns.append(pd.Series(items, dtype=object).astype(dtype))
    frame = pd.concat(columns, axis=1) if columns else pd.DataFrame(index=range(rows))
    frame.columns = pd.Index(names, dtype=object)
    return frame


@given(_arrays())
@settings(max_examples=200, deadline=None)
def test_any_array_comes_back(value: Any) -> None:
    assert exactly_table(back(value), value)


@given(_frames())
@settings(max_examples=100, deadline=None)
def test_any_table_comes_back(value: pd.DataFrame) -> None:
    assert exactly_table(back(value), value)


class Plain:
    """A class that is no data."""


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.ma.array([1], mask=[True]), "MaskedArray"),
        (np.array([Plain()], dtype=object), r"its \[0\] "),
        (np.array([1], dtype=np.dtype("i4", metadata={"x": 1})), "dtype"),
        (np.array(["a"], dtype=np.dtypes.StringDType()), "StringDType"),
        (pd.arrays.SparseArray([1]), "SparseArray"),
        (pd.DataFrame({"a": [1], "b": pd.Series(pd.arrays.SparseArray([1]))}), r"its \.columns\[1\] \(of dtype Sparse"),
        (
            {"table": pd.DataFrame({"a": [1], "b": [Plain()]})},
            r'its \["table"\]\.columns\[1\]\[0\] \(a .*Plain object\)',
        ),
        (pd.Series([1], name=Plain()), r"its \.name"),
        (pd.offsets.Hour(), "Hour object"),
    ],
    ids=["masked", "object", "metadata", "new texts", "sparse", "sparse column", "column", "name", "offset"],
)
def test_what_would_not_come_back_is_refused_by_its_part(value: Any, message: str) -> None:
    assert re.search(message, refusal(value)), refusal(value)


def test_a_subclass_is_refused() -> None:
    class Table(pd.DataFrame):
        pass

    assert "Table object" in refusal(Table({"a": [1]}))


def test_a_column_that_pandas_changes_without_a_word_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    index = pd.date_range("2025", periods=3, freq="D")
    plain_index = frames._plain_index

    def without(value: Any, writer: Any) -> dict[str, Any]:
        return {name: part for name, part in plain_index(value, writer).items() if name != "freq"}

    write = frames._compared(without, "Index", frames._compare_indexes)
    monkeypatch.setitem(frames.KINDS, "Index", (write, frames.KINDS["Index"][1]))
    assert "freq" in refusal(index)


# What somebody may have written


def _npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def table_of(data: list[Any], *blocks: Any, columns: int | None = None) -> dict[str, Any]:
    """The plain form of a table of two rows."""
    forms = [Writer().form(each) if isinstance(each, np.ndarray) else each for each in data]
    labels = [Writer().form(pd.RangeIndex(length)) for length in (2, len(data) if columns is None else columns)]
    return {
        "#kind": "DataFrame",
        "index": labels[0],
        "columns": labels[1],
        "data": forms,
        "blocks": [Writer().form(each) for each in blocks],
    }


def test_a_table_by_hand_is_read() -> None:
    form = table_of([1, 0, np.array([5, 6]), 1], np.zeros((1, 2)), np.array([[1, 2], [3, 4]]))
    came = value_in(Generation(text="", generation_info={"value": form}))
    assert exactly_table(
        came, pd.DataFrame({0: [1, 2], 1: [0.0, 0.0], 2: [5, 6], 3: [3, 4]}).set_axis(range(4), axis=1)
    )


HOSTILE: dict[str, Any] = {
    "objects": {"#kind": "array", "npy": _npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", b"x" * 8)},
    "a huge shape": {"#kind": "array", "npy": _npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2**60,), }")},
    "a long shape": {
        "#kind": "array",
        "npy": _npy("{'descr': '<f8', 'fortran_order': False, 'shape': (999999999999,), }"),
    },
    "code": {"#kind": "array", "npy": _npy("__import__('os').system('touch /tmp/ran')")},
    "no array": {"#kind": "array", "npy": b"x"},
    "no bytes": {"#kind": "array", "npy": 3},
    "a wrong shape of objects": {"#kind": "array", "items": [1], "shape": [10**9, 10**9], "order": "C"},
    "no table": {"#kind": "DataFrame", "index": 1, "columns": 2, "data": 3},
    "a table of another length": table_of([np.zeros(3)], columns=1),
    "a table of another number of rows": table_of([0, 0], np.zeros((2, 3))),
    "a table of another number of columns": table_of([0, 0], np.zeros((3, 2))),
    "a table of an array that it lacks": table_of([0, 1], np.zeros((1, 2))),
    "a table of a negative array": table_of([0, -1], np.zeros((1, 2))),
    "a table of an array that no column has": table_of([0], np.zeros((1, 2)), np.zeros((1, 2))),
    "a table of a cube": table_of([np.zeros((2, 1))], columns=1),
    "a table of NumPy's texts": table_of([0], np.array([["a", "b"]])),
    "a table of records": table_of([0], np.zeros((1, 2), dtype=[("a", "i4")])),
    "a table of a number": table_of([1.5], columns=1),
    "an unknown column": {"#kind": "Series", "index": None, "name": None, "data": {"dtype": "of tomorrow"}},
    "no arrow": {
        "#kind": "Series",
        "index": None,
        "name": None,
        "data": {"dtype": "texts", "storage": "pyarrow", "missing": "NaN", "arrow": b"x" * 100},
    },
    "a wrong index": {"#kind": "Index", "levels": [[1]], "codes": [[5]], "names": [None]},
    "a class": {"#kind": "Series", "index": None, "name": None, "data": {"dtype": "masked", "class": "os.system"}},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_table_is_damage(name: str) -> None:
    with pytest.raises((DamagedError, NotStorableError)):
        value_in(Generation(text="", generation_info={"value": HOSTILE[name]}))


def test_offsets_out_of_an_arrow_buffer_are_damage() -> None:
    pa = pytest.importorskip("pyarrow")
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, pa.schema([("", pa.string())])) as stream:
        stream.write_table(pa.table({"": pa.array(["abc", "def"])}))
    data = sink.getvalue().to_pybytes()
    right, wrong = (np.array([0, 3, end], dtype="i4").tobytes() for end in (6, 2**30))
    assert right in data
    form = {"dtype": "texts", "storage": "pyarrow", "missing": "NaN", "arrow": data.replace(right, wrong)}
    info = {"value": {"#kind": "Series", "index": None, "name": None, "data": form}}
    with pytest.raises(DamagedError):
        value_in(Generation(text="", generation_info=info))


# What people read


def test_people_read_the_size_and_the_first_rows_of_a_table() -> None:
    text = as_generation(pd.DataFrame({"city": ["Bonn", "Ulm"], "n": [1, 2]})).text
    assert text.startswith("DataFrame of 2 rows × 2 columns:\n")  # noqa: RUF001 - as people write it
    assert "Bonn" in text
    assert as_generation(pd.Series(["Bonn"])).text.startswith("Series of 1 row:\n")
    assert len(as_generation(pd.DataFrame({"x": ["y" * 1000] * 1000})).text) <= 10_001


# What leaves the machine


def test_a_table_goes_through_a_cassette(tmp_path: Path) -> None:
    cassette = tmp_path / "c.jsonl"
    nbcache.install(tmp_path / "store")
    (plain,) = read(stored([TABLES["table"], TABLES["large array"]]), KEY).plain_with_buffers()
    form = as_generation([TABLES["table"], TABLES["large array"]]).generation_info
    assert form is not None
    cache = installed()
    cache.put("q", form["value"], model="m")
    nbcache.export_cassette(cassette)
    (line,) = map(orjson.loads, cassette.read_bytes().splitlines())
    assert line["answer"][0]["info"] == plain["info"]
    nbcache.clear()
    nbcache.import_cassette(cassette)
    came = value_in(Generation(text="", generation_info={"value": cache.get("q", model="m")}))
    assert exactly_table(came, [TABLES["table"], TABLES["large array"]])
    nbcache.uninstall()


SECRETS: dict[str, Any] = {
    "bytes": {"page": b"x" * 5000 + f" {TOKEN} ".encode()},
    "few bytes": [f"{TOKEN}".encode()],
    "an array of texts": np.array(["a", TOKEN]),
    "an array of bytes": np.array([b"a", TOKEN.encode()]),
    "an array of records": np.array([(1, TOKEN)], dtype=[("n", "i4"), ("s", "U50")]),
    "a password in a record": np.array([(1, "xK9?vq2")], dtype=[("n", "i4"), ("password", "U50")]),
    "a table": pd.DataFrame({"a": [1, 2], "b": ["x", TOKEN]}),
    "a table with much text": pd.DataFrame({"b": ["x" * 50] * 2000 + [TOKEN]}),
    "a column of passwords": pd.DataFrame({"password": ["xK9?vq2", "pR7!mm31"]}),
    "a series of passwords": pd.Series(["xK9?vq2"], name="password"),
    "an index": pd.Series([1], index=[TOKEN]),
    "categories": pd.Series(["a", TOKEN], dtype="category"),
    "objects": pd.Series(["a", 1, {"x": TOKEN}], dtype=object),
}


@pytest.mark.parametrize("name", SECRETS)
def test_an_entry_with_a_secret_in_its_value_is_not_exported(name: str, tmp_path: Path) -> None:
    cassette = tmp_path / "c.jsonl"
    nbcache.install(tmp_path / "store")
    info = as_generation(SECRETS[name]).generation_info
    assert info is not None
    installed().put("q", info["value"], model="m")
    installed().put("another", "x", model="m")
    done = nbcache.export_cassette(cassette)
    assert done.entries == 1
    assert "its answer holds" in next(iter(done.left_out.values()))
    nbcache.uninstall()


def test_a_table_without_secrets_hides_only_its_texts() -> None:
    (plain,) = read(stored(pd.DataFrame({"n": np.arange(3), "s": ["a", "b", "c"]})), KEY).plain_with_buffers()
    table = [each for each in hidden_texts(plain) if isinstance(each, dict)]
    assert table in ([{"n": []}, {"s": ["a", "b", "c"]}], [{"n": []}, {"s": [["a", "b", "c"]]}])


def test_a_changed_table_is_the_callers_own() -> None:
    payload = stored(pd.DataFrame({"a": [1.0, 2.0]}))
    one = loaded(payload)
    one.loc[0, "a"] = 9.0
    assert loaded(payload)["a"].tolist() == [1.0, 2.0]


def test_a_table_in_memory_of_the_readers_own_is_not_copied() -> None:
    noise = np.random.default_rng(0)  # what can be compressed is, and then unpacked into other memory
    table = pd.DataFrame({"a": noise.normal(size=3_000), "b": noise.integers(2**62, size=3_000)})
    memory = memoryview(bytearray(stored(table)))
    (generation,) = read(memory, KEY).generations()
    came = value_in(generation)
    assert exactly_table(came, table)
    assert all(np.shares_memory(came[name].to_numpy(), np.frombuffer(memory, "u1")) for name in table)
    came.loc[0, "a"] = 9.0
    assert came.loc[0, "a"] == 9.0


def test_names_of_fields_that_are_changed_stay_so_for_that_array_alone() -> None:
    payload = stored(np.zeros(2, dtype=[("a", "i4"), ("b", "f8")]))
    loaded(payload).dtype.names = ("b", "a")
    assert loaded(payload).dtype.names == ("a", "b")


# What this release writes

GOLDEN_VALUE = {
    "arrays": [TABLES[name] for name in ("large array", "array of records", "array of objects in columns")],
    # Without texts: whether pandas keeps these by Arrow depends on what is installed.
    "tables": [TABLES[name] for name in ("table with numbered columns", "column without a name", "range of rows")],
    "others": (1, {2, "a"}, {(1,): b"x" * 5_000}, bytearray(b"y"), slice(1), pd.Timestamp("2025-01-01", tz="UTC")),
}


def test_the_golden_value_is_read() -> None:
    came = loaded((GOLDEN / "payload_v4_values.bin").read_bytes())
    assert all(exactly_table(came[name], GOLDEN_VALUE[name]) for name in ("arrays", "tables"))
    assert came["others"] == GOLDEN_VALUE["others"]
