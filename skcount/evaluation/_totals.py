"""Estimate the total of a population of images from the predicted counts of all and the true counts of some."""

import warnings
from dataclasses import dataclass, field
from numbers import Real

import numpy as np
from scipy import stats
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import Interval, validate_params

from skcount.evaluation._samples import ImageSample

# Counted images from which on predictions are used, and of these with objects from which on there is an interval.
REGRESSION, NOT_EMPTY = 12, 5
# Predictions whose correlation with the counts is at most this, by the upper end of its interval, are worth nothing.
USELESS = 0.3
# The chance that a planned sample is large enough.
ASSURANCE = 0.8


@dataclass(frozen=True, eq=False)
class TotalEstimate:
    """The estimated total of a population of images. `estimate_total` makes it.

    Parameters
    ----------
    total : float
        Estimated number of objects in all images.
    standard_error : float
        Its standard error, in objects.
    interval : tuple of (float, float)
        Low and high end, in objects. Over repeated draws of the sample, it holds the true total as often as
        `confidence` says.
    confidence : float
        The nominal coverage of the interval.
    degrees_of_freedom : float
        Those of the t distribution of the interval.
    method : {"regression", "expansion", "census"}
        "regression" uses the predicted counts, "expansion" only the counts by hand; "census": all images were counted.
    correlation : float
        Of predicted counts and counts by hand, weighted by the design; NaN if one of them does not vary.
    n_counted, n_images : int
        Number of images that were counted, and of all.
    sample : ImageSample
        The design of the sample.
    hand_counts : TotalEstimate
        The estimate that uses only the counts by hand, from the same sample.

    Examples
    --------
    >>> from skcount.evaluation import estimate_total, sample_images
    >>> sample = sample_images([12, 14, 15, 19, 26, 35], 5)
    >>> estimate = estimate_total(sample, [15, 30, 12, 22, 33])
    >>> estimate.method
    'expansion'
    """

    total: float
    standard_error: float
    interval: tuple
    confidence: float
    degrees_of_freedom: float
    method: str
    correlation: float
    n_counted: int
    n_images: int
    sample: ImageSample = field(repr=False)
    hand_counts: "TotalEstimate" = field(default=None, repr=False)

    def __post_init__(self):
        if self.hand_counts is None:
            object.__setattr__(self, "hand_counts", self)

    def __str__(self):
        low, high = self.interval
        return (
            f"{self.total:.0f} objects in {self.n_images} images, {100 * self.confidence:.4g} % interval {low:.0f} to "
            f"{high:.0f}, from {self.n_counted} images counted by hand ({self.method})"
        )


@validate_params(
    {
        "sample": [ImageSample],
        "counts": ["array-like"],
        "trained_on": ["array-like", None],
        "confidence": [Interval(Real, 0, 1, closed="neither")],
    },
    prefer_skip_nested_validation=True,
)
def estimate_total(sample, counts, trained_on=None, *, confidence=0.95):
    """Estimate the total number of objects in all images, from predicted counts of all and counts by hand of some.

    Predictions may be biased: the counted images tell the bias. What is needed is that they go up and down with the
    true counts.

    Parameters
    ----------
    sample : ImageSample
        The design, from `sample_images`.
    counts : array-like of shape (n_sampled,)
        True counts of the images ``sample.indices``, in that order, >= 0.
    trained_on : array-like of int or None, default=None
        Indices of images that the model was trained on. None of them may be in the sample, as their predictions are
        better than those of other images.
    confidence : float, default=0.95
        Coverage of the interval, in (0, 1).

    Returns
    -------
    TotalEstimate
        The `total`, its `standard_error` and `interval`, and `hand_counts`: the same without predictions.

    Raises
    ------
    ValueError
        If counts are missing, negative or not finite, if images of the training were counted, or if fewer than five of
        the counted images have an object: then the error says how many more to draw.

    Warns
    -----
    UserWarning
        If the predictions are worth nothing, so that the estimate without predictions is returned.

    Notes
    -----
    The population is fixed, and only the draw is random. From twelve counted images (or groups) on, the total is the
    combined regression estimate [1]_, with the jackknife by stratum for its standard error [2]_, finite-population
    corrections, and Satterthwaite's degrees of freedom. With fewer, it is the stratified expansion estimate. The interval
    is never below the number of objects that were counted, and its width is only 0 if all images were counted. Where all
    counted images agree with the regression, the standard error is that of one object missed in one of them.

    References
    ----------
    .. [1] W. G. Cochran. Sampling Techniques, 3rd edition. Wiley, 1977, chapter 7.
    .. [2] K. M. Wolter. Introduction to Variance Estimation, 2nd edition. Springer, 2007, chapter 4.

    Examples
    --------
    >>> from skcount.evaluation import estimate_total, sample_images
    >>> predicted = [3, 14, 15, 9, 26, 5, 35, 8, 9, 7, 9, 3, 23, 8, 46, 26, 43, 38, 32, 7]
    >>> sample = sample_images(predicted, 14)
    >>> counts = [predicted[index] + index % 3 for index in sample.indices]  # you count them
    >>> estimate = estimate_total(sample, counts)
    >>> print(estimate)
    388 objects in 20 images, 95 % interval 381 to 395, from 14 images counted by hand (regression)
    >>> estimate.hand_counts.method
    'expansion'
    """
    counts = _check_counts(sample, counts)
    _refuse_trained_on(sample, trained_on)
    population = np.zeros(len(sample.predicted))
    population[sample.indices] = counts
    y = sample.unit_sums(population)[sample.drawn]
    x = sample.unit_sums(sample.predicted)[sample.drawn]
    n_units, n_drawn = len(sample.strata), len(sample.drawn)
    design = _Design(sample)
    shared = {
        "n_counted": len(counts),
        "n_images": len(population),
        "confidence": confidence,
        "sample": sample,
    }
    if n_drawn == n_units:
        total = float(y.sum())
        return TotalEstimate(
            total,
            0.0,
            (total, total),
            degrees_of_freedom=np.inf,
            method="census",
            correlation=_correlation(x, y),
            **shared,
        )
    n_found = np.count_nonzero(y)
    if n_found < NOT_EMPTY:
        raise ValueError(_how_many_more(sample, n_found))
    r = _correlation(x, y, design.weights)
    shared |= {"correlation": r}
    hand = _estimate(design, y, method="expansion", **shared)
    if n_drawn < REGRESSION:
        return hand
    if (
        not np.isfinite(r)
        or np.tanh(np.arctanh(np.clip(r, -0.999999, 0.999999)) + stats.norm.ppf(0.975) / np.sqrt(n_drawn - 3))
        < USELESS
    ):
        warnings.warn(
            f"The predicted counts say nothing about the counts by hand (correlation {r:.2f} in {n_drawn} images), so the "
            "total is estimated from the counts by hand alone.",
            UserWarning,
            stacklevel=3,
        )
        return hand
    return _estimate(design, y, x, method="regression", hand_counts=hand, **shared)


