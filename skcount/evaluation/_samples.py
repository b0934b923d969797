"""Draw the images to count by hand such that the total of all images can be estimated from them."""

from dataclasses import dataclass, replace
from numbers import Integral

import numpy as np
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from skcount._check import check_groups
from skcount.evaluation._table import Table

# Strata: at most one for so many images to count, and so many of them.
PER_STRATUM, FEWEST, MOST = 4, 2, 5
# Images to count in each stratum, at least; an error cannot be estimated from one.
LEAST = 2


@dataclass(frozen=True, repr=False, eq=False)
class ImageSample:
    """The images to count by hand, and how they were drawn. `sample_images` makes it.

    Parameters
    ----------
    predicted : ndarray of shape (n_images,), float
        Predicted counts of all images.
    groups : ndarray of shape (n_images,) or None
        The group of each image. Whole groups are drawn.
    units : ndarray of shape (n_images,), int
        What is drawn: the number of the group of each image, or of the image itself.
    strata : ndarray of shape (n_units,), int
        The stratum of each unit.
    drawn : ndarray of shape (n_drawn,), int
        The drawn units, in the order in which they were drawn.
    n_phases : int
        1, and one more for each `extend`.
    seed : int
        Seed of the images that `extend` draws.
    n_extended : int
        How many of the drawn units `extend` has drawn.

    Attributes
    ----------
    indices : ndarray of shape (n_sampled,), int
        The images to count, in the order in which `estimate_total` expects their counts.

    Examples
    --------
    >>> from skcount.evaluation import sample_images
    >>> sample = sample_images([4, 8, 15, 16, 23, 42], 3)
    >>> sample.indices
    array([1, 5, 2])
    >>> print(sample.to_table())
    image  predicted  stratum  phase  order
        0          4        0      0      0
        1          8        0      1      1
        2         15        0      1      3
        3         16        0      0      0
        4         23        0      0      0
        5         42        0      1      2
    """

    predicted: np.ndarray
    groups: np.ndarray | None
    units: np.ndarray
    strata: np.ndarray
    drawn: np.ndarray
    n_phases: int = 1
    seed: int = 0
    n_extended: int = 0

    @property
    def indices(self):
        """Return the images to count, in the order in which their counts are expected."""
        members = np.argsort(self.units, kind="stable")
        ends = np.cumsum(np.bincount(self.units, minlength=len(self.strata)))
        starts = np.concatenate([[0], ends[:-1]])
        return np.concatenate([members[starts[unit] : ends[unit]] for unit in self.drawn])

    def __len__(self):
        """Return the number of images to count."""
        return len(self.indices)

    def __repr__(self):
        n_units = f", {len(self.drawn)} of {len(self.strata)} groups" if self.groups is not None else ""
        return (
            f"<ImageSample: {len(self)} of {len(self.predicted)} images{n_units}, "
            f"{self.strata.max() + 1} {'stratum' if not self.strata.max() else 'strata'}>"
        )

    def unit_sums(self, values):
        """Return the sum of a value of each image, such as its predicted count, over the images of each unit.

        Parameters
        ----------
        values : array-like of shape (n_images,)
            One number per image.

        Returns
        -------
        sums : ndarray of shape (n_units,)
            Their sums.
        """
        return np.bincount(self.units, weights=values, minlength=len(self.strata))

    def to_table(self):
        """Return the design as a table, to be kept in a file until the images are counted.

        Returns
        -------
        Table
            A row per image: `image`, its index; `predicted`; `group`, if there are groups; `stratum`; `phase`, 1 for
            images to count, 2 for those of the second batch, and 0 for all others; and `order`, the place in `indices`,
            from 1, or 0.
        """
        order, phase = np.zeros((2, len(self.predicted)), dtype=int)
        order[self.indices] = np.arange(1, len(self) + 1)
        first = np.isin(self.units, self.drawn[: len(self.drawn) - self.n_extended])
        phase[self.indices] = np.where(first[self.indices], 1, 2)
        columns = {"image": np.arange(len(order)), "predicted": self.predicted}
        columns |= {} if self.groups is None else {"group": self.groups}
        return Table(columns | {"stratum": self.strata[self.units], "phase": phase, "order": order})

    @classmethod
    def from_table(cls, table, seed=0):
        """Return the sample of a table.

        Parameters
        ----------
        table : mapping of str to array-like
            The columns of `to_table`, such as a Table or a frame of pandas.
        seed : int, default=0
            Seed of the images that `extend` draws.

        Returns
        -------
        ImageSample
            The design, without changes.

        Raises
        ------
        ValueError
            If columns are missing, or do not describe a sample.
        """
        missing = [name for name in ("predicted", "stratum", "phase", "order") if name not in table]
        if missing:
            raise ValueError(
                f"The table of a sample must have the columns predicted, stratum, phase and order; {missing[0]} is missing."
            )
        predicted = _check_predicted(table["predicted"])
        stratum, phase, order = (
            _check_column(table[name], name, len(predicted)) for name in ("stratum", "phase", "order")
        )
        groups = None if "group" not in table else check_groups(table["group"], len(predicted))
        units = np.arange(len(predicted)) if groups is None else np.unique(groups, return_inverse=True)[1]
        chosen = np.flatnonzero(order)
        if not len(chosen) or not np.array_equal(np.sort(order[chosen]), np.arange(1, len(chosen) + 1)):
            raise ValueError(
                "The column order must have 1, 2, 3 and so on for the images to count, and 0 for all others."
            )
        if np.any((phase > 0) != (order > 0)) or not np.isin(phase, (0, 1, 2)).all():
            raise ValueError("The column phase must be 1 or 2 for the images to count, and 0 for all others.")
        strata = _per_unit(np.unique(stratum, return_inverse=True)[1], units, "stratum")
        phases = _per_unit(phase, units, "phase")
        in_order = units[chosen[np.argsort(order[chosen])]]
        drawn = in_order[np.sort(np.unique(in_order, return_index=True)[1])]
        n_extended = int(np.count_nonzero(phases[drawn] == 2))
        sample = cls(predicted, groups, units, strata, drawn, 1 + bool(n_extended), seed, n_extended)
        if not np.array_equal(sample.indices, chosen[np.argsort(order[chosen])]):
            raise ValueError(
                "The column order must have the images of a group one after the other, in the order of the table."
            )
        return sample

    def extend(self, n):
        """Return a sample with a second batch of images, drawn from those that are left.

        Decide once, before you look at the second batch, how many images it has: `plan_sample` tells. Counting one image
        after the other until the interval is narrow enough gives intervals that hold less often than they say: 87 to
        90 % instead of 95 %.

        Parameters
        ----------
        n : int
            Number of further images, or of further groups if there are groups, > 0.

        Returns
        -------
        ImageSample
            `indices` begins with those of this sample.

        Raises
        ------
        ValueError
            If fewer than `n` are left, or if this sample is an extended one.
        """
        if not isinstance(n, Integral) or n < 1:
            raise ValueError(f"`n` must be a positive integer; got {n!r}.")
        if self.n_phases > 1:
            raise ValueError(
                "This sample has been extended before. An interval is valid for a number of images that was decided in "
                "advance; going on until it is narrow enough is not. Draw a new sample of the images that are not counted."
            )
        n_left = len(self.strata) - len(self.drawn)
        if n > n_left:
            raise ValueError(f"`n` must be at most {n_left}, the number that is left; got {n}.")
        have = np.bincount(self.strata[self.drawn], minlength=self.strata.max() + 1)
        want = _allocate(self.unit_sums(self.predicted), self.strata, len(self.drawn) + n, least=have)
        more = _draw(check_random_state(self.seed), self.strata, want - have, without=self.drawn)
        return replace(
            self, drawn=np.concatenate([self.drawn, more]), n_phases=self.n_phases + 1, n_extended=int(n)
        )


