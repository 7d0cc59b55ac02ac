"""What `mixbench --help` and `mixbench COMMAND --help` say; the keys of run and sweep are key_help's."""

HELP = """\
mixbench trains networks on n labelled images with and without mixing augmentation (mixup, CutMix and others), and
keeps every run. From the runs it says which method helps, by how much, and how sure that is.

Train:
  mixbench run KEY=VALUE …          train one run, or find it finished
  mixbench sweep KEY=A,B …          train one run for each combination of values
  mixbench study NAME …             train all runs of a study, then write its table, plots and report

Look:
  mixbench list WHAT                what there is: methods, datasets, models, augments, losses, trainings or studies
  mixbench gallery [KEY=VALUE …]    draw what the methods do to images
  mixbench status [NAME] …          show which runs are finished, running, interrupted, failed or missing
  mixbench table NAME | KEY=A,B …   write tables of stored runs
  mixbench plot NAME | KEY=A,B …    draw plots of stored runs

Decide:
  mixbench report NAME | KEY=A,B …  say what to use and why, in one page (HTML and Markdown)

Own files:
  mixbench new KIND NAME            write a template of your own method, study, training and so on, which works at once
  mixbench check METHOD | --all     test whether a method does what every method must do

Keep:
  mixbench export [NAME] …          pack finished runs into one file
  mixbench import FILE …            take the runs of such files into your results
  mixbench clean                    drop failed runs and left-over checkpoints, after showing them

Examples:
  mixbench study demo
  mixbench run method=mixup dataset=digits n=50 model.width=16 train.steps=150
  mixbench report demo

mixbench COMMAND --help tells more about a command. mixbench --version prints the version.
Shell completion: eval "$(mixbench -sc install=bash)" or, in zsh after compinit, eval "$(mixbench -sc install=zsh)".
"""

RUN_HELP = """\
Train one run, or find it finished.

  mixbench run KEY=VALUE …

Examples:
  mixbench run method=mixup dataset=digits n=50 model.width=16 train.steps=150
  mixbench run method=data-mix method.alpha=2 method.beta=1 n=250 seed=3 device=cpu
  mixbench run dataset=npz dataset.path=my.npz n=200 subset=balanced model.width=16 train.steps=2000
  mixbench run method=cutmix --dry-run           # what would be trained, and how long that takes here
  mixbench run method=cutmix --cfg job           # show the configuration, train nothing
  mixbench run --help method=cutmix              # the keys of one method; model=wrn: of one network

A finished run is skipped and an interrupted one resumes; force=true trains it again.
{flags}"""

SWEEP_HELP = """\
Train one run for each combination of values (the same as mixbench run --multirun). Finished runs are skipped.

  mixbench sweep KEY=A,B …

Examples:
  mixbench sweep method=none,mixup,cutmix n=20,50 seed=0,1,2 dataset=digits model.width=16 train.steps=150
  mixbench sweep method=mixup method.alpha=0.2,0.4,1,2 n=100,250,500,1000 seed=0,1,2
  mixbench sweep method=none,cutmix 'seed=range(0,5)' --dry-run

All combinations are checked before the first one trains. A key that only some of the methods have, such as
method.alpha, applies to those alone.
{flags}"""

RUN_FLAGS = """\
A path may hold blanks and = as it stands; a comma parts several paths, unless there is a file of the whole name.

Flags:
  --dry-run            show what would be trained and what it would cost
  --multirun, -m       take several values of a key, as mixbench sweep does
  --yes                go on where these are more than 10,000 runs
  --config-dir FOLDER  a folder with files of your own (mixbench new); MIXBENCH_CONFIG_DIR remembers it
  --cfg job            show the first run's configuration as YAML; --package GROUP: a part of it; --resolve: with
                       references such as ${dataset.pad} replaced by their values
  --help [GROUP=NAME]  this page, or the keys of GROUP=NAME alone

Exit status: 0 all finished, 1 a run failed, 2 a mistake in what was asked, 130 interrupted.
"""

