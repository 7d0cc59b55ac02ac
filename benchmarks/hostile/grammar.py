"""Random command lines with legal, absurd and hostile commands, keys and values, none of which trains for long.

A line that would train gets small settings as its last words, which override others. Legal values that could take hours
(a million steps) are used only with --dry-run; values that must be refused (infinitely many steps) also without it.
"""

import random
from collections.abc import Sequence

from hostile.stores import TINY

COMMANDS = (
    "run",
    "sweep",
    "study",
    "table",
    "plot",
    "report",
    "gallery",
    "list",
    "status",
    "clean",
    "export",
    "import",
)
WEIGHTS = (9, 6, 5, 3, 2, 2, 1, 1, 2, 1, 2, 1)
TRAINS = ("run", "sweep", "study")
METHODS = [
    "none",
    "mixup",
    "label-mix",
    "data-mix",
    "mixup-io",
    "regmixup",
    "label-only",
    "manifold",
    "cutmix",
    "saliencymix",
    "resizemix",
    "gridmix",
    "smoothmix",
    "fmix",
    "cutout",
    "random-erasing",
    "transmix",
    "mixpro",
    "smmix",
    "tokenmix",
    "diffusemix",
    "filter-mix",
    "guidedmix",
    "puzzlemix",
    "attentivemix",
    "snapmix",
    "mixture",
    "mixup-cutmix",
]
GROUPS = {
    "method": METHODS,
    "augment": [
        "none",
        "standard",
        "flip",
        "randaugment",
        "autoaugment",
        "trivialaugment",
        "three-augment",
        "augmix",
        "color-jitter",
        "rotation",
    ],
    "dataset": ("digits", "photos", "npz"),
    "model": ("preact_resnet18", "resnet18", "vit", "wrn"),
    "loss": ("ce", "bce", "kl"),
    "train": ("small-data", "mixup", "gem", "openmixup", "saliencymix", "vit"),
}
KEYS = [
    "n",
    "subset",
    "subset_seed",
    "seed",
    "protect",
    "eval",
    "device",
    "precision",
    "results_dir",
    "force",
    "progress",
    "save_model",
    "dataset.name",
    "dataset.source",
    "dataset.root",
    "dataset.path",
    "dataset.mean",
    "dataset.std",
    "dataset.pad",
    "dataset.flip",
    "dataset.holdout",
    "dataset.label_noise",
    "dataset.classes",
    "method.name",
    "method.version",
    "method.alpha",
    "method.beta",
    "method.p",
    "method.per_sample",
    "method.layers",
    "method.size",
    "method.parts",
    "method.methods",
    "method.probabilities",
    "method.parts.cutmix.p",
    "method.spectrum",
    "method.decay",
    "method.max_soft",
    "augment.name",
    "augment.pad",
    "augment.flip",
    "augment.magnitude",
    "augment.size",
    "model.name",
    "model.depth",
    "model.width",
    "model.stem",
    "model.widen",
    "train.protocol",
    "train.steps",
    "train.epochs",
    "train.batch_size",
    "train.lr",
    "train.momentum",
    "train.weight_decay",
    "train.nesterov",
    "train.schedule",
    "train.milestones",
    "train.gamma",
    "train.warmup",
    "train.eval_every",
    "train.checkpoint_every",
    "loss.name",
    "loss.label_smoothing",
    "study",
    "study.name",
    "study.grids",
    "study.rule",
]
# Keys whose legal values can take too long for a campaign.
WORK = ("n", "model", "train", "method.parts", "augment.magnitude", "dataset", "study", "device", "precision", "eval")
# Valid values, so that later checks are reached too.
FITTING = {
    "n": ("5", "20", "50"),
    "subset": ("head", "random", "balanced", "disjoint"),
    "subset_seed": ("0", "1"),
    "seed": ("0", "3", "18446744073709551615"),
    "protect": ("[]", "[1]", "['3','4']", "['0','1','2','3','4','5','6','7','8','9']"),
    "eval": ("test", "holdout"),
    "precision": ("auto", "fp32", "bf16"),
    "progress": ("on", "off", "auto"),
    "save_model": ("true", "false"),
    "force": ("true", "false"),
    "results_dir": ("results", "elsewhere"),
    "dataset.holdout": ("0.2", "30"),
    "dataset.label_noise": ("0.0", "0.5", "1"),
    "dataset.flip": ("true",),
    "dataset.pad": ("0", "3"),
    "dataset.mean": ("null", "[0.5]"),
    "dataset.std": ("null", "[0.5]"),
    "dataset.classes": ("null", "[a,b,c]"),
    "method.alpha": ("0", "0.2", "1", "1e-300", "1e300"),
    "method.beta": ("null", "0", "1"),
    "method.p": ("0", "0.5", "1"),
    "method.per_sample": ("true", "false"),
    "method.layers": ("[input]", "[stage1,stage4]", "[]"),
    "method.methods": ("[cutmix,mixup]", "[none]", "[]"),
    "method.probabilities": ("[0.5,0.5]", "[1]", "null"),
    "augment.pad": ("0", "2", "100"),
    "model.stem": ("plain", "bn"),
    "train.lr": ("0", "0.1", "1e-30", "1e30"),
    "train.momentum": ("0", "0.9", "1"),
    "train.schedule": ("step", "cosine", "constant"),
    "train.milestones": ("null", "[]", "[0.5]"),
    "train.warmup": ("0", "1"),
    "loss.label_smoothing": ("0", "0.1", "1"),
}
# Options of a method are used together with a method that has them.
WITH = {"method.alpha": "mixup", "method.beta": "mixup", "method.p": "cutmix", "method.per_sample": "mixup"}
WITH |= {"method.layers": "manifold", "method.methods": "mixture", "method.probabilities": "mixture"}
LEGAL = (
    "0",
    "1",
    "2",
    "5",
    "20",
    "0.1",
    "0.5",
    "1.0",
    "true",
    "false",
    "null",
    "cpu",
    "auto",
    "fp32",
    "test",
    "holdout",
)
ABSURD = [
    "-1",
    "-0.5",
    "1e300",
    "-1e300",
    "1e-300",
    "1e400",
    "inf",
    "-inf",
    "nan",
    "999999999999999999999",
    "-999999999999999999999",
    "1e21",
    "0x10",
    "1_000",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "2147483648",
    "0.30000000000000004",
    "00",
    "+1",
    "1e",
]
HOSTILE = (
    "",
    " ",
    "''",
    '""',
    "'",
    '"',
    "\\",
    "[]",
    "{}",
    "[",
    "{",
    "]",
    ",",
    ",,",
    ";",
    "; x",
    "=",
    "==",
    "$",
    "${n}",
    "${nothing}",
    "${method.alpha}",
    "${oc.env:HOME}",
    "${oc.env:NOT_SET}",
    "${",
    "glob(*)",
    "glob(*,exclude=none)",
    "choice(1,2)",
    "range(0,3)",
    "range(0,1,0)",
    "interval(0,1)",
    "sort(3,2,1)",
    "shuffle(1,2)",
    "tag(a,1)",
    "extend_list(1)",
    "int(x)",
    "float(1)",
    "str(1)",
    "bool(2)",
    "[1,2,3]",
    "[[1],[2]]",
    "[nan]",
    "[0.5,inf,0.5]",
    "[-1]",
    "{a:1}",
    "{a:{b:{c:1}}}",
    "[" * 60,
    "[" * 60 + "]" * 60,
    "x" * 300,
    "y" * 10_000,
    "é",
    "数据",
    "🙂",
    "\u202e\u200b",
    "a\nb",
    "a\tb",
    "\x1b[31mred",
    "\x07",
    "\x7f",
    "\udcff",
    "%s%n",
    "%",
    "../..",
    "/",
    "/dev/null",
    "/etc/passwd",
    "~/my.npz",
    ".",
    "..",
    "a/b",
    "a b",
    "a,b",
    "file.txt",
    "empty",
    "my.npz",
    "two words.npz",
    "runs.mixbench.zip",
    "file.txt/below",
    "*",
    "?",
    "#x",
    "!",
    "&",
    "|",
    "<x>",
    "-1-",
    "--help",
    "True",
    "None",
    "???",
    "_self_",
    "@x",
    "~n",
    "+n",
)
WRITES_ANYWHERE = ("results_dir", "dataset.root", "out")  # keys with paths, which must stay inside the folder
PLACES = ("results", "elsewhere", "file.txt", "empty", "a/b", "file.txt/below", "", "é", "a b", ".", "x" * 300, "new")
FLAGS = [
    "--help",
    "-h",
    "--dry-run",
    "--cfg=job",
    "--cfg",
    "--cfg=all",
    "--cfg=x",
    "-c",
    "job",
    "--info",
    "--info=all",
    "--info=x",
    "--info=plugins",
    "--resolve",
    "--package",
    "--package=x",
    "-p",
    "--config-dir",
    "--config-dir=my_configs",
    "--config-dir=nowhere",
    "-cd",
    "--multirun",
    "-m",
    "--run",
    "-r",
    "--hydra-help",
    "--version",
    "--yes",
    "--no-such-flag",
    "-x",
    "-",
    "--",
    "--dryrun",
    "--config-dir=file.txt",
    "--=x",
    "-=-",
    "---",
]
WORDS = ("methods", "datasets", "models", "augments", "losses", "studies", "demo", "small-data", "mine", "scalar")
WORDS += ("binary", "none", "alpha-sweep", "nothing", "mixbench", "results", "my.npz", "runs.mixbench.zip", "file.txt")
OPTIONS = ("rows", "columns", "rule", "results_dir", "out", "predictions", "weights", "scale")
# These must be refused at once, so they are also used without --dry-run.
REFUSED = [
    "train.epochs=inf",
    "train.epochs=nan",
    "train.epochs=-1",
    "train.steps=0",
    "train.steps=-3",
    "train.steps=1e21",
    "train.steps=nan",
    "train.steps=999999999999999999999",
    "train.lr=inf",
    "train.lr=nan",
    "train.lr=-1",
    "train.weight_decay=inf",
    "train.momentum=nan",
    "train.batch_size=0",
    "train.batch_size=-1",
    "train.batch_size=1000000000",
    "train.eval_every=0",
    "train.warmup=-1",
    "train.checkpoint_every=0",
    "dataset.holdout=inf",
    "dataset.holdout=nan",
    "dataset.holdout=-1",
    "dataset.mean=[nan]",
    "dataset.std=[0]",
    "dataset.std=[inf]",
    "dataset.label_noise=2",
    "dataset.pad=-1",
    "n=0",
    "n=-5",
    "n=1e9",
    "n=99999999999",
    "seed=-1",
    "model.width=0",
    "model.width=-1",
    "model.depth=-1",
    "loss.label_smoothing=2",
    "loss.label_smoothing=nan",
    "method.p=2",
    "method.p=nan",
]
WIDE = ("seed=range(0,100000)", "n=range(1,1001) seed=range(0,1000)", "method=glob(*) seed=range(0,10000)")