@validate_params(
    {
        "predicted": ["array-like"],
        "n": [Interval(Integral, 2, None, closed="left")],
        "strata": [StrOptions({"auto"}), "array-like", None],
        "groups": ["array-like", None],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def sample_images(predicted, n, strata="auto", groups=None, random_state=0):
    """Draw the images to count by hand, so that `estimate_total` can tell the total of all images.

    Images with large predicted counts are drawn more often, and images of all sizes are drawn.

    Parameters
    ----------
    predicted : array-like of shape (n_images,)
        Predicted counts of all images, >= 0, of any model. Images that the model was trained on need predictions of a
        model that did not see them (`sklearn.model_selection.cross_val_predict`).
    n : int
        Number of images to count, >= 2; of groups, if there are groups. Take 20 or more: from 12 on, predictions make
        the interval narrower.
    strata : "auto", array-like of shape (n_images,) or None, default="auto"
        Images are drawn from each stratum. "auto" makes a quarter of `n` strata, two to five of them, of images with
        similar predicted counts, such that the sums of the square roots of these are equal. An array gives the stratum of
        each image. None draws from all images with the same chance: a pilot that finds out whether the predictions are
        worth anything.
    groups : array-like of shape (n_images,) or None, default=None
        A label per image. Whole groups are drawn, such as all tiles of a photograph.
    random_state : int, RandomState or None, default=0
        Seed of the draw.

    Returns
    -------
    ImageSample
        Its `indices` are the images to count.

    Raises
    ------
    ValueError
        If predicted counts are not finite or negative, if there are fewer than `n` images or groups, or if a stratum has
        too few.

    Notes
    -----
    In stratum h with N_h images, n_h is in proportion to N_h times the square root of the mean predicted count, and at
    least 2. Errors of counts grow about like the square root of the count, for which this is the best allocation [1]_.

    References
    ----------
    .. [1] W. G. Cochran. Sampling Techniques, 3rd edition. Wiley, 1977, chapter 5.

    Examples
    --------
    >>> import numpy as np
    >>> from skcount.evaluation import estimate_total, sample_images
    >>> rng = np.random.default_rng(0)
    >>> true = rng.poisson(30, size=300)
    >>> predicted = 1.2 * true + rng.normal(0, 2, size=300)
    >>> sample = sample_images(predicted, 20)
    >>> sample
    <ImageSample: 20 of 300 images, 5 strata>
    >>> counts = true[sample.indices]  # what you count in these images
    >>> low, high = estimate_total(sample, counts).interval
    >>> bool(low < true.sum() < high)
    True
    """
    predicted = _check_predicted(predicted)
    if groups is None:
        units = np.arange(len(predicted))
    else:
        groups = check_groups(groups, len(predicted))
        units = np.unique(groups, return_inverse=True)[1]
    n_units = int(units.max()) + 1
    if n > n_units:
        what = "images" if groups is None else "groups"
        raise ValueError(f"`n` must be at most the number of {what}, {n_units}; got {n}.")
    sums = np.bincount(units, weights=predicted)
    if strata is None:
        labels = np.zeros(n_units, dtype=int)
    elif isinstance(strata, str):
        labels = _make_strata(sums, int(np.clip(n // PER_STRATUM, min(FEWEST, n // LEAST), MOST)))
    else:
        labels = _check_strata(strata, units, n)
    rng = check_random_state(random_state)
    drawn = _draw(rng, labels, _allocate(sums, labels, n, np.minimum(LEAST, np.bincount(labels))))
    return ImageSample(predicted, groups, units, labels, drawn, seed=int(rng.randint(np.iinfo(np.int32).max)))


def _check_predicted(predicted):
    """Return predicted counts as finite float64 numbers, not negative."""
    predicted = column_or_1d(np.asarray(predicted, dtype=np.float64))
    if not len(predicted) or not np.isfinite(predicted).all():
        raise ValueError("`predicted` must be finite numbers, one per image, and not empty.")
    if predicted.min() < 0:
        raise ValueError(
            f"`predicted` must not be negative; got {predicted.min():.3g}. Raise such counts to 0."
        )
    return predicted


def _check_strata(strata, units, n):
    """Return the user's strata as numbers, one per unit."""
    strata = np.asarray(strata)
    if strata.shape != units.shape:
        raise ValueError(f"`strata` must have one label per image, {len(units)}; got shape {strata.shape}.")
    labels = _per_unit(np.unique(strata, return_inverse=True)[1], units, "strata")
    needed = np.minimum(LEAST, np.bincount(labels)).sum()
    if n < needed:
        raise ValueError(f"`n` must be at least {needed}, {LEAST} for each stratum; got {n}.")
    return labels


def _check_column(values, name, n_images):
    """Return a column of whole numbers."""
    values = np.asarray(values)
    if values.shape != (n_images,) or values.dtype.kind not in "iu":
        raise ValueError(f"The column {name} must be whole numbers, one per image.")
    return values.astype(int)


def _per_unit(values, units, name):
    """Return a value per unit from one per image."""
    found = np.zeros(units.max() + 1, dtype=int)
    found[units] = values
    if np.any(found[units] != values):
        raise ValueError(f"`{name}` must be the same for all images of a group.")
    return found


def _make_strata(sums, n_strata):
    """Return strata of similar predicted counts with equal sums of their square roots, each of at least LEAST units."""
    order = np.argsort(sums, kind="stable")
    roots = np.sqrt(sums[order])
    if not roots.any():
        return np.zeros(len(sums), dtype=int)
    middle = (np.cumsum(roots) - roots / 2) / roots.sum()
    numbers = np.minimum((middle * n_strata).astype(int), n_strata - 1)
    labels, sizes = np.zeros(len(sums), dtype=int), np.bincount(numbers, minlength=n_strata)
    kept, size = [], 0
    for number, n_units in enumerate(
        sizes
    ):  # a stratum that is too small joins the next, and the last one the one before
        size += n_units
        if size >= LEAST and (sizes[number + 1 :].sum() >= LEAST or number == n_strata - 1):
            kept.append(size)
            size = 0
    if size:
        kept[-1] += size
    labels[order] = np.repeat(np.arange(len(kept)), kept)
    return labels


def _allocate(sums, labels, n, least):
    """Return how many units to draw from each stratum: at least `least`, at most all, `n` in sum."""
    sizes = np.bincount(labels)
    wish = sizes * np.sqrt(np.bincount(labels, weights=sums) / sizes)
    wish = wish if wish.any() else sizes.astype(float)
    numbers = least.copy()
    while numbers.sum() < n:  # one after the other, to the stratum that is furthest below its share
        behind = np.where(numbers < sizes, wish / (numbers + 0.5), -1.0)
        numbers[np.argmax(behind)] += 1
    return numbers


def _draw(rng, labels, numbers, without=()):
    """Draw so many units of each stratum without replacement, and mix them."""
    free = np.ones(len(labels), dtype=bool)
    free[list(without)] = False
    chosen = [
        rng.choice(np.flatnonzero((labels == label) & free), number, replace=False)
        for label, number in enumerate(numbers)
        if number
    ]
    return rng.permutation(np.concatenate(chosen))
