"""The texts of `mixbench --help` and `mixbench COMMAND --help`. The keys of run and sweep come from key_help."""

HELP = """\
mixbench trains networks on n labelled images with and without mixing augmentation (mixup, CutMix and others) and
stores every run. From the runs it tells you which method helps, by how much, and how certain that is.

Train:
  mixbench run KEY=VALUE …          train one run
  mixbench sweep KEY=A,B …          train one run for each combination of values
  mixbench study NAME …             train all runs of a study, then write its table, plots and report
  mixbench generate KEY=VALUE …     make variants of the training images, for methods that need them

Look:
  mixbench audit PATH | KEY=VALUE … look for problems of your own data: duplicates, broken files, too few test images
  mixbench list WHAT                list methods, datasets, models, augments, losses, trainings or studies
  mixbench gallery [KEY=VALUE …]    draw what the methods do to images
  mixbench status [NAME] …          show which runs are finished, running, interrupted, failed or missing
  mixbench table NAME | KEY=A,B …   write tables of stored runs
  mixbench plot NAME | KEY=A,B …    draw plots of stored runs

Decide:
  mixbench decide NAME | KEY=A,B …  train in rounds until it is known which method to use, then stop
  mixbench report NAME | PATH | KEY=A,B …  write one page on which method to use and why (HTML and Markdown)
  mixbench tune KEY=LOW..HIGH …     tune methods with equally many trials, and compare the winners on new subsets

Your own files:
  mixbench new KIND NAME            write a working template of your own method, study, training and so on
  mixbench check METHOD | --all     test whether a method follows the rules for methods

Store:
  mixbench export [NAME] …          pack finished runs into one file
  mixbench import FILE …            copy the runs from such files into your results
  mixbench clean                    delete failed runs and left-over checkpoints, after asking

Examples:
  mixbench study demo
  mixbench run method=mixup dataset=digits n=50 model.width=16 train.steps=150
  mixbench report demo

mixbench COMMAND --help explains a command. mixbench --version prints the version.
Shell completion: eval "$(mixbench -sc install=bash)" or, in zsh after compinit, eval "$(mixbench -sc install=zsh)".
"""

RUN_HELP = """\
Train one run. A run that is already finished is not trained again.

  mixbench run KEY=VALUE …

Examples:
  mixbench run method=mixup dataset=digits n=50 model.width=16 train.steps=150
  mixbench run method=data-mix method.alpha=2 method.beta=1 n=250 seed=3 device=cpu
  mixbench run dataset=npz dataset.path=my.npz n=200 subset=balanced model.width=16 train.steps=2000
  mixbench run method=cutmix --dry-run           # show what would be trained and how long it would take here
  mixbench run method=cutmix --cfg job           # show the configuration, train nothing
  mixbench run --help method=cutmix              # show the keys of one method; model=wrn: of one network

A finished run is skipped. An interrupted run resumes from its checkpoint. force=true trains a run again.
{flags}"""

SWEEP_HELP = """\
Train one run for each combination of values (the same as mixbench run --multirun). Finished runs are skipped.

  mixbench sweep KEY=A,B …

Examples:
  mixbench sweep method=none,mixup,cutmix n=20,50 seed=0,1,2 dataset=digits model.width=16 train.steps=150
  mixbench sweep method=mixup method.alpha=0.2,0.4,1,2 n=100,250,500,1000 seed=0,1,2
  mixbench sweep method=none,cutmix 'seed=range(0,5)' --dry-run

All combinations are checked before the first one is trained. A key that only some of the methods have, such as
method.alpha, applies only to these methods.
{flags}"""

RUN_FLAGS = """\
A path can contain spaces and =. Commas separate several paths, unless there is a file with the whole name.

Flags:
  --dry-run            show what would be trained and how long it would take
  --multirun, -m       allow several values of a key, as mixbench sweep does
  --yes                continue if there are more than 10,000 runs
  --config-dir FOLDER  a folder with your own files (see mixbench new); the default is $MIXBENCH_CONFIG_DIR
  --cfg job            show the first run's configuration as YAML; with --package GROUP only a part of it; with
                       --resolve references such as ${dataset.pad} are replaced by their values
  --help [GROUP=NAME]  show this page, or only the keys of GROUP=NAME

Exit status: 0 all runs finished, 1 a run failed, 2 a mistake in the command, 130 interrupted.
"""

