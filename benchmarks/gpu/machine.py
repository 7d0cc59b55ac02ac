"""python -m benchmarks.gpu.machine DEVICE prints this machine as JSON; exit status 2 if there is no such device."""

import json
import os
import platform
import sys

import torch
import torchvision

from benchmarks.source import code_sha256
from mixbench.core.errors import UserError
from mixbench.training.device import choose_device, choose_precision, device_name


def machine(requested: str) -> dict:
    """Return device, cores, versions and checksum of the code. requested: auto, cpu, cuda or cuda:NUMBER."""
    device = choose_device(requested)
    return {
        "device": device_name(device),
        "device_type": device.type,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "default_precision": str(choose_precision("auto", device)).removeprefix("torch."),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "cudnn": torch.backends.cudnn.version() if device.type == "cuda" else None,
        "python": platform.python_version(),
        "code_sha256": code_sha256(),
    }


if __name__ == "__main__":
    try:
        print(json.dumps(machine(sys.argv[1])))
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
