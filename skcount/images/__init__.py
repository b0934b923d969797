"""Images: one lazy sequence that scikit-learn can split, with the side data of each image."""

from skcount.images._check import as_pixels, check_image, image_kind, is_table
from skcount.images._image_set import ImageSet, check_images
from skcount.images._image_set import like_training as like_training
from skcount.images._normalize import normalize_images as normalize_images
from skcount.images._pixels import (
    Familiarity,
    OutOfDistributionWarning,
    PixelStatistics,
    bands,
    channel_statistics,
    image_statistics,
)
from skcount.images._scaling import load_images as load_images
from skcount.images._scaling import scale_density as scale_density
from skcount.images._scaling import scale_images as scale_images
from skcount.images._scaling import scale_points as scale_points
from skcount.images._scaling import unscale_density as unscale_density
from skcount.images._scaling import unscale_points as unscale_points
from skcount.images._stores import ImageStore, MemoryStore

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
