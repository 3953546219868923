"""Readings whose names are stored once: the same text comes back, the same rows are seen, and old files go on."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journal_scene import MB, NOW, backlog, event, group, numbers, opened, telemetry
from sqlite_utils import Database

from gateway.journal import inspection, migrations, shaping
from gateway.journal.ledger import row_id
from gateway.journal.shape import Shape, arrays_of, packed, unpacked, values_in, values_of
from gateway.journal.store import Store
from gateway.model import Acked, Lane, Reading, Reason, Record
from gateway.records import Telemetry

DAY_S = 86_400.0
IDS = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,9}", fullmatch=True)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.one_of(FLOATS, st.integers(), st.booleans(), st.text(max_size=5), st.tuples(FLOATS, FLOATS))
READINGS = st.builds(
    Reading,
    st.one_of(IDS, st.text(max_size=5)),
    st.just(0.0),
    st.just(NOW),
    st.dictionaries(st.one_of(IDS, st.text(max_size=5)), VALUES, max_size=6),
    st.dictionaries(IDS, st.sampled_from(Reason), max_size=2),
)
NUMBERS = st.builds(
    Reading,
    IDS,
    st.just(0.0),
    st.just(NOW),
    st.dictionaries(IDS, st.one_of(FLOATS, st.integers(), st.booleans()), min_size=1, max_size=6),
    st.just({}),
    st.just(False),  # under test it says so, and is kept as it is
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


def query(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(sql).fetchall()


def spoil(path: Path, table: str) -> None:
    """Damage the page where a table begins."""
    (root,) = query(path, f"SELECT rootpage FROM sqlite_master WHERE name = '{table}'")[0]
    with path.open("r+b") as file:
        file.seek((int(str(root)) - 1) * 4096)
        file.write(b"\xff" * 4096)


def plain(seq: int, values: str = '"temperature":4.5,"humidity":61', device: str = "cold-1") -> Record:
    return telemetry(seq, NOW, f'{{"device":"{device}","values":{{{values}}}}}')


@given(READINGS)
def test_the_text_of_any_reading_comes_back_byte_for_byte(reading: Reading) -> None:
    text = Telemetry().text(reading)
    parts = packed(text)
    if parts is not None:
        assert unpacked(*parts) == text
        assert values_of(*parts) == json.loads(text)["values"]


@given(st.text() | st.builds('{{"device":"{}","values":{{{}}}}}'.format, st.text(max_size=3), st.text(max_size=20)))
def test_so_does_any_other_text(text: str) -> None:
    parts = packed(text)
    if parts is not None:
        shape, values = parts
        assert (
            text
            == f'{{"device":"{shape.device}","values":{{'
            + ",".join(f'"{point}":{value}' for point, value in zip(shape.points, values[1:-1].split(","), strict=True))
            + "}}"
        )


@given(NUMBERS)
def test_a_reading_of_numbers_is_stored_as_its_values(reading: Reading) -> None:
    parts = packed(Telemetry().text(reading))
    assert parts is not None
    assert parts[0] == Shape(reading.device, tuple(reading.values))
    assert json.loads(parts[1]) == list(reading.values.values())


@pytest.mark.parametrize("text", ["[1]", "[1,2,3]", "[,]", "[1,", "[x,]", '{"a":1,"b":2}', "[1,2", "", "1,2", "[[1,2]"])
def test_values_that_have_not_their_shape_are_damaged(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        unpacked(Shape("cold-1", ("temperature", "humidity")), text)
    with pytest.raises(ValueError, match=r"."):
        values_of(Shape("cold-1", ("temperature", "humidity")), text)


@pytest.mark.parametrize(
    ("text", "values"),
    [("[1,2]", {"a": 1, "b": 2}), ("[,2.5]", {"b": 2.5}), ("[1,]", {"a": 1}), ("[-1e-07,2]", {"a": -1e-07, "b": 2})],
)
def test_an_empty_place_is_no_value(text: str, values: dict[str, float]) -> None:
    assert values_of(Shape("d", ("a", "b")), text) == values


PLACES = st.sampled_from(["", "1", "-2.5", "1e-07", "true"])
TEXTS = st.one_of(
    st.lists(PLACES, min_size=1, max_size=3).map(lambda places: f"[{','.join(places)}]"),
    st.text("01.,-e[]tru", max_size=7),
)


def told(values: Callable[[], dict[str, float]]) -> dict[str, float] | None:
    """None where there are none."""
    try:
        return values()
    except ValueError:
        return None


@given(st.lists(TEXTS, min_size=1, max_size=6), st.integers(1, 3))
def test_values_that_are_decoded_at_once_are_those_of_each_by_itself(texts: list[str], width: int) -> None:
    shape = Shape("d", ("a", "b", "c")[:width])
    arrays = arrays_of([text.encode() for text in texts])
    each = [told(partial(values_of, shape, text)) for text in texts]
    if arrays is None:
        assert None in each or any("[" in text[1:] for text in texts), "one of them is damaged"
    else:
        assert [told(partial(values_in, shape, array)) for array in arrays] == each


def test_many_sound_values_are_decoded_at_once() -> None:
    texts = [b"[1,2.5,true]", b"[,2,]", b"[,,3]", b"[-1e-07,,]"]
    assert arrays_of(texts) == [[1, 2.5, True], [None, 2, None], [None, None, 3], [-1e-07, None, None]]
    assert arrays_of([b"[1],[2", b"3]"]) is None, "no value of one row is another's"


def test_names_are_stored_once_and_people_see_them_with_every_value(path: Path) -> None:
    store = opened(path)
    rows = store.commit(group(event(1), plain(1), plain(2, '"temperature":4.75,"humidity":60')), (), NOW)
    rows += store.commit(group(plain(3), plain(4, '"door":true', "door-1"), telemetry(5)), (), NOW)
    assert [text for (text,) in query(path, "SELECT text FROM telemetry")][:4] == [
        "[4.5,61]",
        "[4.75,60]",
        "[4.5,61]",
        "[true]",
    ]
    assert query(path, "SELECT device, points FROM shape ORDER BY device") == [
        ("cold-1", '["temperature", "humidity"]'),
        ("door-1", '["door"]'),
    ]
    assert query(path, "SELECT run, seq, ts, device, point, value, bad FROM readings ORDER BY seq, point") == [
        ("run-1", 1, NOW, "cold-1", "humidity", 61, None),
        ("run-1", 1, NOW, "cold-1", "temperature", 4.5, None),
        ("run-1", 2, NOW, "cold-1", "humidity", 60, None),
        ("run-1", 2, NOW, "cold-1", "temperature", 4.75, None),
        ("run-1", 3, NOW, "cold-1", "humidity", 61, None),
        ("run-1", 3, NOW, "cold-1", "temperature", 4.5, None),
        ("run-1", 4, NOW, "door-1", "door", 1, None),
        ("run-1", 5, NOW, "cold-1", "door", None, "no_reply"),
        ("run-1", 5, NOW, "cold-1", "humidity", 40, None),
        ("run-1", 5, NOW, "cold-1", "temperature", 5.5, None),
    ]
    assert backlog(store, Lane.TELEMETRY).rows == rows[1:]
    told = [line.text for line in inspection.newest(path, (Lane.TELEMETRY,), 9)]
    assert told == [row.record.text for row in rows[1:]]
    store.close()


def test_a_run_has_a_bounded_number_of_shapes_and_what_is_beyond_is_stored_whole(path: Path) -> None:
    store = opened(path)
    many = [plain(seq, f'"x":{seq}', f"device-{seq}") for seq in range(1, shaping.MAX_SHAPES + 11)]
    rows = store.commit(group(*many), (), NOW)
    assert query(path, "SELECT count(*) FROM shape") == [(shaping.MAX_SHAPES,)]
    assert query(path, "SELECT count(*) FROM telemetry WHERE shape IS NULL") == [(10,)]
    assert backlog(store, Lane.TELEMETRY, limit=2000).rows == rows
    store.close()


def test_so_has_a_device_whose_names_are_new_each_time(path: Path) -> None:
    store = opened(path)
    many = [plain(seq, f'"point-{seq}":{seq}') for seq in range(1, 201)]
    rows = store.commit(group(*many), (), NOW)
    (of_device,) = query(path, "SELECT count(*) FROM shape")[0]
    (bytes_,) = query(path, "SELECT sum(length(text)) FROM telemetry")[0]
    assert int(str(of_device)) <= shaping.MAX_OF_DEVICE
    assert int(str(bytes_)) <= sum(len(row.record.text) for row in rows)
    assert backlog(store, Lane.TELEMETRY, limit=2000).rows == rows
    store.close()


POINTS = tuple(f"temperature-{place:02}" for place in range(20))


def parts_of(points: Sequence[str], first: int, last: int) -> list[Record]:
    """Readings of one device, each with the points that have changed, in their order."""
    chance = random.Random(1)
    told = ([point for point in points if chance.random() < 0.3] or points[:1] for _ in range(first, last + 1))
    return [plain(seq, ",".join(f'"{point}":{seq}.5' for point in part)) for seq, part in enumerate(told, first)]


def test_a_device_that_reports_by_exception_has_one_shape_from_its_first_whole_reading_on(path: Path) -> None:
    store = opened(path)
    whole = plain(1, ",".join(f'"{point}":1' for point in POINTS))
    rows = store.commit(group(whole, *parts_of(POINTS, 2, 1001)), (), NOW)
    assert query(path, "SELECT count(*) FROM shape") == [(1,)]
    assert query(path, "SELECT count(*) FROM telemetry WHERE shape IS NULL") == [(0,)]
    assert backlog(store, Lane.TELEMETRY, limit=2000).rows == rows
    seen = query(path, "SELECT count(*), count(value), count(DISTINCT point) FROM readings")
    values = sum(row.record.text.count(":") - 2 for row in rows)
    assert seen == [(values, values, len(POINTS))]
    store.close()


def test_a_device_that_never_says_all_has_few_shapes_as_well(path: Path) -> None:
    store = opened(path)
    rows = store.commit(group(*parts_of(POINTS, 1, 1000)), (), NOW)
    (shapes,) = query(path, "SELECT count(*) FROM shape")[0]
    assert int(str(shapes)) <= len(POINTS)
    assert query(path, "SELECT count(*) FROM telemetry WHERE shape IS NULL") == [(0,)]
    assert backlog(store, Lane.TELEMETRY, limit=2000).rows == rows
    store.close()


@given(st.lists(st.permutations(POINTS[:5]).flatmap(lambda order: st.integers(1, 5).map(lambda n: order[:n]))))
def test_points_in_any_order_come_back_as_they_were_said(said: list[list[str]]) -> None:
    shapes = shaping.Shapes()
    for seq, points in enumerate(said, 1):
        record = plain(seq, ",".join(f'"{point}":{seq}.25' for point in points))
        text, number = shapes.pack(record.text)
        shape = None if number is None else shapes.find(number)
        assert (text if shape is None else unpacked(shape, text)) == record.text


def test_a_file_that_was_replaced_gets_the_shapes_again(path: Path) -> None:
    store = opened(path)
    store.commit(group(plain(1)), (), NOW)
    path.unlink()
    with pytest.raises(Exception, match="moved or deleted"):
        store.commit(group(plain(2)), (), NOW)
    store.open(NOW)
    rows = store.commit(group(plain(2)), (), NOW)
    assert backlog(store, Lane.TELEMETRY).rows == rows
    store.close()
    again = opened(path, "run-2")
    assert backlog(again, Lane.TELEMETRY).rows == rows
    again.close()


def test_what_is_salvaged_of_a_damaged_file_has_its_names(path: Path) -> None:
    store = opened(path)
    rows = store.commit(group(event(1), plain(1), plain(2), telemetry(3)), (), NOW)
    store.close()
    spoil(path, "acked")
    again = Store(path, "run-2", "boot-2", ("platform",), MB)
    assert again.open(NOW)[0].fate == "salvaged"
    assert backlog(again, Lane.TELEMETRY).rows == rows[1:]
    again.close()


def edit(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()


@pytest.mark.parametrize("table", shaping.TABLES)
@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE {} SET points = 'x'",
        "UPDATE {} SET points = replace(points, 'humidity', 'humiditx')",
        "UPDATE {} SET device = 'cold-2'",
        "DELETE FROM {}",
    ],
)
def test_names_that_are_damaged_in_one_place_cost_no_reading(path: Path, damage: str, table: str) -> None:
    store = opened(path)
    rows = store.commit(group(plain(1), telemetry(3), telemetry(5)), (), NOW)
    store.close()
    edit(path, damage.format(table))
    again = opened(path, "run-2")
    assert backlog(again, Lane.TELEMETRY).rows == rows
    again.close()


@pytest.mark.parametrize(
    "damage",
    [
        [f"UPDATE {table} SET points = replace(points, 'humidity', 'humiditx')" for table in shaping.TABLES],
        [f"UPDATE {table} SET device = 'cold-2'" for table in shaping.TABLES],
        [f"DELETE FROM {table}" for table in shaping.TABLES],
        ["UPDATE telemetry SET shape = shape + 1 WHERE shape IS NOT NULL"],
        ["UPDATE telemetry SET shape = NULL"],
        ["UPDATE telemetry SET text = '61' WHERE shape IS NOT NULL"],
    ],
)
def test_where_both_are_it_is_a_gap_and_puts_no_value_under_another_name(path: Path, damage: list[str]) -> None:
    store = opened(path)
    rows = store.commit(group(plain(1), telemetry(3), telemetry(5)), (), NOW)
    store.close()
    edit(path, *damage)
    again = opened(path, "run-2")
    assert backlog(again, Lane.TELEMETRY).rows == rows[1:]
    again.close()
    assert '"reason":"row_damaged"' in str(query(path, "SELECT text FROM gaps")[0][0])


def test_a_daemon_that_runs_on_writes_its_names_again_whenever_it_opens_the_file(path: Path) -> None:
    store = opened(path)
    rows = store.commit(group(plain(1)), (), NOW)
    for table in shaping.TABLES:
        store.handle.db.execute(f"UPDATE {table} SET device = 'cold-2'")
    assert backlog(store, Lane.TELEMETRY).rows == rows, "the run itself knows them"
    store.close()
    store.open(NOW)
    store.close()
    again = opened(path, "run-2")
    assert backlog(again, Lane.TELEMETRY).rows == rows
    again.close()


def test_salvage_knows_the_names_of_the_daemon_that_runs_on(path: Path) -> None:
    store = opened(path)
    rows = store.commit(group(plain(1), plain(2)), (), NOW)
    store.close()
    for table in ("acked", *shaping.TABLES):
        spoil(path, table)
    recovered, _ = store.open(NOW)
    assert recovered.aside
    assert backlog(store, Lane.TELEMETRY).rows == rows
    store.close()


def test_names_that_were_lost_are_known_again_once_the_device_has_said_them(path: Path) -> None:
    store = opened(path)
    rows = store.commit(group(plain(1)), (), NOW)
    store.close()
    edit(path, *(f"DELETE FROM {table}" for table in shaping.TABLES))
    again = opened(path, "run-2")
    rows += again.commit(group(plain(1)), (), NOW)
    again.close()
    assert [line.text for line in inspection.newest(path, (Lane.TELEMETRY,), 2)] == [rows[0].record.text] * 2
    assert len(query(path, "SELECT 1 FROM readings")) == 4


def test_two_shapes_with_one_checksum_are_told_apart(path: Path) -> None:
    store = opened(path)
    store._shapes._named[Shape("cold-1", ("temperature", "humidity")).number()] = Shape("other", ("x",))
    rows = store.commit(group(plain(1)), (), NOW)
    assert query(path, "SELECT shape FROM telemetry") == [(None,)]
    assert backlog(store, Lane.TELEMETRY).rows == rows
    store.close()


def test_shapes_go_with_the_last_row_of_their_run(path: Path) -> None:
    for run in ("run-1", "run-2"):
        store = opened(path, run)
        rows = store.commit(group(event(1), plain(1)), (), NOW)
        if run == "run-1":
            store.acknowledge(Acked("platform", Lane.TELEMETRY, ((rows[1].id, rows[1].id),)))
            store.upkeep.forget_old(NOW + 2000, 1.0, DAY_S)
        store.close()
    opened(path, "run-3").close()
    assert [query(path, f"SELECT run FROM {table}") for table in shaping.TABLES] == [[(2,)], [(2,)]]


# ---------------------------------------------------------------- files of the version before


def of_schema_2(path: Path, rows: int) -> None:
    """A journal as the version before wrote it, every row acknowledged but the last ten."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        migrations.steps.apply(Database(db), stop_before="names_once_and_local_lane")
        db.execute("BEGIN")
        db.execute("INSERT INTO runs VALUES (1, 'run-1', 'boot-1', ?)", (NOW,))
        text = '{"device":"cold-1","values":{"temperature":4.5,"humidity":61}}'
        told = ((row_id(1, seq), NOW + seq, "synced", seq, text) for seq in range(1, rows + 1))
        db.executemany("INSERT INTO telemetry VALUES (?, ?, ?, ?, ?)", told)
        db.execute("INSERT INTO acked VALUES ('platform', 'telemetry', 0, ?)", (row_id(1, rows - 10),))
        db.execute("COMMIT")
        db.execute("PRAGMA user_version = 2")


