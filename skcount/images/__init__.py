"""Images: one lazy sequence that scikit-learn can split, with the side data of each image."""

from skcount.images._check import as_pixels, check_image, image_kind, is_table
from skcount.images._image_set import ImageSet, ImageStore, MemoryStore, check_images
from skcount.images._pixels import (
    Familiarity,
    OutOfDistributionWarning,
    PixelStatistics,
    bands,
    channel_statistics,
    image_statistics,
)

__all__ = [
    "Familiarity",
    "ImageSet",
    "ImageStore",
    "MemoryStore",
    "OutOfDistributionWarning",
    "PixelStatistics",
    "as_pixels",
    "bands",
    "channel_statistics",
    "check_image",
    "check_images",
    "image_kind",
    "image_statistics",
    "is_table",
]
