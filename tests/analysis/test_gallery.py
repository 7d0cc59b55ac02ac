"""The gallery: pictures of what training is shown, with the label weights that it is given. No run, no download."""

import re
import socket
import xml.etree.ElementTree as ElementTree

import matplotlib as mpl
import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from mixbench import data
from mixbench.analysis.gallery import draw as gallery
from mixbench.analysis.gallery.samples import Samples
from mixbench.config.compose import Composer
from mixbench.config.identity import job
from mixbench.config.method_aliases import with_alias
from mixbench.mixing import METHODS, Mixed, method
from mixbench.mixing.runner import METHOD_NAMES

SVG = "{http://www.w3.org/2000/svg}"
SMALL = ("dataset=digits", "n=20", "subset=balanced")
# Methods whose labels follow the pixels, so that the mask's mean is the weight of the image's own label.
BY_AREA = {
    "cutmix": [],
    "saliencymix": [],
    "gridmix": ["method.grid=3"],  # 3 does not divide the side: cells of unequal area
    "resizemix": [],
    "smoothmix": [],
    "fmix": ["method.correct_lambda=true"],
}
OWN_METHOD = """\
# CutMix with boxes of middling size
defaults: [cutmix]
alpha: 4
"""


@pytest.fixture(autouse=True)
def offline_and_coarse(monkeypatch):
    """No test may reach the network; pictures of few dots are drawn in a third of the time."""

    def refuse(*args, **kwargs):
        raise AssertionError("the gallery asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(gallery, "STYLE", gallery.STYLE | {"savefig.dpi": 30})


COMPOSER = Composer()  # composes a method's file once for all samples


def sample(*overrides):
    with COMPOSER as composer:
        one = job(composer.compose(["augment=none", *SMALL, *overrides]))
    return Samples(one, data.split(data.load("digits", "data", None, say=print), one.cfg))


@pytest.mark.parametrize(
    "words",
    [["method=cutmix", "method.p=0.25"], ["method=manifold", "method.p=0.5"], ["method=mixup-cutmix", "method.p=0.5"]],
)
def test_samples_leave_the_job_as_it_is(words):
    with COMPOSER as composer:
        one = job(composer.compose(["augment=none", *SMALL, *words]))
    before = OmegaConf.to_yaml(one.cfg)
    sample = Samples(one, data.split(data.load("digits", "data", None, say=print), one.cfg))
    assert sample.picture(draw=1).weights.sum() == pytest.approx(1)
    assert OmegaConf.to_yaml(one.cfg) == before


def texts(path):
    """What an SVG says, in order."""
    return ["".join(element.itertext()) for element in ElementTree.parse(path).iter(f"{SVG}text")]


def weights(words):
    """The label weights among an SVG's texts: class -> each weight it has somewhere."""
    found: dict[str, set[str]] = {}
    for word in words:
        for name, weight in re.findall(r"(\S+): (\d\.\d\d)", word):
            found.setdefault(name, set()).add(weight)
    return found


def archive(path, shape=(8, 8), labels=(0, 1, 0, 1)):
    images = np.random.default_rng(0).integers(0, 256, (len(labels), *shape), dtype=np.uint8)
    labels = np.array(labels)
    np.savez(path, train_images=images, train_labels=labels, test_images=images, test_labels=labels)


def test_every_method_has_a_row_and_only_the_pictures_are_written(mixbench, tmp_path):
    call = mixbench("gallery", *SMALL)
    assert (call.status, call.err) == (0, "")
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {f"results/gallery/digits/methods.{kind}" for kind in ("png", "svg")}
    assert set(call.out.split()) == written
    words = texts(tmp_path / "results/gallery/digits/methods.svg")
    assert {*METHOD_NAMES} - {"label-mix"} | {"mixup", "(label-mix)", "cutmix or"} <= set(words)
    assert words.count("(label-mix)") == 2  # its row, and what the mixture is of
    assert "mixup-cutmix" not in words  # another name of what has a row
    with Image.open(tmp_path / "results/gallery/digits/methods.png") as image:
        assert min(image.size) > 200
        assert len(image.getcolors(2**20)) > 16


@pytest.mark.parametrize("name", ["label-mix", "smoothmix"])
def test_one_method_at_length(mixbench, tmp_path, name):
    call = mixbench("gallery", *SMALL, f"method={name}", "out=pictures")
    assert (call.status, call.err) == (0, "")
    assert {path.name for path in tmp_path.rglob("*")} == {"pictures", f"{name}.png", f"{name}.svg"}
    words = texts(tmp_path / f"pictures/{name}.svg")
    assert words.count(with_alias(name)) == 1
    # In place of λ a method without one shows nothing; its masks are there all the same.
    assert any(word.startswith("λ = ") for word in words) == (name == "label-mix")
    assert any("λ ~ Beta(1, 1)" in word for word in words) == (name == "label-mix")
    assert any("white: the" in word for word in words)


@pytest.mark.parametrize(
    ("words", "by_lambda", "asks"),
    [
        (["attentivemix"], False, True),
        (["attentivemix", "method.top_k=null"], True, True),
        (["cutmix"], True, False),
        (["cutmix", "method.min_side=0.2", "method.max_side=0.8"], False, False),
        (["guidedmix"], False, False),
        (["guidedmix", "method.saliency=gradient"], False, True),
        (["transmix"], True, True),
    ],
)
def test_rows_are_by_lambda_if_it_changes_the_picture_and_tell_of_a_network_if_it_is_asked(words, by_lambda, asks):
    name, *settings = words
    network = ["model=vit", "model.dim=8", "model.depth=1", "model.heads=2"]
    drawn = sample(f"method={name}", *settings, *network * (name == "transmix"))
    assert (drawn.has_lambda, drawn.asks_network) == (by_lambda, asks)


def test_captions_are_the_weights_that_training_is_given(mixbench, tmp_path):
    assert mixbench("gallery", *SMALL, "method=label-mix,data-mix", "out=pictures").status == 0
    own, other = (str(picture.label) for picture in sample("method=label-mix").originals())
    shown = weights(texts(tmp_path / "pictures/methods.svg"))
    assert shown == {own: {"1.00", "0.75", "0.50", "0.25"}, other: {"1.00", "0.75", "0.50", "0.25"}}


def test_captions_of_a_picture_are_its_weights():
    hard, soft = sample("method=data-mix"), sample("method=none", "loss.label_smoothing=0.1")
    own = hard.originals()[0].label
    assert hard.caption(hard.picture(lam=0.3)) == f"{own}: 1.00"
    assert soft.caption(soft.picture()).splitlines()[0] == f"{own}: 0.91"


@pytest.mark.parametrize("name", BY_AREA)
@pytest.mark.parametrize("per_sample", ["false", "true"])
def test_the_mask_is_that_of_the_weights(name, per_sample):
    drawn = sample(f"method={name}", f"method.per_sample={per_sample}", *BY_AREA[name])
    shares = []
    for pair in (0, 1):
        for draw in range(3):
            picture = drawn.picture(pair, draw)
            assert picture.own.mean() == pytest.approx(picture.weights[picture.label], abs=1e-5)
            assert picture.weights.sum() == pytest.approx(1)
            shares.append(picture.own.mean())
    assert len(set(shares)) > 1


@pytest.mark.parametrize("lam", [0, 0.25, 1])
def test_a_given_lambda_is_what_is_drawn(lam):
    picture = sample("method=label-mix").picture(lam=lam)
    np.testing.assert_allclose(picture.own, lam, atol=1e-6)
    image, partner = sample("method=label-mix").originals()
    np.testing.assert_allclose(picture.image, lam * image.image + (1 - lam) * partner.image, atol=1e-6)
    assert picture.weights[partner.label] == pytest.approx(1 - lam)


@pytest.mark.parametrize("lam", [0, 0.25, 0.5, 0.75, 1])
def test_with_a_given_lambda_a_box_lies_in_the_middle(lam):
    """In a corner, where it would be cut off, less of the partner would be seen than λ says."""
    drawn = sample("method=cutmix")
    assert len({drawn.picture(draw=draw).own.mean() for draw in range(6)}) > 1, "places are drawn"
    for draw in range(3):
        picture = drawn.picture(draw=draw, lam=lam)
        side = 2 * (int(8 * (1 - lam) ** 0.5) // 2)  # of the box, as CutMix rounds it
        assert picture.own.mean() == pytest.approx(1 - side**2 / 64, abs=1e-6)
        assert picture.own == pytest.approx(picture.own[::-1, ::-1], abs=1e-6)


@pytest.fixture
def asking(monkeypatch):
    """Methods that ask a network about the images."""

    @method(needs=("input_gradient",))
    def steepest(images, targets, *, input_gradient):
        own = (input_gradient.magnitudes < input_gradient.magnitudes.amax((1, 2, 3), keepdim=True)).to(images.dtype)
        return Mixed(images * own, targets, own=own)

    @method(needs=("attention",))
    def looked_at(images, targets, *, attention):
        assert attention(images, targets).sum(dim=(1, 2, 3)).allclose(torch.ones(len(images), dtype=images.dtype))
        return Mixed(images, targets, after_forward=lambda outputs: outputs.logits.softmax(dim=1))

    @method(needs=("generated",))
    def generating(images, targets, *, generated):
        return Mixed(generated.variants(torch.full((len(images),), 0.5)), targets)

    for function in (steepest, looked_at, generating):
        monkeypatch.setitem(METHODS, function.__name__.replace("_", "-"), function)


def asked(name, tmp_path):
    """The sample of a method whose YAML file has its name alone."""
    (tmp_path / "method").mkdir(parents=True, exist_ok=True)
    (tmp_path / f"method/{name}.yaml").write_text(f"name: {name}\nversion: 1\n")
    with Composer(str(tmp_path)) as composer:
        one = job(composer.compose(["augment=none", *SMALL, "model.width=2", f"method={name}"]))
    return Samples(one, data.split(data.load("digits", "data", None, say=print), one.cfg))


def test_what_a_method_asks_of_a_network_is_served_by_an_untrained_one(asking, tmp_path):
    picture = asked("steepest", tmp_path).picture()
    assert (picture.own == 0).sum() == 1, "the one pixel of the largest gradient"
    original = asked("steepest", tmp_path).originals()[0]
    np.testing.assert_allclose(picture.image[picture.own == 1], original.image[picture.own == 1])
    late = asked("looked-at", tmp_path)
    assert late.picture().own is None
    expected = late.engine.forward(late._batch()[0]).softmax(dim=1)[0].detach().numpy()
    assert late.picture().weights == pytest.approx(expected)  # the targets after the forward pass


def test_a_mask_that_a_method_does_not_tell_is_not_drawn(asking, mixbench, tmp_path):
    asked("looked-at", tmp_path / "mine")
    words = ["--config-dir", "mine", *SMALL, "model.width=2"]
    call = mixbench("gallery", *words, "method=looked-at", "out=pictures")
    assert (call.status, call.err) == (0, "")
    words = texts(tmp_path / "pictures/looked-at.svg")
    assert any("no mask" in word for word in words)
    assert not any("white" in word for word in words)
    assert "untrained" in " ".join(words)


def test_a_method_of_generated_images_is_drawn_without_a_bank(asking, mixbench, tmp_path):
    asked("generating", tmp_path / "mine")
    call = mixbench("gallery", "--config-dir", "mine", *SMALL, "method=generating", "out=pictures")
    assert (call.status, call.err) == (0, "")
    assert any("negatives" in word for word in texts(tmp_path / "pictures/generating.svg"))


def test_a_method_is_shown_at_work_whatever_its_chance():
    # An image that is left alone shows nothing, and features cannot be looked at.
    erased = sample("method=random-erasing", "method.p=0")
    assert all(erased.picture(draw=draw).own.min() == pytest.approx(0, abs=1e-6) for draw in range(3))
    manifold = sample("method=manifold", "method.layers=[stage2]")
    assert manifold.picture(lam=0.25).own.mean() == pytest.approx(0.25)
    parts = ["method.methods=[random-erasing,manifold]", "method.parts.random-erasing.p=0"]
    assert sample("method=mixture", *parts, "method.probabilities=[1,0]").picture().own.min() < 0.5


def test_rows_tell_what_they_differ_in(mixbench, tmp_path):
    settings = ["method=cutmix", "method.correct_lambda=true,false", "augment=none,flip"]
    assert mixbench("gallery", *SMALL, *settings, "out=pictures").status == 0
    words = " ".join(texts(tmp_path / "pictures/methods-flip-none.svg"))
    assert words.count("correct_lambda=false") == words.count("augment=flip") == words.count("augment=none") == 2
    assert "correct_lambda=true" not in words  # as it is in the method's own file


def test_a_users_own_settings_make_a_row(mixbench, tmp_path):
    (tmp_path / "mine/method").mkdir(parents=True)
    (tmp_path / "mine/method/my-cutmix.yaml").write_text(OWN_METHOD)
    (tmp_path / "mine/method/other-name.yaml").write_text("defaults: [cutmix]\n")
    names = "method=cutmix,my-cutmix,other-name"
    assert mixbench("gallery", "--config-dir", "mine", *SMALL, names, "out=pictures").status == 0
    words = texts(tmp_path / "pictures/methods.svg")
    assert (words.count("cutmix"), words.count("my-cutmix"), words.count("other-name")) == (1, 1, 0)
    assert "alpha=4," in words


@pytest.mark.parametrize(
    ("shape", "labels"),
    [((8, 24, 3), (0,)), ((9, 8), (0, 0, 0))],
    ids=["one image, colour", "one class, greyscale"],
)
def test_any_archive_will_do(mixbench, tmp_path, shape, labels):
    archive(tmp_path / "my.npz", shape, labels)
    call = mixbench("gallery", "dataset=npz", "dataset.path=my.npz", "method=cutmix,cutout")
    assert (call.status, call.err) == (0, "")
    assert f"class {labels[0]}: 1.00" in texts(tmp_path / "results/gallery/my/methods.svg")


def test_names_of_classes_are_not_taken_for_formulas(mixbench, tmp_path):
    archive(tmp_path / "my.npz")
    (tmp_path / "mine/dataset").mkdir(parents=True)
    odd = "defaults: [npz]\npath: my.npz\nclasses: ['$x_{$ & <b>', a_long_name_without_end]\n"
    (tmp_path / "mine/dataset/odd.yaml").write_text(odd)
    call = mixbench("gallery", "--config-dir", "mine", "dataset=odd", "method=none,cutout")
    assert (call.status, call.err) == (0, "")
    words = texts(tmp_path / "results/gallery/my/methods.svg")
    assert "$x_{$ & <b>: 1.00" in words
    assert "a_long…t_end: 1.00" in words  # shortened: it would run into its neighbour


def test_the_same_command_draws_the_same(mixbench, tmp_path):
    for folder in ("first", "second"):
        assert mixbench("gallery", *SMALL, "method=cutout", f"out={folder}").status == 0
    assert (tmp_path / "first/cutout.svg").read_bytes() == (tmp_path / "second/cutout.svg").read_bytes()
    assert mpl.rcParams["svg.fonttype"] == "path"  # its style is left behind nowhere


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["method=cutmx"], ["'cutmx'", "did you mean cutmix?"]),
        (["method=cutmix", "method.alhpa=1"], ["'method.alhpa'", "did you mean method.alpha?"]),
        (["method=cutmix", "method.alpha=-1"], ["method.alpha=-1"]),
        (["method=gridmix", "method.grid=1"], ["method.grid=1: must be at least 2"]),
        (["method=cutmix", "dataset=digits,photos"], ["dataset=digits,photos", "same images"]),
        (["method=cutmix", "seed=0,1"], ["seed=0,1", "same images"]),
        (["method=cutmix", "n=5000"], ["n=5000", "64"]),
        (["method=cutmix", "protect=temple"], ["protect=[0]"]),
        (["augment=standart"], ["'standart'", "did you mean standard?"]),
        (["method=cutmix", "dataset=npz", "dataset.path=none.npz"], ["none.npz", "no such file"]),
        (["dataset=cifar10", "method=cutmix", "method.p=2"], ["method.p=2"]),  # told before anything is downloaded
        (["method=cutmix", "outt=here"], ["'outt'"]),
        (["method=cutmix", "out=taken"], ["out=taken", "cannot be written"]),
        (["--cfg", "job"], ["--cfg"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_mistake_is_told_in_one_line_and_nothing_is_written(mixbench, tmp_path, contents, words, told):
    (tmp_path / "taken").write_text("a file, no folder")
    before = contents(tmp_path)
    call = mixbench("gallery", *words)
    assert (call.status, call.out) == (2, "")
    assert call.err.count("\n") == 1
    assert all(part in call.err for part in told), call.err
    assert contents(tmp_path) == before
