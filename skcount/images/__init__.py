"""Images: a lazy sequence that scikit-learn can split, with the side data of each image."""

from skcount.images._checked import Images, as_pixels, check_finite, check_images, scale_pixels
from skcount.images._image_set import ArraySource, ImageSet, ImageSource, check_image, image_kind

__all__ = [
    "ArraySource",
    "ImageSet",
    "ImageSource",
    "Images",
    "as_pixels",
    "check_finite",
    "check_image",
    "check_images",
    "image_kind",
    "scale_pixels",
]