TUNE_HELP = """\
Tune methods fairly: every method, and training without mixing, gets the same number of trials of the keys that it has.
A trial trains on most of the n images and is validated on the rest. The best settings of each method are then trained
on all n images of new subsets, and compared with the tuned baseline by the same statistics as in every report.
Evaluation images choose nothing. Needs Optuna: pip install 'mixbench[tune]'.

  mixbench tune KEY=LOW..HIGH KEY=A,B … KEY=VALUE …

Examples:
  mixbench tune method=mixup n=500 'method.alpha=0.05..8' train.weight_decay=1e-5..1e-2 trials=20
  mixbench tune method=mixup,cutmix dataset=digits n=50 subset=balanced model.width=4 train.steps=100 \\
      'train.lr=0.01..0.5' method.p=0.5,1 trials=10
  mixbench tune method=mixup n=500 'method.alpha=0.05..8' --dry-run   # number of runs, and time

Keys:
  method=A,B              methods to tune; none, the baseline, is always added
  KEY=LOW..HIGH           a range: logarithmic if both ends are positive and HIGH is at least 10 times LOW, otherwise
                          linear; whole numbers for keys that take no others
  KEY=A,B,C               choices
  KEY=VALUE               fixed in all runs, as for mixbench run. A key that a method does not have is left out for it
  Ranges and choices can be given for keys of method, augment, model, train and loss.

Options:
  trials=20               trials of each method. The first has its default settings. More trials go on from those that
                          are stored
  confirm=5               number of new subsets on which the winners are compared; 0: none
  validation=SHARE        share or number of the n images that a trial is validated on (default: dataset.holdout, 0.2)
  subset=random           as for mixbench run, but the default is random, because the winners need new subsets
  seed=0, subset_seed=0   seeds of the trials; the new subsets have the seeds after these
  eval=test               images on which the winners are compared: test, val, stratified or holdout
  results_dir=FOLDER      tables and the report are in FOLDER/tune (default: results)

Flags:
  --dry-run               show the number of runs and how long they would take
  --yes                   continue if there are more than 10,000 runs
  --config-dir FOLDER     a folder with your own files (see mixbench new); the default is $MIXBENCH_CONFIG_DIR

The same command makes the same trials: finished ones are skipped, and an interrupted command goes on.
Exit status: 0 done, 1 a run failed, 2 a mistake in the command, 130 interrupted.
"""

GENERATE_HELP = """\
Make a bank: a folder with variants of training images and with fractals, for methods that mix an image with a variant
of itself. A run's id has the bank's checksum. An interrupted bank goes on if the same command is given again.

  mixbench generate KEY=VALUE …

Examples:
  mixbench generate dataset=digits                         # 6 filters, all training images: data/banks/digits-filters
  mixbench generate dataset=cifar10 n=500 filters=[pencil,mosaic] bank=cifar10-500
  mixbench generate dataset=cifar10 n=500 backend=diffusers pipeline=models/instruct-pix2pix bank=cifar10-diffused
  mixbench run method=filter-mix method.bank=data/banks/digits-filters dataset=digits n=50

Options:
  backend=filters|diffusers  filters (the default): classical image filters, which need no model and no network
                          (pip install 'mixbench[generate]'); diffusers: an image-editing diffusion model that you have
                          (pip install 'mixbench[diffusers]')
  bank=FOLDER             folder of the bank (default: banks/<dataset>-<backend> in dataset.root)
  dataset=NAME            the data set, with its keys, such as dataset.path
  n=N                     only the images of a run with this n, and its subset, subset_seed and eval; without n, all
                          training images
  fractals=64             number of fractals
  seed=0                  seed of the fractals, and of the diffusion model's noise
  filters=[A,B]           filters: smooth, detail, watercolour, pencil, mosaic, autumn (default: all)
  pipeline=FOLDER         diffusers: the model, an InstructPix2Pix pipeline; its folder, or its name on the hub
  prompts=[A,B]           diffusers: prompts (default: the nine of DiffuseMix)
  steps=100, guidance=4, image_guidance=1.5, side=512
                          diffusers: denoising steps, weights of prompt and image, pixels a side for the model
  device=auto, progress=auto   as for mixbench run

Exit status: 0 the bank is complete, 1 the disk cannot be written, 2 a mistake in the command, 130 interrupted.
"""

