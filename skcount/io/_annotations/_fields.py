"""Nothing that could tell pictures, slices, classes, annotators or units apart is ignored in silence.

A reader keeps everything that it does not use as a field. A field is harmless if it has one value in each image, if it
numbers the objects, or if it is a measurement. Every other field is refused, with the argument that says what it is.
"""

import re
from collections import Counter

import numpy as np

# Words in the names of fields, in lower case, by what the field may tell apart.
_WORDS = {
    "picture": "image img picture photo photograph file filename path pathname url uri well plate site fov tile series "
    "imagenumber imageid imagename subject",
    "slice": "slice frame z t c ch channel time timepoint timestamp plane stack depth layer",
    "class": "class classification label category species type kind taxon phenotype counter stage sex tool_label",
    "annotator": "annotator user rater observer expert labeler labeller author reviewer worker email creator created by "
    "username userid completed",
    "confidence": "confidence conf score prob probability certainty likelihood",
    "unit": "unit units",
}
# Words in the names of measurements, whose whole numbers may have few values although they tell nothing apart.
_MEASUREMENTS = (
    "area perimeter mean min max std mass size ecc eccentricity ep signal intensity width height radius diameter angle "
    "feret feretx ferety feretangle minferet major minor circ ar round roundness solidity intden rawintden length "
    "count texture median mode skew kurt weight distance bbox areashape quality volume pixels number"
)
_MEANING = {word: meaning for meaning, words in _WORDS.items() for word in words.split()}
_MEASURED_WORDS = set(_MEASUREMENTS.split(" "))
# CellProfiler's modules that measure.
_MEASURED = re.compile(
    r"(areashape|intensity|texture|granularity|radialdistribution|neighbors|correlation|children|parent)_"
)
_PICTURE = re.compile(r"\.(png|tiff?|jpe?g|bmp|gif|czi|nd2)$", re.IGNORECASE)
_MOST_VALUES = 20  # of a class or an annotator
# Meanings whose values do not all differ within an image, unless they number the objects.
_IDENTIFIABLE = {"class", "annotator", "unit", None}
_REMEDIES = {
    "picture": "image_column={name!r} if it names the image of each point",
    "slice": "slice_column={name!r} if each value is an image of its own, or where={{{name!r}: {value!r}}} to keep one",
    "class": "label_column={name!r} and labels=... if it is a class",
    "annotator": "where={{{name!r}: {value!r}}} to keep the points of one annotator",
    "confidence": "a file without the points that you do not trust",
    "unit": "where={{{name!r}: {value!r}}}, and `scale`",
    "box": "columns=(top, left, bottom, right), or a table with the centres of the boxes",
    "field": "label_column={name!r} and labels=... if it is a class, or where={{{name!r}: {value!r}}} to keep one value",
}


def check_fields(contents, owners, ignore, slices, options):
    """Reject fields that could tell objects apart; `options` are the parameters that the format has."""
    labels = [""] * len(owners) if contents.labels is None else contents.labels
    owners = owners.tolist()
    for name, values in contents.fields.items():
        if name in ignore or _is_constant(values, owners, labels):
            continue
        meaning = contents.meanings.get(name) or find_meaning(name, values)
        if (meaning == "slice" and slices == "merge") or _is_measured(name, values, meaning):
            continue
        if meaning in _IDENTIFIABLE and len(set(zip(owners, values, strict=True))) == len(owners):
            continue  # it numbers the objects of each image
        raise ValueError(_describe(name, values, meaning, options))


def find_meaning(name, values):
    """Return what a field of this name and these values may tell apart, or None."""
    found = next((_MEANING[word] for word in reversed(split_words(name)) if word in _MEANING), None)
    return found or ("picture" if any(map(_PICTURE.search, values)) else None)


def split_words(name):
    """Return the words in a name such as "ImageNumber" or "user_name", in lower case."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return [*re.findall(r"[a-z]+|[0-9]+", spaced.lower()), "".join(re.findall(r"[a-z]+", name.lower()))]


def _is_constant(values, owners, labels):
    """Return whether a field has one value for each image and label."""
    seen = {}
    groups = zip(owners, labels, strict=True)
    return all(seen.setdefault(group, value) == value for group, value in zip(groups, values, strict=True))


def _is_measured(name, values, meaning):
    """Return whether a field is a measurement, or a remark with too many values for a class."""
    distinct = set(values)
    numbers = _as_numbers(distinct)
    has_fractions = numbers is not None and bool((numbers % 1 != 0).any())
    is_named = (
        not set(split_words(name)).isdisjoint(_MEASURED_WORDS) or _MEASURED.match(name.lower()) is not None
    )
    if meaning is not None:
        return meaning != "confidence" and is_named and has_fractions
    return is_named or has_fractions or len(distinct) > _MOST_VALUES


def _as_numbers(values):
    """Return the numbers that texts hold; None if any of them holds something else."""
    try:
        numbers = np.array([float(value) for value in values])
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None


def _describe(name, values, meaning, options):
    counts = Counter(values)
    shown = ", ".join(f"{value!r:.40}: {count}" for value, count in list(counts.items())[:5])
    more = ", ..." if len(counts) > 5 else ""
    what = {
        None: "may be a class, an annotator or an image",
        "class": "may tell classes apart",
        "confidence": "may be a confidence",
        "box": "may be the size of a box, whose corner the coordinates may be",
    }.get(meaning, f"may tell {meaning}s apart")
    remedies = [_REMEDIES[meaning or "field"].format(name=name, value=values[0])]
    if meaning is None and "image_column" in options:
        remedies.append(f"image_column={name!r} if it names the image of each point")
    return (
        f"{name!r} varies among the points ({shown}{more}) and {what}. Pass {'; '.join(remedies)}; or ignore=[{name!r}] if "
        "all points count."
    )


def keep_where(contents, where):
    """Return the contents with only the points whose fields have the values of `where`."""
    kept = np.ones(len(contents.points), dtype=bool)
    available = dict(contents.fields)
    for name, values in ((contents.label_field, contents.labels), (contents.slice_field, contents.slices)):
        if name is not None:
            available[name] = [_text(value) for value in values]
    for name, wanted in where.items():
        if name not in available:
            known = ", ".join(map(repr, available)) or "none"
            raise ValueError(f"`where` must name fields of the points, {known}; got {name!r}.")
        wanted = [wanted] if isinstance(wanted, str) or not hasattr(wanted, "__iter__") else list(wanted)
        texts = {_text(value) for value in wanted}
        found = np.array([value in texts or _text(value) in texts for value in available[name]], dtype=bool)
        if len(found) and not found.any():
            known = ", ".join(map(repr, list(dict.fromkeys(available[name]))[:10]))
            raise ValueError(f"`where` leaves no point: {name!r} must be one of {known}; got {wanted!r}.")
        kept &= found
    return contents.select(kept)


def _text(value):
    """Return a value as text; whole numbers without a decimal point."""
    try:
        return f"{float(value):.15g}"
    except (TypeError, ValueError):
        return str(value)