def line(rng: random.Random) -> tuple[str, ...]:
    """Return a random command line without the program's name."""
    command = (
        rng.choices(COMMANDS, WEIGHTS)[0]
        if rng.random() < 0.97
        else rng.choice((*HOSTILE, *FLAGS, "help", "Run", "-sc"))
    )
    if command in TRAINS:
        words = _training(rng, command)
    elif command == "list":
        words = [rng.choice((*WORDS[:6], *WORDS, *HOSTILE)), *_some(rng, FLAGS, 0.3)]
    elif command == "import":
        words = [rng.choice((*WORDS, *HOSTILE)), *_some(rng, [f"results_dir={place}" for place in PLACES], 0.5)]
    elif command == "clean":
        words = [*_some(rng, ("--yes", "results_dir=elsewhere", *FLAGS, *WORDS, *HOSTILE), 0.8)]
    else:
        words = [*_some(rng, WORDS, 0.3), *(_word(rng) for _ in range(rng.choice((0, 0, 1, 2))))]
        words += [word for _ in range(rng.choice((0, 0, 1))) for word in _fitting(rng)]
        words += [f"{rng.choice(OPTIONS)}={_of_option(rng)}" for _ in range(rng.choice((0, 0, 0, 1, 2)))]
        words += _some(rng, FLAGS, 0.15)
        if command == "gallery":  # only one method, because all methods take ten seconds
            words += [f"method={rng.choice(METHODS)}", f"dataset={rng.choice(('digits', 'photos'))}"]
    return tuple(text.replace("\0", "") for text in (command, *map(_kept_inside, words)))


