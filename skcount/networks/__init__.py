"""Networks: image tensor -> density tensor. Torch only.

A new network is one new file, one entry in `ARCHITECTURES` and one test file.
"""

from skcount.networks._blocks import rectify
from skcount.networks._density_network import DensityNetwork
from skcount.networks._fcrn import FCRNA, FCRNB
from skcount.networks._inference import inference_copy
from skcount.networks._memory import bytes_per_pixel
from skcount.networks._symmetries import symmetries
from skcount.networks._tiles import reach, tiles
from skcount.networks._unet import UNet
from skcount.networks._upsampling import upsample_conv

ARCHITECTURES = {"unet": UNet, "fcrn_a": FCRNA, "fcrn_b": FCRNB}

__all__ = [
    "ARCHITECTURES",
    "FCRNA",
    "FCRNB",
    "DensityNetwork",
    "UNet",
    "bytes_per_pixel",
    "inference_copy",
    "reach",
    "rectify",
    "symmetries",
    "tiles",
    "upsample_conv",
]