@validate_params(
    {
        "pilot": [TotalEstimate],
        "half_width": [Interval(Real, 0, None, closed="neither")],
    },
    prefer_skip_nested_validation=True,
)
def plan_sample(pilot, half_width):
    """Return how many images to count in all, so that the interval of the total is total +- `half_width` or narrower.

    Parameters
    ----------
    pilot : TotalEstimate
        The estimate from a first sample.
    half_width : float
        Wanted half width of the interval, in objects, > 0.

    Returns
    -------
    n : int
        Number of images (or groups, if these are drawn) to count in all, those of the pilot included: draw
        ``pilot.sample.extend(n - n_pilot)``. It is enough in about four of five cases, as the pilot only estimates how
        large the errors are.

    Examples
    --------
    >>> import numpy as np
    >>> from skcount.evaluation import estimate_total, plan_sample, sample_images
    >>> rng = np.random.default_rng(0)
    >>> true = rng.poisson(30, size=300)
    >>> predicted = np.maximum(0, true + rng.normal(0, 3, size=300))
    >>> sample = sample_images(predicted, 12)
    >>> pilot = estimate_total(sample, true[sample.indices])
    >>> plan_sample(pilot, half_width=200)
    38
    >>> sample.extend(38 - 12)
    <ImageSample: 38 of 300 images, 3 strata>
    """
    sample = pilot.sample
    sizes = np.bincount(sample.strata)
    have = np.bincount(sample.strata[sample.drawn], minlength=len(sizes))
    n_drawn, n_units = len(sample.drawn), len(sample.strata)
    if pilot.standard_error == 0 or pilot.interval[1] - pilot.interval[0] <= 2 * half_width:
        return n_drawn
    # Errors grow like the square root of the predicted count; the pilot tells by how much.
    spread = np.bincount(sample.strata, weights=sample.unit_sums(sample.predicted)) / sizes
    spread = np.maximum(spread, 1e-3 * spread.max()) if spread.any() else np.ones(len(sizes))
    share = sizes * np.sqrt(spread)

    def variance(numbers):
        return np.sum(sizes**2 * (1 / numbers - 1 / sizes) * spread)

    df = pilot.degrees_of_freedom
    unit = pilot.standard_error**2 / variance(have) * df / stats.chi2.ppf(1 - ASSURANCE, df)
    for n in range(n_drawn + 1, n_units):
        numbers = np.clip(n * share / share.sum(), have, sizes)
        t = stats.t.ppf(0.5 + pilot.confidence / 2, max(1, n - len(sizes)))
        if t * np.sqrt(unit * variance(numbers)) <= half_width:
            return n
    return n_units