def _training(rng: random.Random, command: str) -> list[str]:
    words = [word for _ in range(rng.choice((0, 1, 2, 3, 4))) for word in _fitting(rng)]
    words += [_word(rng) for _ in range(rng.choice((0, 0, 0, 1, 1, 2)))]
    if command == "study":
        name = rng.choice(("demo", "small-data", "mine", "alpha-sweep", *_some(rng, WORDS, 0.3)))
        words = [name, *words, *_some(rng, ("--config-dir=my_configs",), 0.5)]
    if command == "sweep" and rng.random() < 0.1:
        words += rng.choice(WIDE).split()
    words += _some(rng, FLAGS, 0.15)
    rng.shuffle(words)
    how = rng.random()
    if command == "study" or how < 0.4:
        return [*words, "--dry-run", "--dry-run"]  # twice, because a flag with a value can take the first
    if how < 0.55:
        return [*words, "--cfg", "job"]
    if how < 0.7:
        return [*words, TINY[0], *TINY, "train.steps=2", rng.choice(REFUSED)]
    return [*(word for word in words if not _works_long(word)), TINY[0], *TINY, "train.steps=2"]


def _works_long(word: str) -> bool:
    key = word.partition("=")[0].lstrip("+~")
    sweeps = "=" in word and ("range(" in word or "glob(" in word)
    return sweeps or any(key == work or key.startswith(f"{work}.") for work in WORK)


