"""Vision transformer for small images (Dosovitskiy et al. 2021; sizes of DeiT, Touvron et al. 2021)."""

from collections.abc import Callable
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EPSILON = 1e-6  # of the layer norms, as in timm and DeiT
DEVIATION = 0.02  # standard deviation of initial weights, as in timm and DeiT, whose cut at ±2 never occurs


class SelfAttention(nn.Module):
    """Multi-head self-attention, float [B, T, dim] to float [B, T, dim].

    dim: width of a token.
    heads: number of heads; it divides dim.
    """

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Return the tokens after attention, of the same shape.

        x: tokens, float [B, T, dim].
        """
        query, key, value = self._split(x)
        out = F.scaled_dot_product_attention(query, key, value)
        return self.proj(out.transpose(1, 2).flatten(2))

    def weights(self, x: Tensor, queries: slice) -> Tensor:
        """Return how much some tokens attend to each token, float [B, heads, Q, T]; each row sums to 1.

        x: tokens, float [B, T, dim].
        queries: the Q tokens that attend.
        """
        query, key, _ = self._split(x)
        return (query[:, :, queries] @ key.mT / query.shape[-1] ** 0.5).softmax(dim=-1)

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return query, key and value, float [B, heads, T, dim / heads] each."""
        batch, tokens, dim = x.shape
        query, key, value = self.qkv(x).view(batch, tokens, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        return query, key, value


class Block(nn.Module):
    """Pre-norm transformer block: x + attention(norm(x)), then x + MLP(norm(x)).

    dim: width of a token.
    heads: number of heads.
    mlp_ratio: hidden width of the MLP, as a multiple of dim.
    """

    def __init__(self, dim: int, heads: int, mlp_ratio: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=EPSILON)
        self.attention = SelfAttention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=EPSILON)
        self.mlp = nn.Sequential(nn.Linear(dim, mlp_ratio * dim), nn.GELU(), nn.Linear(mlp_ratio * dim, dim))

    def forward(
        self, x: Tensor, seen: Callable[[Tensor], Tensor] | None = None, scales: Tensor | None = None
    ) -> Tensor:
        """Return the tokens after the block, float [B, T, dim].

        x: tokens, float [B, T, dim].
        seen: gets the input of the attention and returns what replaces it. None: it is not replaced.
        scales: float [B, 2], factors of what the attention and the MLP add. None: 1.
        """
        normed = self.norm1(x)
        added = self.attention(normed if seen is None else seen(normed))
        x = x + (added if scales is None else added * scales[:, 0, None, None])
        added = self.mlp(self.norm2(x))
        return x + (added if scales is None else added * scales[:, 1, None, None])


