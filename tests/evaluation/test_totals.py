import re
import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from skcount.evaluation import estimate_total, plan_sample, sample_images

law = settings(max_examples=60, deadline=None)


def population(n=200, seed=0, noise=4.0):
    """True counts, and predictions that are biased but go up and down with them."""
    rng = np.random.default_rng(seed)
    true = rng.poisson(rng.gamma(2, 15, size=n))
    return true, np.maximum(0, 0.7 * true + 5 + rng.normal(0, noise, size=n))


def by_stratum(sample, values):
    """Values of the drawn images, and the size of the population, for each stratum."""
    labels = sample.strata[sample.drawn]
    return [(values[labels == h], np.sum(sample.strata == h)) for h in np.unique(sample.strata)]


# The estimates agree with the textbook.


def test_with_few_images_it_is_the_stratified_expansion_estimate():
    strata = np.repeat([0, 1, 2], [30, 20, 10])
    sample = sample_images(np.full(60, 5.0), 11, strata=strata)
    counts = np.random.default_rng(0).integers(1, 40, size=11)
    estimate = estimate_total(sample, counts, confidence=0.9)
    assert estimate.method == "expansion"
    parts = by_stratum(sample, counts)
    total = sum(size * y.mean() for y, size in parts)
    terms = [size**2 * (1 - len(y) / size) * y.var(ddof=1) / len(y) for y, size in parts]
    df = sum(terms) ** 2 / sum(term**2 / (len(y) - 1) for term, (y, _) in zip(terms, parts, strict=True))
    assert estimate.total == pytest.approx(total)
    assert estimate.standard_error == pytest.approx(np.sqrt(sum(terms)))
    assert estimate.degrees_of_freedom == pytest.approx(df)
    half = stats.t.ppf(0.95, df) * np.sqrt(sum(terms))
    assert_allclose(estimate.interval, (max(counts.sum(), total - half), total + half))


def regression_total(weights, x, y, mean_predicted, n_units):
    """Weighted least squares, evaluated at the mean prediction of all images."""
    slope, intercept = np.polyfit(x, y, 1, w=np.sqrt(weights))
    return n_units * (intercept + slope * mean_predicted)


def test_with_more_images_it_is_the_regression_estimate_with_the_jackknife_by_stratum():
    true, predicted = population(60)
    sample = sample_images(predicted, 14)
    labels, x, y = sample.strata[sample.drawn], predicted[sample.indices], true[sample.indices]
    sizes = np.bincount(sample.strata)
    numbers = np.bincount(labels)
    estimate = estimate_total(sample, y)
    assert estimate.method == "regression"
    weights = (sizes / numbers)[labels]
    assert estimate.total == pytest.approx(regression_total(weights, x, y, predicted.mean(), 60))
    variance = 0.0
    for h, (size, n) in enumerate(zip(sizes, numbers, strict=True)):
        totals = []
        for left_out in np.flatnonzero(labels == h):
            w = np.where(labels == h, size / (n - 1), weights)
            kept = np.arange(14) != left_out
            totals.append(regression_total(w[kept], x[kept], y[kept], predicted.mean(), 60))
        variance += (1 - n / size) * (n - 1) / n * np.sum((np.array(totals) - np.mean(totals)) ** 2)
    assert estimate.standard_error == pytest.approx(np.sqrt(variance))


def test_without_strata_the_counts_by_hand_are_simple_random_sampling():
    true, predicted = population(80)
    sample = sample_images(predicted, 16, strata=None)
    y = true[sample.indices]
    hand = estimate_total(sample, y).hand_counts
    assert hand.method == "expansion"
    assert hand.total == pytest.approx(80 * y.mean())
    assert hand.standard_error == pytest.approx(80 * y.std(ddof=1) * np.sqrt((1 - 16 / 80) / 16))
    assert hand.degrees_of_freedom == pytest.approx(15)
    assert hand.hand_counts is hand