NEW_HELP = """\
Write a template with comments into a folder of your own. It works as it stands; change it to what you need.

  mixbench new KIND NAME [--config-dir FOLDER]

Kinds:
{kinds}

Examples:
  mixbench new method my-method                  # my_configs/method/my-method.py and my-method.yaml
  mixbench new study my-study
  mixbench new train my-training --config-dir mine

The folder is FOLDER, else the one that MIXBENCH_CONFIG_DIR names, else my_configs. It is made where it is not there.
No file is replaced. NAME: letters, digits, _ and -, a letter first.

Exit status: 0 written, 1 the disk cannot be written, 2 a mistake in what was asked: nothing is written.
"""

CHECK_HELP = """\
Call methods on small batches and say in words what they do wrong: wrong shapes, targets that do not sum to 1, images
changed in place, randomness of their own, and so on.

  mixbench check METHOD … | --all

Examples:
  mixbench check cutmix
  mixbench check my-method --config-dir my_configs    # my_configs/method/my-method.yaml
  mixbench check --all

A line that begins with "warning" is no mistake, such as a declared draw that the method never uses.
Exit status: 0 nothing wrong, 1 something is, 2 a mistake in what was asked.
"""

STUDY_HELP = """\
Train all runs of a study that are not finished. Then write its tables, plots and report to results/NAME, and print the
table and what the report recommends.

  mixbench study NAME [KEY=VALUE …]

Examples:
  mixbench study demo
  mixbench study demo scale=smoke                        # one cell in seconds, to see that it works
  mixbench study small-data --dry-run                    # what would be trained and what it would cost
  mixbench study small-data scale=cpu                    # a smaller network and fewer steps
  mixbench study small-data n=100,250,500 seed=0,1,2     # other values in place of the study's
  mixbench study small-data method=none,mixup,cutmix     # other methods at its settings; tables mark them
  mixbench study cifar10-cpu model.width=32              # another key, for all runs: kept and tabled by itself
  mixbench study my-study --config-dir my_configs        # my_configs/study/my-study.yaml
  mixbench study demo --cfg job                          # show the first run's configuration, train nothing

Studies (mixbench list studies says what they are):
{studies}

Flags are those of mixbench run.
Exit status: 0 all finished, 1 a run failed, 2 a mistake in what was asked, 130 interrupted.
"""

TABLE_HELP = """\
{what} of stored runs: of a study, or of all runs whose keys have the given values. Nothing is trained.

  mixbench {command} NAME | KEY=A,B …

Examples:
  mixbench {command} demo
  mixbench {command} small-data rule=final
  mixbench {command} dataset=cifar10 method=mixup,cutmix n=100,500
  mixbench {command} method=mixup rows=method.alpha columns=n

Options:
  rows=KEY, columns=KEY   any two keys of a run (n and method)
  rule=final|median10|best   which accuracy: after the last step, median of the last 10 evaluations, best evaluation
  results_dir=FOLDER      where the runs are (results)
  out=FOLDER              where to write (results/NAME for a study, else results/selection,KEY=VALUE…)
  dataset.classes=[A,B]   names of the classes, in the order of the labels, for the report

For a study, your own runs in results/runs are shown. If there are none, the records that came with mixbench are
read (results/published/NAME/runs.zip, or the package's own). Runs of other
methods at the study's settings are shown too, and marked; method=A,B chooses.
Exit status: 0 done, 1 no run is stored or the disk cannot be written, 2 a mistake in what was asked.
"""

REPORT_HELP = """\
Write one page on stored runs: what to use for each n and why. It shows accuracies, gains over none with intervals,
equivalent data, loss curves, classes, calibration, cost, and where each run comes from. Nothing is trained.

  mixbench report NAME | KEY=A,B …

Examples:
  mixbench report demo
  mixbench report small-data n=100,500 rule=final
  mixbench report dataset=my subset=balanced

Writes report.html, one file that needs no other and no network, report.md with the same, and the plots.
Options and exit status are those of mixbench table.
"""