class VisionTransformer(nn.Module):
    """Vision transformer: images float [B, channels, H, W], sides multiples of the patch, to logits [B, classes].

    It has a class token, learned position embeddings and pre-norm blocks. The classifier reads the class token after a
    last layer norm. The blocks form four stages of equal length, as far as depth allows: stage i ends after block
    ⌈i·depth / 4⌉. Weights of linear layers are initialised as in timm and DeiT: normal with standard deviation 0.02,
    and biases are 0. The position embedding has the same deviation and the class token 1e-6, as in timm.

    channels: channels of the images.
    classes: number of classes.
    size: height and width of the images, in pixels.
    patch: side of a patch, in pixels; it divides both sides of the image.
    dim: width of a token; a multiple of heads.
    depth: number of blocks.
    heads: number of attention heads.
    mlp_ratio: hidden width of the MLPs, as a multiple of dim.
    attention: which tokens `attention` reads: "class", the class token; "patches", the mean over all patches, as in
        SMMix's published code.
    drop_path: probability that an image skips a branch (attention or MLP) of the last block in training. It grows
        evenly from 0 in the first block, as in timm; branches that are not skipped are divided by the probability.
    Raises ValueError if patch or heads do not divide what they must divide, or drop_path is not in [0, 1).
    Source: Dosovitskiy et al. 2021, section 3.1; Touvron et al. 2021, table 1.
    """

    LAYERS: ClassVar[tuple[str, ...]] = ("stage1", "stage2", "stage3", "stage4")
    ATTENTION: ClassVar[str] = "last attention"  # the layer whose features `attention` reads
    NO_DECAY: ClassVar[tuple[str, ...]] = ("class_token", "position")  # embeddings, besides norms and biases
    SIZED: ClassVar[bool] = True  # the weights depend on the size of the images

    def __init__(
        self,
        channels: int,
        classes: int,
        size: tuple[int, int],
        *,
        patch: int = 4,
        dim: int = 192,
        depth: int = 12,
        heads: int = 3,
        mlp_ratio: int = 4,
        attention: Literal["class", "patches"] = "class",
        drop_path: float = 0.0,
    ):
        super().__init__()
        self.queries = slice(0, 1) if attention == "class" else slice(1, None)
        self.check(size, patch=patch, dim=dim, heads=heads, drop_path=drop_path)
        self.skips = [drop_path * k / max(depth - 1, 1) for k in range(depth)]  # probability for each block
        self.paths = 2 * depth if drop_path > 0 else 0  # uniform numbers that a training step draws for each image
        self.grid = (size[0] // patch, size[1] // patch)
        self.patches = nn.Conv2d(channels, dim, patch, patch)
        self.class_token = nn.Parameter(torch.empty(1, 1, dim))
        self.position = nn.Parameter(torch.empty(1, 1 + self.grid[0] * self.grid[1], dim))
        self.blocks = nn.ModuleList(Block(dim, heads, mlp_ratio) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=EPSILON)
        self.classifier = nn.Linear(dim, classes)
        stages = len(self.LAYERS)
        self.ends = [-(-(i + 1) * depth // stages) for i in range(stages)]  # blocks up to the end of each stage
        nn.init.normal_(self.position, std=DEVIATION)
        nn.init.normal_(self.class_token, std=1e-6)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=DEVIATION)
                nn.init.zeros_(module.bias)

    @staticmethod
    def check(
        size: tuple[int, int] | None = None, *, patch: int, dim: int, heads: int, drop_path: float = 0.0, **_: Any
    ) -> None:
        """Raise ValueError if the options do not fit each other or the images; the message begins with the option.

        size: height and width of the images, in pixels. None: not known yet.
        patch, dim, heads, drop_path: options of the network. All others are ignored.
        """
        if dim % heads:
            raise ValueError(f"heads={heads}: must divide model.dim={dim}")
        if not 0 <= drop_path < 1:
            raise ValueError(f"drop_path={drop_path}: must be from 0 to below 1")
        if size is not None and any(side % patch for side in size):
            height, width = size
            fits = [str(side) for side in range(2, min(size) + 1) if height % side == 0 and width % side == 0]
            remedy = f"choose {', '.join(fits)}" if fits else "choose 1"
            raise ValueError(f"patch={patch}: must divide both sides of the {height}x{width} images; {remedy}")

    def forward(
        self, x: Tensor, at: Callable[[str, Tensor], Tensor] | None = None, uniforms: Tensor | None = None
    ) -> Tensor:
        """Return logits float [B, classes].

        x: images float [B, channels, H, W].
        at: called with the name and the tokens float [B, 1 + N, dim] of each layer in LAYERS and of ATTENTION. The
            network continues with the tokens that it returns. None: tokens are not changed.
        uniforms: float [B, 2·depth] in (0, 1); an image skips a branch if its number is below the branch's probability.
            None: no branch is skipped, as in evaluations.
        """
        scales = None if uniforms is None else self._scales(uniforms)
        out = self.patches(x).flatten(2).mT
        out = torch.cat([self.class_token.expand(len(out), -1, -1), out], dim=1) + self.position
        for number, block in enumerate(self.blocks, start=1):
            of_block = None if scales is None else scales[:, number - 1]
            if at is None:
                out = block(out, None, of_block)
                continue
            last = number == len(self.blocks)
            out = block(out, (lambda normed: at(self.ATTENTION, normed)) if last else None, of_block)
            for layer, end in zip(self.LAYERS, self.ends, strict=True):
                if end == number:
                    out = at(layer, out)
        return self.classifier(self.norm(out)[:, 0])

    def _scales(self, uniforms: Tensor) -> Tensor:
        """Return the factors of each branch, float [B, depth, 2]: 0 if the image skips it, else 1 / probability."""
        skips = torch.tensor(self.skips, dtype=uniforms.dtype, device=uniforms.device)[:, None]
        kept = uniforms.view(len(uniforms), -1, 2) >= skips
        return (kept / (1 - skips)).to(self.position.dtype)

    @torch.no_grad()
    def attention(self, features: Tensor, targets: Tensor) -> Tensor:
        """Return the attention to the patches in the last block, averaged over the heads and the attending tokens.

        It is computed from the features only when it is asked for; the forward pass uses torch's fused attention.

        features: [B, 1 + N, dim] of the layer ATTENTION.
        targets: not used, since this attention does not depend on labels.
        Returns float [B, 1, h, w] of the h·w = N patches, 0 or more. Each map sums to 1.
        """
        last = self.blocks[-1]
        assert isinstance(last, Block)
        features = features.to(self.position.dtype)
        of_patches = last.attention.weights(features, self.queries).mean(dim=(1, 2))[:, 1:]
        of_patches = of_patches / of_patches.sum(dim=1, keepdim=True)
        return of_patches.view(-1, 1, *self.grid)
