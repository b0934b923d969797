import numpy as np
import pytest

from skcount import ImageSet
from skcount._check import check_length, is_list_like, is_table


def test_other_lengths_are_refused_with_both_numbers():
    check_length(3, 3)
    with pytest.raises(ValueError, match=r"X holds 3 images and roi holds 2 entries.*X\[None\]"):
        check_length(3, 2, "roi")


def test_tables_are_told_from_images():
    pandas = pytest.importorskip("pandas")
    table = np.ones((3, 4))
    for X in (table, table.tolist(), list(table), pandas.DataFrame(table), table.astype(object)):
        assert is_table(X)
    for X in (table[None], [table, table], [table[..., None]], ImageSet(table[None]), [], None, "a"):
        assert not is_table(X)


def test_sequences_of_entries_are_told_from_arrays_of_numbers():
    objects = np.empty(1, dtype=object)
    for y in ([1], (1,), [], objects):
        assert is_list_like(y)
    for y in (np.ones(2), np.ones((2, 3, 2)), None, "ab", 5):
        assert not is_list_like(y)