def test_groups_are_counted_as_one_unit_each():
    true, predicted = population(120)
    groups = np.repeat(np.arange(40), 3)
    sample = sample_images(predicted, 14, groups=groups)
    tiles = estimate_total(sample, true[sample.indices])
    photographs = sample_images(predicted.reshape(40, 3).sum(axis=1), 14)
    whole = estimate_total(photographs, true.reshape(40, 3).sum(axis=1)[photographs.indices])
    assert (tiles.n_counted, tiles.n_images) == (42, 120)
    assert (tiles.total, tiles.standard_error) == pytest.approx((whole.total, whole.standard_error))


# Laws.


@law
@given(st.integers(0, 2**31), st.integers(12, 40), st.floats(0.1, 5), st.integers(0, 20))
def test_counts_that_are_linear_in_the_predictions_give_the_exact_total(seed, n, slope, offset):
    _, predicted = population(80, seed)
    true = offset + slope * predicted
    sample = sample_images(predicted, n, random_state=seed % 7)
    estimate = estimate_total(sample, true[sample.indices])
    assert estimate.method == "regression"
    assert estimate.total == pytest.approx(true.sum())
    assert estimate.correlation == pytest.approx(1)
    low, high = estimate.interval
    assert low < true.sum() < high  # the counted images agree, but not all images were counted


@law
@given(st.integers(0, 2**31), st.data())
def test_the_interval_holds_the_estimate_and_is_never_below_what_was_counted(seed, data):
    rng = np.random.default_rng(seed)
    n_images = data.draw(st.integers(8, 40))
    n = data.draw(st.integers(8, n_images))
    true = rng.poisson(rng.choice([0.2, 3.0, 60.0], size=n_images))
    sample = sample_images(rng.gamma(1, 5, size=n_images), n, random_state=seed % 11)
    counts = true[sample.indices]
    assume(np.count_nonzero(counts) >= 5)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The predicted counts say nothing", UserWarning)
        estimate = estimate_total(sample, counts)
    for each in (estimate, estimate.hand_counts):
        low, high = each.interval
        assert counts.sum() <= low <= each.total <= high
        assert (high == low) == (n == n_images)
        assert each.standard_error >= 0
        assert np.isfinite([each.total, each.standard_error, low, high]).all()


