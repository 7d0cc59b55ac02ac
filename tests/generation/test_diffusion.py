"""The backend diffusers, with a tiny InstructPix2Pix pipeline of random weights in a folder. No network."""

import json
import sys

import numpy as np
import pytest
import torch

from mixbench.core.errors import UserError
from mixbench.generation.diffusion import PROMPTS, Diffusion, Settings

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 8, 10, 3), dtype=np.uint8)
INDICES = np.array([4, 9, 0])
# diffusers and transformers call what NumPy and they themselves are about to remove.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


def test_without_the_library_the_remedy_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(UserError, match=r"pip install 'mixbench\[diffusers\]'"):
        Diffusion(Settings("anything"))


def test_the_published_prompts_are_nine_that_differ():
    assert len(set(PROMPTS)) == 9


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """A folder with a pipeline: words of two letters, two blocks, images of 32x32."""
    diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed: pip install 'mixbench[diffusers]'")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    folder = tmp_path_factory.mktemp("pipeline")
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    vocabulary = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(vocabulary)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = transformers.CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=12)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        unet = diffusers.UNet2DConditionModel(
            sample_size=16,
            in_channels=8,
            out_channels=4,
            layers_per_block=1,
            block_out_channels=(8, 16),
            norm_num_groups=4,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=16,
            attention_head_dim=4,
        )
        vae = diffusers.AutoencoderKL(
            block_out_channels=(8, 16),
            norm_num_groups=4,
            down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
            up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
            latent_channels=4,
        )
        text = transformers.CLIPTextModel(
            transformers.CLIPTextConfig(
                vocab_size=len(vocabulary),
                hidden_size=16,
                intermediate_size=24,
                num_hidden_layers=1,
                num_attention_heads=2,
                max_position_embeddings=12,
                bos_token_id=len(vocabulary) - 2,
                eos_token_id=len(vocabulary) - 1,
                pad_token_id=len(vocabulary) - 1,
            )
        )
    made = diffusers.StableDiffusionInstructPix2PixPipeline(
        vae=vae,
        text_encoder=text,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=diffusers.PNDMScheduler(skip_prk_steps=True),
        safety_checker=None,
        feature_extractor=None,
        image_encoder=None,
        requires_safety_checker=False,
    )
    made.save_pretrained(folder / "tiny")
    return str(folder / "tiny")


@pytest.fixture(scope="module")
def backend(pipeline):
    return Diffusion(Settings(pipeline, ("snowy", "rainbow"), steps=2, side=32))


def test_variants_have_the_size_of_their_images_and_follow_prompt_position_and_seed(backend):
    made = backend.make(IMAGES, INDICES, 0)
    assert made.shape == (3, 2, 8, 10, 3)
    assert made.dtype == np.uint8
    assert np.array_equal(backend.make(IMAGES[1:], INDICES[1:], 0), made[1:])  # whatever else is made with them
    assert not np.array_equal(made[0, 0], made[0, 1])
    assert not np.array_equal(backend.make(IMAGES[:1], INDICES[1:2], 0), made[:1])
    assert not np.array_equal(backend.make(IMAGES[:1], INDICES[:1], 1), made[:1])
    grey = backend.make(IMAGES[:1, :, :, :1], INDICES[:1], 0)
    assert grey.shape == (1, 2, 8, 10, 1)


def test_the_recipe_names_the_weights_wherever_they_are(backend, pipeline, tmp_path):
    recipe = backend.recipe()
    backend.pipe.save_pretrained(tmp_path / "copy")
    assert Diffusion(Settings(str(tmp_path / "copy"))).recipe()["weights_sha256"] == recipe["weights_sha256"]
    other = Diffusion(Settings(pipeline))
    with torch.no_grad():
        next(other.pipe.unet.parameters()).add_(1e-3)
    assert other.recipe()["weights_sha256"] != recipe["weights_sha256"]
    assert json.loads(json.dumps(recipe)) == recipe
    assert (recipe["steps"], recipe["side"], recipe["device"]) == (2, 32, "cpu")


def test_a_folder_that_holds_no_pipeline_is_refused_in_one_line(pipeline, tmp_path):
    with pytest.raises(UserError, match="pipeline=") as told:
        Diffusion(Settings(str(tmp_path)))
    assert "\n" not in str(told.value)


def test_the_command_makes_a_bank_for_diffusemix(pipeline, mixbench, tiny, tmp_path):
    words = ["dataset=digits", "n=4", "subset=head", "fractals=2", "bank=bank", "steps=1", "side=32", "device=cpu"]
    call = mixbench("generate", *words, "backend=diffusers", f"pipeline={pipeline}", "prompts=[snowy]", "progress=off")
    assert call.status == 0, call.err
    made = json.loads((tmp_path / "bank/bank.json").read_text())["recipe"]
    assert (made["backend"], made["variants"], made["images"]) == ("diffusers", ["snowy"], 4)
    run = ["n=4", "subset=head", "train.steps=2", "train.batch_size=4", "progress=off"]
    assert mixbench("run", *tiny, *run, "method=diffusemix", "method.bank=bank").status == 0
    refused = mixbench("run", *tiny, *run, "method=filter-mix", "method.bank=bank")
    assert refused.status == 2
    assert "backend=diffusers" in refused.err