NEW_HELP = """\
Write a template with comments into a folder of your own. It works without changes; change it to what you need.

  mixbench new KIND NAME [--config-dir FOLDER]

Kinds:
{kinds}

Examples:
  mixbench new method my-method                  # my_configs/method/my-method.py and my-method.yaml
  mixbench new study my-study
  mixbench new train my-training --config-dir mine

The folder is FOLDER, otherwise the folder that MIXBENCH_CONFIG_DIR names, otherwise my_configs. It is created if it
does not exist. No file is replaced. `config` is another name of the kind `train`. NAME: letters, digits, _ and -, and
the first character is a letter.

Exit status: 0 written, 1 the disk cannot be written, 2 a mistake in the command; then nothing is written.
"""

CHECK_HELP = """\
Test methods on small batches and report mistakes: wrong shapes, targets that do not sum to 1, images changed in place,
random numbers of their own, and so on.

  mixbench check METHOD … | --all

Examples:
  mixbench check cutmix
  mixbench check my-method --config-dir my_configs    # my_configs/method/my-method.yaml
  mixbench check --all

Lines that begin with "warning" are not mistakes, for example a declared draw that the method never uses.
Exit status: 0 no mistakes found, 1 mistakes found, 2 a mistake in the command.
"""

STUDY_HELP = """\
Train all runs of a study that are not finished. Then write its tables, plots and report to results/NAME, and print the
table and the recommendations. With the path of your own data it is a study that fits them: three methods, up to four
training sizes, and three subsets of each size.

  mixbench study NAME | PATH [KEY=VALUE …]

Examples:
  mixbench study demo
  mixbench study photos/                                 # your pictures: a folder for each class; or labels.csv, my.npz
  mixbench study photos/ n=50,100 method=none,mixup,fmix seed=0,1,2,3,4
  mixbench study demo scale=smoke                        # one cell in seconds, to see that it works
  mixbench study small-data --dry-run                    # show what would be trained and how long it would take
  mixbench study small-data scale=cpu                    # a smaller network and fewer steps
  mixbench study small-data n=100,250,500 seed=0,1,2     # other values instead of the study's
  mixbench study small-data method=none,mixup,cutmix     # other methods with its settings; tables mark them
  mixbench study cifar10-cpu model.width=32              # another value for all runs; tables are separate
  mixbench study my-study --config-dir my_configs        # my_configs/study/my-study.yaml
  mixbench study demo --cfg job                          # show the first run's configuration, train nothing

Studies (mixbench list studies explains them):
{studies}

The flags are those of mixbench run.
Exit status: 0 all runs finished, 1 a run failed, 2 a mistake in the command, 130 interrupted.
"""

DECIDE_HELP = """\
Train methods in rounds, and stop as soon as it is known which one to use. Each round has new training images and a new
seed, the same for all methods. Methods that cannot be the answer leave the race. It ends with a method to use, with
"do not bother", or when the budget is spent; then it says what is known and what more would cost.

  mixbench decide NAME | PATH | KEY=A,B … [margin={margin}] [budget={rounds}rounds]

Examples:
  mixbench decide demo n=20,100
  mixbench decide photos/                            # your pictures: a folder for each class; or labels.csv, my.npz
  mixbench decide photos/ n=200 method=none,mixup,cutmix,fmix budget=2h
  mixbench decide cifar10-cpu n=500 margin=1 budget=60rounds
  mixbench decide demo n=20 --dry-run                # show what would be trained and how long it would take

Options:
  margin=POINTS        accuracy that you can do without, in percentage points (default: {margin}). The answer is at
                       most this far below the best method; "do not bother" means that no method is better than none
                       by more than this. Half the margin can take four times as many rounds
  budget=2h|90min|40runs|10rounds
                       time of this command (a round that is expected to end later does not begin), or runs
                       or rounds of each setting with those of earlier commands (default:
                       {rounds}rounds, at most 60rounds)
  rule=RULE, results_dir=FOLDER, out=FOLDER   as in mixbench report
  seed=N, subset_seed=N   seeds of the first round (default: 0); each round adds 1
  All other words are those of mixbench study NAME or mixbench sweep. The method none must be among them.

Finished runs of a round are used, so the same command goes on where it stopped. Methods that were raced at a setting
before stay in its race. Reports on these runs show intervals that hold after every round.

The flags are those of mixbench run.
Exit status: 0 the race has ended, 1 a run failed, 2 a mistake in the command, 130 interrupted.
"""