@pytest.mark.parametrize("groups", [None, np.arange(20) // 2])
def test_a_census_is_exact(groups):
    true, predicted = population(20)
    sample = sample_images(predicted, 20 if groups is None else 10, groups=groups)
    census = estimate_total(sample, true[sample.indices])
    assert census.method == "census"
    assert census.interval == (true.sum(), true.sum())
    assert (census.total, census.standard_error) == (true.sum(), 0)
    assert estimate_total(sample, np.zeros(20)).total == 0  # nothing is left that could hold an object


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_equal_counts_leave_an_error_unless_all_images_were_counted(value):
    sample = sample_images(np.arange(50) + value, 10)
    estimate = estimate_total(sample, np.full(10, 4))
    assert estimate.total == pytest.approx(200)
    assert estimate.standard_error == pytest.approx(50 * np.sqrt(1 - 10 / 50) / 10)  # one object in one image
    assert estimate.interval[0] < 200 < estimate.interval[1]


def test_the_unit_of_the_predictions_and_their_bias_do_not_matter():
    true, predicted = population()
    strata = predicted > np.median(predicted)
    sample, other = (sample_images(x, 20, strata=strata) for x in (predicted, 3 * predicted + 11))
    one, two = (
        estimate_total(each, true[sample.indices])
        for each in (sample, type(sample)(**{**vars(sample), "predicted": other.predicted}))
    )
    assert (one.total, one.standard_error) == pytest.approx((two.total, two.standard_error))


def test_a_wider_coverage_has_a_wider_interval():
    true, predicted = population()
    sample = sample_images(predicted, 20)
    found = [estimate_total(sample, true[sample.indices], confidence=c) for c in (0.5, 0.8, 0.95, 0.99)]
    assert len({each.total for each in found}) == 1
    widths = [each.interval[1] - each.interval[0] for each in found]
    assert widths == sorted(set(widths))


@pytest.mark.parametrize("n", [8, 20])
@pytest.mark.parametrize("strata", ["auto", None])
def test_the_interval_holds_the_total_about_as_often_as_it_says(n, strata):
    true, predicted = population(150, seed=5)
    held, widths, errors = [], [], []
    for seed in range(250):
        sample = sample_images(predicted, n, strata=strata, random_state=seed)
        estimate = estimate_total(sample, true[sample.indices])
        low, high = estimate.interval
        held.append(low <= true.sum() <= high)
        widths.append(high - low)
        errors.append(estimate.total - true.sum())
    assert np.mean(held) > 0.88
    assert abs(np.mean(errors)) < 4 * np.std(errors) / np.sqrt(250) + 0.01 * true.sum()
    assert np.median(widths) < 6 * np.std(errors)  # and not because it is far too wide


def test_predictions_make_the_interval_narrower():
    true, predicted = population()
    sample = sample_images(predicted, 20, strata=None)
    estimate = estimate_total(sample, true[sample.indices])
    assert estimate.standard_error < 0.5 * estimate.hand_counts.standard_error


def test_the_interval_of_an_extended_sample_holds_as_often():
    true, predicted = population(150, seed=5)
    held = []
    for seed in range(200):
        sample = sample_images(predicted, 12, random_state=seed).extend(18)
        estimate = estimate_total(sample, true[sample.indices])
        assert estimate.n_counted == 30
        held.append(estimate.interval[0] <= true.sum() <= estimate.interval[1])
    assert np.mean(held) > 0.88


def test_it_says_what_it_found():
    true, predicted = population(20)
    sample = sample_images(predicted, 20)
    text = str(estimate_total(sample, true[sample.indices], confidence=0.9))
    assert f"{true.sum()} objects in 20 images, 90 % interval" in text
    assert "20 images counted by hand (census)" in text


# Predictions that are worth nothing.


@pytest.mark.parametrize("kind", ["noise", "constant", "opposite"])
def test_useless_predictions_warn_and_the_counts_by_hand_remain(kind):
    rng = np.random.default_rng(1)
    true = rng.integers(5, 60, size=100)
    predicted = {"noise": rng.gamma(2, 20, size=100), "constant": np.full(100, 7.0), "opposite": 70.0 - true}
    sample = sample_images(predicted[kind], 40, strata=None)
    counts = true[sample.indices]
    with pytest.warns(UserWarning, match=r"The predicted counts say nothing .* in 40 images"):
        estimate = estimate_total(sample, counts)
    assert estimate.method == "expansion"
    assert estimate.hand_counts is estimate
    assert estimate.total == pytest.approx(100 * counts.mean())


# Plans.


def test_a_narrower_interval_takes_more_images():
    true, predicted = population(300)
    sample = sample_images(predicted, 14)
    pilot = estimate_total(sample, true[sample.indices])
    half = (pilot.interval[1] - pilot.interval[0]) / 2
    plans = [plan_sample(pilot, share * half) for share in (2, 1.01, 0.9, 0.7, 0.5, 0.3, 0.1, 1e-6)]
    assert plans == sorted(plans)
    assert plans[:2] == [14, 14]  # the pilot is enough
    assert 14 < plans[2] < plans[5] < plans[6]
    assert plans[-1] == 300  # only all images


def test_a_planned_sample_is_large_enough_in_about_four_of_five_cases():
    true, predicted = population(400, seed=2)
    enough = []
    for seed in range(60):
        sample = sample_images(predicted, 14, random_state=seed)
        pilot = estimate_total(sample, true[sample.indices])
        n = plan_sample(pilot, 400)
        if n > 14:
            sample = sample.extend(n - 14)
        low, high = estimate_total(sample, true[sample.indices]).interval
        enough.append(high - low <= 800)
    assert np.mean(enough) > 0.65


def test_a_census_needs_no_further_images():
    true, predicted = population(20)
    sample = sample_images(predicted, 20)
    assert plan_sample(estimate_total(sample, true[sample.indices]), 0.001) == 20


def test_a_plan_counts_groups_if_these_are_drawn():
    true, predicted = population(300)
    sample = sample_images(predicted, 14, groups=np.arange(300) // 3)
    pilot = estimate_total(sample, true[sample.indices])
    assert plan_sample(pilot, 1e-6) == 100


def test_a_wrong_half_width_is_refused():
    true, predicted = population(20)
    sample = sample_images(predicted, 14)
    pilot = estimate_total(sample, true[sample.indices])
    with pytest.raises(ValueError, match="'half_width' parameter"):
        plan_sample(pilot, 0)
    with pytest.raises(ValueError, match="'pilot' parameter"):
        plan_sample(sample, 10)


# What is refused.


@pytest.mark.parametrize("n_found", [0, 1, 4])
@pytest.mark.parametrize("groups", [None, np.arange(200) // 2])
def test_too_few_images_with_objects_are_an_error_that_says_how_many_more_to_draw(n_found, groups):
    _, predicted = population()
    sample = sample_images(predicted, 20, groups=groups)
    counts = np.zeros(len(sample))
    counts[: n_found * (1 if groups is None else 2)] = 3
    what = "images" if groups is None else "groups"
    with pytest.raises(ValueError, match=rf"Only {n_found} of the 20 counted {what} .*sample.extend") as info:
        estimate_total(sample, counts)
    more = int(re.search(r"extend\((\d+)\)", str(info.value))[1])
    assert len(sample.extend(more).drawn) == 20 + more


def test_a_sample_that_cannot_be_extended_is_not_told_to_be():
    _, predicted = population()
    sample = sample_images(predicted, 20).extend(10)
    with pytest.raises(ValueError, match="Only 0 of the 30 counted images") as info:
        estimate_total(sample, np.zeros(30))
    assert "extend" not in str(info.value)


def test_counted_images_must_not_be_training_images():
    true, predicted = population()
    sample = sample_images(predicted, 20)
    counts = true[sample.indices]
    others = np.setdiff1d(np.arange(200), sample.indices)
    assert estimate_total(sample, counts, others).total == estimate_total(sample, counts).total
    both = [*sample.indices[:2], *others]
    with pytest.raises(ValueError, match="2 of the counted images are training images"):
        estimate_total(sample, counts, trained_on=both)
    with pytest.raises(ValueError, match=r"20 of the counted .*, \.\.\.\)"):
        estimate_total(sample, counts, trained_on=range(200))


@pytest.mark.parametrize("trained_on", [[0.5], [[1, 2]], np.zeros(200, dtype=bool), ["a"]])
def test_what_is_no_index_of_training_images_is_refused(trained_on):
    true, predicted = population()
    sample = sample_images(predicted, 20)
    with pytest.raises(ValueError, match="`trained_on` must be indices"):
        estimate_total(sample, true[sample.indices], trained_on=trained_on)


def test_a_model_that_was_not_trained_saw_no_image():
    true, predicted = population()
    sample = sample_images(predicted, 20)
    counts = true[sample.indices]
    assert estimate_total(sample, counts, trained_on=[]).total == estimate_total(sample, counts).total


@pytest.mark.parametrize(
    ("counts", "match"),
    [
        (np.ones(19), "one count for each of the 20 images .* got 19"),
        (np.ones(200), "one count for each of the 20 images .* got 200"),
        ([*range(19), np.nan], "must be finite and not negative"),
        ([*range(19), -1], "must be finite and not negative"),
    ],
)
def test_wrong_counts_are_refused(counts, match):
    sample = sample_images(population()[1], 20)
    with pytest.raises(ValueError, match=f"`counts` .*{match}"):
        estimate_total(sample, counts)


@pytest.mark.parametrize("confidence", [0, 1, 95, "high"])
def test_a_wrong_confidence_is_refused(confidence):
    true, predicted = population()
    sample = sample_images(predicted, 20)
    with pytest.raises(ValueError, match="'confidence' parameter"):
        estimate_total(sample, true[sample.indices], confidence=confidence)
