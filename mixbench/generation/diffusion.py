"""An image-editing diffusion model of the user, run by the library diffusers: the backend `diffusers`."""

import hashlib
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixbench.core.errors import UserError
from mixbench.core.random_words import Purpose, words

# The list of prompts in the README of khawar-islam/diffuseMix, as it is there.
PROMPTS = (
    "Autumn",
    "snowy",
    "watercolor art",
    "sunset",
    "rainbow",
    "aurora",
    "mosaic",
    "ukiyo-e",
    "a sketch with crayon",
)


@dataclass(frozen=True)
class Settings:
    """How the model is used.

    pipeline: folder or hub name of a pipeline that diffusers can load as StableDiffusionInstructPix2PixPipeline.
    prompts: one variant for each prompt.
    steps: denoising steps. 100 is the library's default, which the published code uses.
    guidance: weight of the prompt. 4 in the published code.
    image_guidance: weight of the image. 1.5 is the library's default, which the published code uses.
    side: the image is enlarged to this many pixels a side, since the models are made for it. 512 in the published code.
    device: name of a torch device.
    """

    pipeline: str
    prompts: Sequence[str] = PROMPTS
    steps: int = 100
    guidance: float = 4.0
    image_guidance: float = 1.5
    side: int = 512
    device: str = "cpu"


class Diffusion:
    """The backend `diffusers`: one variant for each prompt.

    The noise of a variant follows from the seed, the image's position in the training list and the number of the
    prompt, so that an interrupted bank goes on with the same images.
    Raises UserError if diffusers is not installed or the pipeline cannot be loaded.
    Source: augment/handler.py of khawar-islam/diffuseMix for the pipeline, its scheduler and its settings.
    """

    name = "diffusers"
    per_file = 4  # images in one file of the bank: an interruption costs at most these

    def __init__(self, settings: Settings):
        if not settings.prompts or len(set(settings.prompts)) < len(settings.prompts):
            raise UserError(f"prompts={list(settings.prompts)}: must name at least one prompt, and each only once")
        self.settings, self.variants = settings, tuple(settings.prompts)
        self.library, self.pipe = _loaded(settings)

    def recipe(self) -> dict[str, Any]:
        """Return what the variants depend on beside the images and the seed."""
        settings = self.settings
        used = {key: getattr(settings, key) for key in ("steps", "guidance", "image_guidance", "side")}
        return {
            "pipeline": settings.pipeline,
            "weights_sha256": weights_checksum(self.pipe),
            **used,
            "device": settings.device.partition(":")[0],
            "diffusers": self.library.__version__,
        }

    def make(self, images: np.ndarray, indices: np.ndarray, seed: int) -> np.ndarray:
        """uint8 [B, V, H, W, C]: the variants of images.

        images: uint8 [B, H, W, C].
        indices: int64 [B], positions of the images in the training list.
        seed: seed of the noise.
        """
        return np.stack([self._variants(image, int(index), seed) for image, index in zip(images, indices, strict=True)])

    def _variants(self, image: np.ndarray, index: int, seed: int) -> np.ndarray:
        from PIL import Image

        height, width, channels = image.shape
        mode = "L" if channels == 1 else "RGB"
        side = (self.settings.side, self.settings.side)
        large = Image.fromarray(image[..., 0] if channels == 1 else image).convert("RGB").resize(side)
        seeds = words(seed, Purpose.GENERATED, index, 1, len(self.variants))[0]
        made = []
        for prompt, word in zip(self.variants, seeds, strict=True):
            edited = self._edited(large, prompt, int(word >> np.uint64(1)))
            small = edited.convert(mode).resize((width, height), Image.Resampling.BICUBIC)
            made.append(np.asarray(small, dtype=np.uint8).reshape(image.shape))
        return np.stack(made)

    def _edited(self, image: Any, prompt: str, seed: int) -> Any:
        import torch

        settings = self.settings
        return self.pipe(
            prompt,
            image=image,
            num_inference_steps=settings.steps,
            guidance_scale=settings.guidance,
            image_guidance_scale=settings.image_guidance,
            generator=torch.Generator("cpu").manual_seed(seed),
        ).images[0]


def weights_checksum(pipe: Any) -> str:
    """Return the SHA-256 of all weights of a pipeline, wherever they were loaded from.

    pipe: a pipeline of diffusers.
    """
    import torch

    digest = hashlib.sha256()
    for name, component in sorted(pipe.components.items()):
        if isinstance(component, torch.nn.Module):
            for key, value in sorted(component.state_dict().items()):
                plain = value.detach().cpu().contiguous()
                digest.update(f"{name}.{key} {plain.dtype} {tuple(plain.shape)}".encode())
                digest.update(plain.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _loaded(settings: Settings) -> tuple[Any, Any]:
    """Return the library and the pipeline, on its device and without a progress bar of its own."""
    import torch

    try:  # by name: the checker of types must not need libraries that are seldom installed
        diffusers = importlib.import_module("diffusers")
        importlib.import_module("transformers")  # without it diffusers has no such pipeline
    except ImportError as error:
        raise UserError(
            f"backend=diffusers needs {error.name}, which is not installed; install it with pip install "
            "'mixbench[diffusers]'"
        ) from error
    try:
        pipe = diffusers.StableDiffusionInstructPix2PixPipeline.from_pretrained(settings.pipeline, safety_checker=None)
    except Exception as error:  # a missing file, no network, another kind of pipeline: the library raises many kinds
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"pipeline={settings.pipeline}: cannot be loaded as an InstructPix2Pix pipeline of diffusers ({reason})"
        ) from error
    pipe.scheduler = diffusers.EulerAncestralDiscreteScheduler.from_config(pipe.scheduler.config)
    pipe.set_progress_bar_config(disable=True)
    # On a GPU in half precision, as in the published code.
    dtype = torch.float16 if settings.device.startswith("cuda") else torch.float32
    return diffusers, pipe.to(settings.device, dtype)