TABLE_HELP = """\
{what} of stored runs: of a study, or of all runs whose keys have the given values. Nothing is trained.

  mixbench {command} NAME | PATH | KEY=A,B …

Examples:
  mixbench {command} demo
  mixbench {command} small-data rule=final
  mixbench {command} dataset=cifar10 method=mixup,cutmix n=100,500
  mixbench {command} method=mixup rows=method.alpha columns=n

Options:
  rows=KEY, columns=KEY   any two keys of a run (default: n and method)
  rule=final|median10|best   which accuracy: after the last step, median of the last 10 evaluations, best evaluation
  results_dir=FOLDER      folder of the runs (default: results)
  out=FOLDER              folder to write to (default: results/NAME for a study, else results/selection,KEY=VALUE…)
  dataset.classes=[A,B]   names of the classes for the report, in the order of the labels

For a study, your own runs in results/runs are shown. If there are none, published records are shown: those in
results/published/NAME/runs.zip, otherwise those that came with mixbench. Runs of other methods with the study's
settings are shown too, and marked; method=A,B selects methods.
Exit status: 0 done, 1 no run is stored or the disk cannot be written, 2 a mistake in the command.
"""

REPORT_HELP = """\
Write one page on stored runs: which method to use for each n, and why. It begins with a verdict for each n, and shows
accuracies, gains over no mixing with intervals, equivalent data, loss curves, classes, calibration, cost and the origin
of each run. Nothing is trained.

  mixbench report NAME | PATH | KEY=A,B …

Examples:
  mixbench report demo
  mixbench report small-data n=100,500 rule=final
  mixbench report photos/                            # runs on your own pictures
  mixbench report labels.csv dataset.label_column=diagnosis   # as its runs were given it

It writes report.html (one file that needs no other file and no network), report.md with the same content, and the
plots. Options and exit status are those of mixbench table.
"""

AUDIT_HELP = """\
Look for what changes the meaning of results on your own data: duplicates, also between training and test pictures,
contradicting labels, broken files, missing and uneven classes, too few test pictures. For each, the command says what
it means and what to do. Nothing is trained, and no picture is changed.

  mixbench audit PATH [KEY=VALUE …]
  mixbench audit dataset=NAME [KEY=VALUE …]

Examples:
  mixbench audit photos                              # a folder with a folder for each class, or train and test folders
  mixbench audit labels.csv dataset.label_column=diagnosis
  mixbench audit my.npz eval=stratified
  mixbench audit dataset=folder dataset.path=photos dataset.size=32

PATH is a folder (dataset=folder), a table .csv or .tsv (dataset=csv) or an archive .npz (dataset=npz).

Options:
  dataset.KEY=VALUE       keys of the data set, such as dataset.size=64 and dataset.fit=crop; mixbench run --help
                          dataset=folder shows them
  eval=test|val|stratified|holdout   images that your runs are evaluated on (default: test; val if there are none of
                                     test; stratified if there are none of both)
  results_dir=FOLDER      the findings are stored in FOLDER/audits, and reports on runs with these data show them
                          (default: results)

Commands that train on your own data show its problems in at most 5 lines.
Exit status: 0 done, also if there are problems; 1 the disk cannot be written; 2 a mistake in the command or the data.
"""

