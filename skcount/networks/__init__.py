"""Networks: image tensor -> density tensor. Torch only.

A new network is one new file, one entry in `ARCHITECTURES` and one test file.
"""

from skcount.networks._blocks import ConvBlock, UpConvBlock, rectify, upsample_conv
from skcount.networks._density_network import DensityNetwork
from skcount.networks._fcrn import FCRNA, FCRNB
from skcount.networks._inference import inference_copy
from skcount.networks._memory import bytes_per_pixel
from skcount.networks._padding import pad_to_stride
from skcount.networks._symmetries import Symmetry, symmetries
from skcount.networks._tiles import reach, tile_step, tiles
from skcount.networks._unet import UNet

ARCHITECTURES = {"unet": UNet, "fcrn_a": FCRNA, "fcrn_b": FCRNB}

__all__ = [
    "ARCHITECTURES",
    "FCRNA",
    "FCRNB",
    "ConvBlock",
    "DensityNetwork",
    "Symmetry",
    "UNet",
    "UpConvBlock",
    "bytes_per_pixel",
    "inference_copy",
    "pad_to_stride",
    "reach",
    "rectify",
    "symmetries",
    "tile_step",
    "tiles",
    "upsample_conv",
]
