"""JSON files: what the readers of COCO and LabelMe share."""

import json
import reprlib

import numpy as np

__all__ = ["is_coco", "is_labelme", "read_json", "read_pair", "read_size", "shown"]


def read_json(path):
    """Read a JSON file.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    dict
        Its contents.

    Raises
    ------
    ValueError
        If it is no JSON object.
    """
    try:
        content = json.loads(path.read_bytes().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no valid JSON: {error}. Export it anew.") from error
    if not isinstance(content, dict):
        raise ValueError(
            f"{path} holds a JSON {type(content).__name__}; expected the object of COCO or LabelMe."
        )
    return content


def is_coco(content):
    """Tell whether JSON is of COCO.

    Parameters
    ----------
    content : dict
        What the file holds.

    Returns
    -------
    bool
        Whether it has lists of images and annotations.
    """
    return isinstance(content.get("images"), list) and isinstance(content.get("annotations"), list)


def is_labelme(content):
    """Tell whether JSON is of LabelMe.

    Parameters
    ----------
    content : dict
        What the file holds.

    Returns
    -------
    bool
        Whether it has a list of shapes.
    """
    return isinstance(content.get("shapes"), list)


def read_pair(values, path, what):
    """Read two numbers.

    Parameters
    ----------
    values : object
        What the file has for them.
    path : pathlib.Path
        The file, for the message.
    what : str
        What they are, for the message.

    Returns
    -------
    ndarray of shape (2,), float64
        The numbers.

    Raises
    ------
    ValueError
        If they are no two numbers.
    """
    # A bound, for JSON has integers that are too large for a float; NaN is not below it.
    if (
        isinstance(values, list)
        and len(values) == 2
        and all(type(value) in {int, float} and abs(value) < 1e15 for value in values)
    ):
        return np.array(values, dtype=np.float64)
    raise ValueError(f"{path}: {what} is {shown(values)}; expected two numbers.")


def read_size(height, width):
    """Read the size of an image, which a file may tell.

    Parameters
    ----------
    height, width : object
        What the file has for them.

    Returns
    -------
    (height, width) or None
        The size in pixels; None unless both are whole and above 0.

    Examples
    --------
    >>> read_size(480, 640)
    (480, 640)
    >>> read_size(None, 640)
    """
    told = all(type(length) is int and 0 < length < 2**31 for length in (height, width))
    return (height, width) if told else None


def shown(value):
    """Show a value in a message, however large it is and however deep.

    Parameters
    ----------
    value : object
        What the file has.

    Returns
    -------
    str
        Its beginning.

    Examples
    --------
    >>> shown([1, [2, [3, [4, [5, [6, [7, [8]]]]]]]])
    '[1, [2, [3, [4, [5, [6, [...]]]]]]]'
    """
    return f"{reprlib.repr(value):.80}"