GALLERY_HELP = """\
Draw what the methods do to images of a data set, as PNG and SVG: one row for each method with the label weights below
each picture, or one method in detail with its masks. Nothing is trained.

  mixbench gallery [KEY=VALUE …]

Examples:
  mixbench gallery                                   # all methods, on two photographs that come with scikit-learn
  mixbench gallery method=fmix                       # one method in detail
  mixbench gallery method=cutmix,resizemix dataset=cifar10
  mixbench gallery dataset=npz dataset.path=my.npz method=mixup seed=3
  mixbench gallery method=none augment=three-augment # what an augmentation does

Options:
  any key of a run (see mixbench run --help); the defaults are dataset=photos augment=none n=32 subset=random
  out=FOLDER              folder to write to (default: results/gallery/<dataset>)
"""

LIST_HELP = """\
List the options of a group with one line for each, including your own files and those of installed packages.

  mixbench list methods|datasets|models|augments|losses|trainings|studies [--config-dir FOLDER]

Example:
  mixbench list methods

mixbench run --help method=NAME shows the keys of one method.
"""

STATUS_HELP = """\
Show which runs are finished, running, interrupted, failed or (for a study) missing. For a study it also shows how long
the remaining runs will take, estimated from similar stored runs.

  mixbench status [NAME | KEY=A,B …]

Examples:
  mixbench status
  mixbench status small-data n=100,500
  mixbench status dataset=digits method=mixup,none       # stored runs whose keys have these values
  mixbench status results_dir=elsewhere

For unfinished runs of older versions only dataset, n, method and seed are known.
"""

CLEAN_HELP = """\
Delete failed runs, interrupted runs with their checkpoints, and files that a crash left in finished runs, beside
tables, plots and reports, and in the current folder. Finished runs are kept, and so are runs and files that another
process is using. If a run's folder is a link, only the link is deleted. The command shows what it will delete and asks
before it does so; with --yes it does not ask.

  mixbench clean [--yes] [results_dir=FOLDER]

Examples:
  mixbench clean
  mixbench clean --yes results_dir=elsewhere

Exit status: 0 done, 1 something could not be deleted, 2 a mistake in the command.
"""

EXPORT_HELP = """\
Pack finished runs into one zip archive: those of a study, those whose keys have the given values, or all. The runs are
not changed. `mixbench import` copies them into another results folder.

  mixbench export [NAME | KEY=A,B …]

Examples:
  mixbench export small-data                             # small-data.mixbench.zip
  mixbench export small-data n=100,250 predictions=false
  mixbench export dataset=cifar10                        # runs,dataset=cifar10.mixbench.zip
  mixbench export dataset=cifar10 method=mixup,cutmix out=mixing.zip
  mixbench export                                        # all finished runs: runs.mixbench.zip

Options:
  out=FILE                the archive, which is replaced if it exists (default: a name that follows from the selection,
                          in the current folder)
  predictions=false       leave out predictions.npz, which is most of the size; tables and plots do not need it, and
                          correct.json then shows which evaluation images each run classifies correctly
  weights=true            include weights.pt of runs with save_model=true
  results_dir=FOLDER      folder of the runs (default: results)

For a study, your own runs in results/runs are packed; if there are none, its published records.
Exit status: 0 done, 1 no run is stored or the disk cannot be written, 2 a mistake in the command.
"""

IMPORT_HELP = """\
Copy the runs of archives from `mixbench export` into results/runs, after checking each run. Finished runs in your
results are never replaced: a run with the same results is skipped, and a run with different results is reported.
Unfinished runs are replaced. Runs that are too large, for the disk or for a run, are reported and left out.

  mixbench import FILE … [results_dir=FOLDER]

Examples:
  mixbench import small-data.mixbench.zip
  mixbench import from-gpu-1.zip from-gpu-2.zip
  mixbench import small-data.mixbench.zip results_dir=elsewhere

Options:
  results_dir=FOLDER      the runs are copied into FOLDER/runs (default: results)

Exit status: 0 all runs are stored, 1 some could not be imported (each is reported), 2 a mistake in the command.
"""