GALLERY_HELP = """\
Draw what the methods do to images of a data set: PNG and SVG, one row for each method with the label weights under each
picture, or one method at length with its masks. Nothing is trained.

  mixbench gallery [KEY=VALUE …]

Examples:
  mixbench gallery                                   # all methods, on two photographs that come with scikit-learn
  mixbench gallery method=fmix                       # one at length
  mixbench gallery method=cutmix,resizemix dataset=cifar10
  mixbench gallery dataset=npz dataset.path=my.npz method=mixup seed=3
  mixbench gallery method=none augment=three-augment # what an augmentation does

Options:
  any key of a run: mixbench run --help; unless given: dataset=photos augment=none n=32 subset=random
  out=FOLDER              where to write (results/gallery/<dataset>)
"""

LIST_HELP = """\
List what there is, a line each; your own files and those of installed packages are among it.

  mixbench list methods|datasets|models|augments|losses|trainings|studies [--config-dir FOLDER]

Example:
  mixbench list methods

mixbench run --help method=NAME shows the keys of one.
"""

STATUS_HELP = """\
Show which runs are finished, running, interrupted, failed or (of a study) missing. Of a study it also says how long
the rest will take, at the speed of stored runs that are like them.

  mixbench status [NAME | KEY=A,B …]

Examples:
  mixbench status
  mixbench status small-data n=100,500
  mixbench status dataset=digits method=mixup,none       # stored runs whose keys have these values
  mixbench status results_dir=elsewhere

Of a run that an older version began and did not finish only dataset, n, method and seed are known.
"""

CLEAN_HELP = """\
Drop failed runs, interrupted runs with their checkpoints, and files that a crash left: in finished runs, beside tables,
plots and reports, and in the current folder. Finished runs stay, and so does what another process trains or writes now.
Where a run's folder is a link, only the link is dropped. It shows what it would drop and asks; --yes does not ask.

  mixbench clean [--yes] [results_dir=FOLDER]

Examples:
  mixbench clean
  mixbench clean --yes results_dir=elsewhere

Exit status: 0 done, 1 something could not be dropped, 2 a mistake in what was asked.
"""

EXPORT_HELP = """\
Pack finished runs into one zip archive: those of a study, those whose keys have the given values, or all. The runs stay
as they are. `mixbench import` takes them into another results folder.

  mixbench export [NAME | KEY=A,B …]

Examples:
  mixbench export small-data                             # small-data.mixbench.zip
  mixbench export small-data n=100,250 predictions=false
  mixbench export dataset=cifar10                        # runs,dataset=cifar10.mixbench.zip
  mixbench export dataset=cifar10 method=mixup,cutmix out=mixing.zip
  mixbench export                                        # all finished runs: runs.mixbench.zip

Options:
  out=FILE                the archive; one that is there is replaced. Unless given, its name follows from the selection,
                          in the current folder
  predictions=false       without predictions.npz, most of the bytes; tables and plots need none, and correct.json
                          then says which evaluation images each run recognises
  weights=true            with weights.pt, of runs with save_model
  results_dir=FOLDER      where the runs are (results)

Of a study it takes your own runs in results/runs; where there are none, the records that came with mixbench.
Exit status: 0 done, 1 no run is stored or the disk cannot be written, 2 a mistake in what was asked.
"""

IMPORT_HELP = """\
Put the runs of archives that `mixbench export` made into results/runs, after checking each. A finished run that is
there is never replaced: equal results are skipped, different results are reported. An unfinished run is replaced.
A run that is too large for the disk, or that unpacks to an absurd size, is reported and left out.

  mixbench import FILE … [results_dir=FOLDER]

Examples:
  mixbench import small-data.mixbench.zip
  mixbench import from-gpu-1.zip from-gpu-2.zip
  mixbench import small-data.mixbench.zip results_dir=elsewhere

Options:
  results_dir=FOLDER      where the runs go, to FOLDER/runs (results)

Exit status: 0 all runs are there, 1 some could not be imported (each is reported), 2 a mistake in what was asked.
"""