def _fitting(rng: random.Random) -> list[str]:
    """Return a key with a valid value, which can still conflict with the method or other words."""
    if rng.random() < 0.4:
        group = rng.choice(("method", "augment", "model", "loss", "train"))
        return [f"{group}={rng.choice(GROUPS[group])}"]
    key = rng.choice(list(FITTING))
    return [*([f"method={WITH[key]}"] if key in WITH else []), f"{key}={rng.choice(FITTING[key])}"]


def _word(rng: random.Random) -> str:
    """Return a word, mostly a key with a value."""
    kind = rng.random()
    if kind < 0.2:
        group = rng.choice(list(GROUPS))
        return f"{group}={','.join(rng.choices(GROUPS[group], k=rng.choice((1, 1, 2))))}"
    if kind < 0.85:
        key = rng.choice(KEYS)
        return f"{_spoiled(rng, key)}={_value(rng)}"
    if kind < 0.95:
        return rng.choice(HOSTILE)
    return rng.choice(("+", "++", "~")) + f"{rng.choice(KEYS)}={_value(rng)}"


def _spoiled(rng: random.Random, key: str) -> str:
    if rng.random() < 0.9:
        return key
    place = rng.randrange(len(key) + 1)
    return (
        key[:place] + rng.choice(("", ".", "..", "/", " ", "@", "x", "é", "\n", ":")) + key[place + rng.randrange(2) :]
    )


def _value(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.45:
        return rng.choice(LEGAL)
    if kind < 0.65:
        return rng.choice(ABSURD)
    if kind < 0.93:
        return rng.choice(HOSTILE)
    return ",".join(rng.choice((*LEGAL, *ABSURD, *HOSTILE[:40])) for _ in range(rng.choice((2, 3))))


def _of_option(rng: random.Random) -> str:
    return rng.choice((*KEYS, "final", "median10", "best", "true", "false", "cpu", *HOSTILE, *PLACES))


def _some(rng: random.Random, words: Sequence[str], chance: float) -> list[str]:
    return [rng.choice(words)] if rng.random() < chance else []


def _kept_inside(word: str) -> str:
    """Return the word, with paths outside of the folder replaced."""
    key, equals, value = word.partition("=")
    if (
        equals
        and key.strip("+~ ") in WRITES_ANYWHERE
        and (value.startswith(("/", "~")) or ".." in value or "$" in value)
    ):
        return f"{key}=elsewhere"
    return word