def test_a_file_of_the_version_before_is_read_and_written_on(path: Path) -> None:
    of_schema_2(path, 20)
    store = opened(path, "run-2")
    rows = store.commit(group(plain(1, '"temperature":1.25,"humidity":50')), (), NOW)
    assert rows[0].id == row_id(2, 1)
    there = backlog(store, Lane.TELEMETRY)
    assert numbers(there) == [*(("run-1", seq) for seq in range(11, 21)), ("run-2", 1)]
    assert {row.record.text for row in there.rows[:10]} == {
        '{"device":"cold-1","values":{"temperature":4.5,"humidity":61}}'
    }
    store.close()
    assert query(path, "SELECT run, count(*), sum(value) FROM readings WHERE point = 'temperature' GROUP BY run") == [
        ("run-1", 20, 90.0),
        ("run-2", 1, 1.25),
    ]
    assert query(path, "PRAGMA integrity_check") == [("ok",)]


def test_a_file_with_a_shape_for_each_part_of_a_device_is_read_and_seen_as_before(path: Path) -> None:
    path.parent.mkdir()
    both, one = Shape("cold-1", ("temperature", "humidity")), Shape("cold-1", ("humidity",))
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        migrations.steps.apply(Database(db), stop_before="empty_places")
        db.execute("INSERT INTO runs VALUES (1, 'run-1', 'boot-1', ?)", (NOW,))
        for seq, (shape, values) in enumerate([(both, "[4.5,61]"), (one, "[60]")], 1):
            db.execute("INSERT INTO shape VALUES (1, ?, ?, ?)", (shape.number(), *shape[:1], json.dumps(shape.points)))
            columns = row_id(1, seq), NOW, "synced", seq, values, shape.number()
            db.execute("INSERT INTO telemetry VALUES (?, ?, ?, ?, ?, ?)", columns)
        before = db.execute("SELECT * FROM readings").fetchall()
        db.execute("PRAGMA user_version = 3")
    store = opened(path, "run-2")
    assert [row.record.text for row in backlog(store, Lane.TELEMETRY).rows] == [
        '{"device":"cold-1","values":{"temperature":4.5,"humidity":61}}',
        '{"device":"cold-1","values":{"humidity":60}}',
    ]
    assert len(before) == 3
    assert query(path, "SELECT * FROM readings") == before
    store.close()


def test_a_big_file_of_the_version_before_costs_no_more_at_start_than_a_small_one(path: Path) -> None:
    of_schema_2(path, 100_000)
    size = path.stat().st_size
    store = Store(path, "run-2", "boot-2", ("platform",), 100 * MB)
    store.open(NOW)
    assert path.stat().st_size + Path(f"{path}-wal").stat().st_size < size + 200_000  # not a row is written again
    store.close()


def test_what_a_damaged_file_of_the_version_before_still_gives_is_carried_over(path: Path) -> None:
    of_schema_2(path, 20)
    spoil(path, "state")
    store = Store(path, "run-2", "boot-2", ("platform",), MB)
    assert store.open(NOW)[0].fate == "salvaged"
    assert numbers(backlog(store, Lane.TELEMETRY)) == [("run-1", seq) for seq in range(11, 21)]
    store.close()
