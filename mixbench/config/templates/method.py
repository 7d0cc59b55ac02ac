"""A mixing method of your own: a function of a batch. The YAML file beside this one names it and sets its options."""

import torch

from mixbench.mixing import Mixed, method


# draws: the random decisions that the function gets. mixbench draws them from the seed and the step, so that a killed
# run resumes exactly and all methods are compared on the same batches. Draw nothing yourself. The draws are: partner,
# lam, applied, chosen, centre, place, size, coin, attempts, noise and layer (docs/extending.md says what each is).
@method(draws=("partner", "place"))
def my_method(images, targets, *, partner, place, height: float = 0.5):
    """Paste a stripe of the partner over each image.

    images: float [B, C, H, W], normalised.
    targets: float [B, K], the weights of each image's labels.
    partner: int64 [B]; image i is mixed with image partner[i].
    place: float64 [B, 2] in (0, 1), from which the stripe's place follows.
    height: of the stripe, as a share of the image's height. Everything behind the star that is no draw is an option.
    Returns Mixed: images, targets, and the share of each pixel that is the image's own.
    Raises ValueError where height is out of range: it is reported in one line before anything trains.
    """
    if not 0 < height < 1:
        raise ValueError(f"height={height}: must be above 0 and below 1")
    rows = torch.arange(images.shape[2], device=images.device)
    stripe = max(1, round(height * len(rows)))  # pixels
    top = (place[:, :1] * (len(rows) - stripe + 1)).long()  # [B, 1]
    inside = (rows >= top) & (rows < top + stripe)  # [B, H]
    # An image that is its own partner, such as a protected one, comes out as it went in.
    own = (~inside).to(images.dtype)[:, None, :, None].expand(-1, 1, -1, images.shape[3])
    mixed = torch.where(own.bool(), images, images[partner])
    share = own.mean(dim=(1, 2, 3)).to(targets.dtype)[:, None]  # [B, 1], the image's own share of the area
    return Mixed(mixed, torch.lerp(targets[partner], targets, share), own=own)
