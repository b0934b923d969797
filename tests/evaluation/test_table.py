import csv

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skcount.evaluation import Table


@pytest.fixture
def table():
    return Table({"image": [0, 1, 1], "region": ["a", "b,c", "<i>"], "count": [12.25, np.nan, 1 / 3]})


def test_it_is_a_mapping_of_columns(table):
    assert list(table) == ["image", "region", "count"]
    assert (len(table), table.n_rows) == (3, 3)
    assert_array_equal(table["count"], [12.25, np.nan, 1 / 3])
    assert "low" not in table
    with pytest.raises(KeyError):
        table["low"]


def test_rows_are_plain_values(table):
    rows = list(table.rows())
    assert rows[0] == (0, "a", 12.25)
    assert [type(value) for value in rows[0]] == [int, str, float]
    assert len(rows) == table.n_rows


def test_a_frame_has_the_same_columns(table):
    pytest.importorskip("pandas")
    frame = table.to_frame()
    assert list(frame.columns) == list(table)
    for name in table:
        assert_array_equal(frame[name].to_numpy(), table[name])


def test_a_csv_file_holds_every_digit_and_can_be_replaced(table, tmp_path):
    path = tmp_path / "counts.csv"
    path.write_text("something else\n" * 100)
    table.to_csv(path)
    with open(path, newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == list(table)
    assert [row[1] for row in rows] == ["a", "b,c", "<i>"]
    assert_array_equal([float(row[2]) for row in rows], table["count"])
    assert [each.name for each in tmp_path.iterdir()] == ["counts.csv"]


def test_a_csv_file_without_a_folder_is_refused(table, tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        table.to_csv(tmp_path / "nowhere" / "counts.csv")


def test_text_is_aligned(table):
    lines = str(table).split("\n")
    assert lines[0].split() == ["image", "region", "count"]
    assert lines[1].split() == ["0", "a", "12.25"]
    assert lines[3].split() == ["1", "<i>", "0.3333"]
    assert len({len(line) for line in lines}) == 1


def test_html_is_escaped(table):
    html = table._repr_html_()
    assert "<td>&lt;i&gt;</td>" in html
    assert html.count("<tr>") == 4


def test_it_says_what_it_is(table):
    assert repr(table) == "<Table: 3 rows of image, region, count>"


@pytest.mark.parametrize("columns", [{}, {"image": [], "count": []}])
def test_a_table_without_rows_is_shown_and_written(columns, tmp_path):
    table = Table(columns)
    assert (table.n_rows, list(table.rows())) == (0, [])
    assert str(table).split() == list(columns)
    table.to_csv(tmp_path / "empty.csv")
    assert (tmp_path / "empty.csv").read_text() == ",".join(columns) + "\n"


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="same length"):
        Table({"image": [0, 1], "count": [1]})
