"""Networks: image tensor -> density tensor. Torch only.

A new network is one new file, one entry in `ARCHITECTURES` and one test file.
"""

from skcount.networks._blocks import inference_copy as inference_copy
from skcount.networks._blocks import rectify, upsample_conv
from skcount.networks._blocks import shared_copy as shared_copy
from skcount.networks._density_network import DensityNetwork
from skcount.networks._density_network import pad_to_stride as pad_to_stride
from skcount.networks._fcrn import FCRNA, FCRNB
from skcount.networks._unet import UNet

ARCHITECTURES = {"unet": UNet, "fcrn_a": FCRNA, "fcrn_b": FCRNB}

__all__ = [
    "ARCHITECTURES",
    "FCRNA",
    "FCRNB",
    "DensityNetwork",
    "UNet",
    "rectify",
    "upsample_conv",
]
