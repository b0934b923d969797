"""The names in a file of ours; docs/hdf5.md describes the file for other programs.

Version 2, in short:

====================================  ==========================================================
``/images/HxW`` or ``/images/HxWxC``  the images of one size, (n, H, W[, C]) in their own type, one
                                      chunk an image; as many of these as there are sizes
``/image_shapes``                     (n_images, 2 or 3) int64: the shape of each image, which names
                                      its dataset
``/image_rows``                       (n_images,) int64: the row of each image in its dataset
``/image_checksums``                  (n_images,) uint64: `checksum` of each image
``/points/coordinates``               (n_points_in_all, 2) float64: (row, col) in pixels
``/points/lengths``                   (n_images,) int64: how many of them are each image's
``/groups``                           (n_images,) integers or UTF-8, if there are groups
``/roi``, ``/perspective``            (H, W): the map of all images; or groups with ``HxW`` as for images,
                                      each map in the row of its image
``/roi_checksums``, ...               (n_images,) uint64, if there is a map for each image
``/description``                      (1,) UTF-8
attributes of ``/``                   ``format``, ``version``, ``skcount_version``, ``complete``
====================================  ==========================================================

Images are written and read as raw chunks, around HDF5's own filters, and checked by our checksums. Every other
dataset carries HDF5's (fletcher32), and the file's own structures do too (the file format of HDF5 1.10): a flipped
bit is an error, never a wrong pixel. Version 1 had no such checksums, but fletcher32 on the images; no groups and
no maps; and its description in an attribute.

>>> dataset_name("images", (8, 10, 3)), checksums_name("images"), checksums_name("roi")
('images/8x10x3', 'image_checksums', 'roi_checksums')
"""

__all__ = ["FORMAT", "VERSION", "checksums_name", "dataset_name"]

FORMAT = "skcount images with points"
VERSION = 2


def dataset_name(name, shape):
    """Return the name of the dataset of images of a shape.

    Parameters
    ----------
    name : {"images", "roi", "perspective"}
        What the images are.
    shape : sequence of int
        Their shape.

    Returns
    -------
    str
        The name.

    Examples
    --------
    >>> dataset_name("roi", (8, 10))
    'roi/8x10'
    """
    return f"{name}/{'x'.join(str(int(length)) for length in shape)}"


def checksums_name(name):
    """Return the name of the table of checksums of images.

    Parameters
    ----------
    name : {"images", "roi", "perspective"}
        What the images are.

    Returns
    -------
    str
        The name.

    Examples
    --------
    >>> checksums_name("perspective")
    'perspective_checksums'
    """
    return f"{name.removesuffix('s')}_checksums"