class _Design:
    """What an estimate needs of the design: weights, corrections, and the weights without each of the counted units."""

    def __init__(self, sample):
        labels = sample.strata[sample.drawn]
        self.sizes = np.bincount(sample.strata)
        self.numbers = np.bincount(labels, minlength=len(self.sizes))
        self.labels = labels
        self.n_units = len(sample.strata)
        self.weights = (self.sizes / self.numbers)[labels]
        self.mean_predicted = sample.predicted.sum() / self.n_units
        same = labels[:, None] == labels
        n = self.numbers[labels]
        without = np.where(same, n[:, None] / np.maximum(n[:, None] - 1, 1), 1.0) * self.weights
        np.fill_diagonal(without, 0)
        self.without = without

    def total(self, weights, y, x=None):
        """Return the totals for rows of weights."""
        n = weights.sum(axis=-1)
        mean_y = weights @ y / n
        if x is None:
            return self.n_units * mean_y
        mean_x = weights @ x / n
        dx, dy = x - mean_x[..., None], y - mean_y[..., None]
        below = (weights * dx**2).sum(axis=-1)
        slope = np.divide((weights * dx * dy).sum(axis=-1), below, out=np.zeros_like(below), where=below > 0)
        return self.n_units * (mean_y + slope * (self.mean_predicted - mean_x))

    def variances(self, y, x=None):
        """Return the variance of each stratum by the jackknife."""
        totals = self.total(self.without, y, x)
        means = np.bincount(self.labels, weights=totals, minlength=len(self.sizes)) / self.numbers
        squares = np.bincount(
            self.labels, weights=(totals - means[self.labels]) ** 2, minlength=len(self.sizes)
        )
        return (1 - self.numbers / self.sizes) * (self.numbers - 1) / self.numbers * squares


def _estimate(design, y, x=None, *, method, confidence, **about):
    """Return the estimate of a design, by regression on `x`, or by expansion without it."""
    total = float(design.total(design.weights[None], y, x)[0])
    variances = design.variances(y, x)
    n_drawn, n_units = len(y), design.n_units
    least = (
        n_units * np.sqrt(1 - n_drawn / n_units) / n_drawn
    )  # one object missed in one of the counted images
    error = max(float(np.sqrt(variances.sum())), least)
    among = (variances > 0) & (design.numbers > 1)
    df = float(n_drawn - len(design.sizes))
    if among.any():
        df = float(variances.sum() ** 2 / np.sum(variances[among] ** 2 / (design.numbers[among] - 1)))
    half = stats.t.ppf(0.5 + confidence / 2, df) * error
    found = y.sum()
    total = max(total, float(found))
    interval = max(float(found), total - half), total + half
    return TotalEstimate(total, error, interval, confidence, df, method, **about)


def _check_counts(sample, counts):
    """Return counts by hand as float64 numbers, one per sampled image."""
    counts = column_or_1d(np.asarray(counts, dtype=np.float64))
    if len(counts) != len(sample):
        raise ValueError(
            f"`counts` must have one count for each of the {len(sample)} images of the sample, in the order of "
            f"sample.indices; got {len(counts)}."
        )
    if not np.isfinite(counts).all() or counts.min() < 0:
        raise ValueError(
            "`counts` must be finite and not negative. Every image of the sample must be counted, empty ones too."
        )
    return counts


def _refuse_trained_on(sample, trained_on):
    """Refuse images of the training in the sample."""
    if trained_on is None or not len(trained_on):
        return
    trained_on = np.asarray(trained_on)
    if trained_on.ndim != 1 or not np.issubdtype(trained_on.dtype, np.integer):
        raise ValueError("`trained_on` must be indices of images.")
    both = np.intersect1d(sample.indices, trained_on)
    if len(both):
        shown = ", ".join(map(str, both[:5].tolist())) + (", ..." if len(both) > 5 else "")
        raise ValueError(
            f"{len(both)} of the counted images are training images ({shown}), whose predictions are better than those of "
            "other images. Give sample_images out-of-fold predictions for them (scikit-learn's cross_val_predict) and leave "
            "trained_on out, or draw from the other images and add the known counts of the training images."
        )


def _how_many_more(sample, n_found):
    """Return the message of a sample with too few images that have an object."""
    n_drawn, n_units = len(sample.drawn), len(sample.strata)
    what = "images" if sample.groups is None else "groups"
    wanted = int(np.ceil(NOT_EMPTY * n_drawn / max(n_found, 0.5)))
    more = min(max(wanted - n_drawn, 1), n_units - n_drawn)
    start = f"Only {n_found} of the {n_drawn} counted {what} have an object; the total needs at least {NOT_EMPTY}."
    if sample.n_phases > 1:  # which can be extended once
        return f"{start} Draw a new sample of about {n_drawn + more}: sample_images(predicted, {n_drawn + more})."
    return f"{start} Draw about {more} more: sample.extend({more})."


def _correlation(x, y, weights=None):
    """Return the weighted correlation of two arrays, or NaN if one of them does not vary."""
    covariance = np.atleast_2d(np.cov(x, y, aweights=weights)) if len(x) > 1 else np.zeros((2, 2))
    scale = np.sqrt(covariance[0, 0] * covariance[1, 1])
    return float(covariance[0, 1] / scale) if scale > 0 else np.nan
