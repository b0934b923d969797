from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from skcount import PointAnnotations
from skcount.metrics import (
    count_bias,
    count_mean_absolute_error,
    count_normalized_absolute_error,
    count_root_mean_squared_error,
)

law = settings(max_examples=50, deadline=None)
ABSOLUTE = [count_mean_absolute_error, count_root_mean_squared_error, count_bias]
every_measure = pytest.mark.parametrize("measure", [*ABSOLUTE, count_normalized_absolute_error])
numbers = st.floats(0, 1e4)
weights = st.floats(0.1, 10)


def columns(*strategies):
    """Lists of the same length, one of each strategy."""
    rows = st.lists(st.tuples(*strategies), min_size=1, max_size=8)
    return rows.map(lambda r: tuple(np.array(column) for column in zip(*r, strict=True)))


def dots(counts, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.uniform(0, 9, (int(n), 2)) for n in counts]


@law
@given(columns(numbers, numbers, weights))
def test_they_agree_with_scikit_learn_on_counts(drawn):
    true, predicted, weight = drawn
    pairs = [
        (count_mean_absolute_error, mean_absolute_error),
        (count_root_mean_squared_error, root_mean_squared_error),
    ]
    for (ours, theirs), w in product(pairs, (None, weight)):
        expected = theirs(true, predicted, sample_weight=w)
        assert ours(true, predicted, sample_weight=w) == pytest.approx(expected)


@every_measure
@law
@given(drawn=columns(st.integers(1, 6), st.integers(0, 6), weights))
def test_points_and_counts_give_the_same_in_every_form(measure, drawn):
    true, predicted, weight = drawn
    expected = measure(true, predicted, sample_weight=weight)
    points = dots(true)
    for form in (points, tuple(points), PointAnnotations(points), true.tolist(), true[:, None].astype(float)):
        assert measure(form, predicted, sample_weight=weight) == expected
    assert measure(true, dots(predicted, seed=1), sample_weight=weight) == expected
    assert measure(points, PointAnnotations(dots(predicted)), sample_weight=weight) == expected


@every_measure
@law
@given(drawn=columns(st.floats(0.1, 1e3), numbers, st.integers(1, 3)))
def test_a_weight_of_k_is_the_image_k_times(measure, drawn):
    true, predicted, weight = drawn
    repeated = measure(np.repeat(true, weight), np.repeat(predicted, weight))
    assert measure(true, predicted, sample_weight=weight) == pytest.approx(repeated)


@every_measure
@law
@given(drawn=columns(st.floats(0.1, 1e3), numbers))
def test_an_image_of_weight_zero_does_not_count(measure, drawn):
    true, predicted = (np.append(column, 7.0) for column in drawn)
    weight = np.append(np.ones(len(true) - 1), 0)
    assert measure(true, predicted, sample_weight=weight) == pytest.approx(measure(*drawn))


@every_measure
@law
@given(drawn=columns(st.floats(0.1, 1e3)))
def test_perfect_is_zero(measure, drawn):
    assert measure(drawn[0], drawn[0]) == 0


@law
@given(columns(st.floats(0.1, 1e4), numbers))
def test_the_bias_is_signed_and_never_larger_than_the_absolute_error_nor_that_than_the_squared(drawn):
    true, predicted = drawn
    bias, absolute = count_bias(true, predicted), count_mean_absolute_error(true, predicted)
    assert abs(bias) <= absolute * (1 + 1e-12)
    assert absolute <= count_root_mean_squared_error(true, predicted) * (1 + 1e-12)
    assert count_bias(predicted, true) == pytest.approx(-bias)
    assert count_bias(true, true + 2) == pytest.approx(2)


@law
@given(columns(st.floats(0.1, 1e3), st.floats(0, 1e3)), st.floats(0.1, 100))
def test_the_normalized_error_does_not_depend_on_the_unit(drawn, unit):
    true, predicted = drawn
    assert count_normalized_absolute_error(unit * true, unit * predicted) == pytest.approx(
        count_normalized_absolute_error(true, predicted), rel=1e-9, abs=1e-12
    )


def test_the_normalized_error_leaves_blank_images_out_with_their_weights():
    nae = count_normalized_absolute_error
    assert nae([0, 4, 10], [9, 5, 10], sample_weight=[5, 1, 3]) == nae([4, 10], [5, 10], sample_weight=[1, 3])
    with pytest.raises(ValueError, match="`y_true` must have at least one object"):
        nae([[], []], [1, 2])
    with pytest.raises(ValueError, match="`sample_weight` is zero"):
        nae([0, 4], [1, 2], sample_weight=[1, 0])


@every_measure
def test_the_result_is_a_plain_float(measure):
    assert type(measure(np.array([3, 4]), np.float32([1, 2]), sample_weight=[1, 2])) is float


# What `y` may be, and what it may not, is in tests/points/test_agreement.py.


@every_measure
def test_other_lengths_are_refused(measure):
    with pytest.raises(ValueError, match="`y_pred` has 3 entries and `y_true` has 2"):
        measure([[(1, 2)], []], [1, 2, 3])


@every_measure
@pytest.mark.parametrize("weight", [[1], [1, 2, 3], [[1, 1]], 1.0, [1, np.nan], [1, -1], [0, 0]])
def test_wrong_weights_are_refused_by_name(measure, weight):
    with pytest.raises(ValueError, match="sample_weight"):
        measure([1, 2], [1, 3], sample_weight=weight)


@pytest.mark.parametrize("metric", ABSOLUTE)
def test_errors_beyond_all_numbers_are_infinite(metric):
    huge = np.finfo(np.float64).max
    assert metric([0, 0], [huge, huge]) == np.inf
    assert metric([0, 0], [huge, huge], sample_weight=[2, 2]) == np.inf
