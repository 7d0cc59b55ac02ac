"""What `mixbench --help` and `mixbench COMMAND --help` say; of run and sweep Hydra tells (configs/run.yaml)."""

HELP = """\
mixbench: with n labelled images, which mixing augmentation helps, by how much, and how sure are we?

  mixbench run KEY=VALUE …        train one run, or find it done
  mixbench sweep KEY=A,B …        one run for each combination of values (the same as run --multirun)
  mixbench study NAME …           all runs of a study, then its table, plots and report
  mixbench table NAME | KEY=A,B … tables of stored runs
  mixbench plot NAME | KEY=A,B …  plots of stored runs
  mixbench report NAME | KEY=A,B … what to use, and why: one page (HTML and Markdown) with the tables and plots
  mixbench gallery [KEY=VALUE …]  pictures of what the methods do
  mixbench check METHOD | --all   whether a method keeps the contract that every method keeps
  mixbench list WHAT              methods, datasets, models, augments, losses or studies
  mixbench status [NAME] …        which runs are finished, running, interrupted, failed or missing
  mixbench clean                  drop failed runs and left-over checkpoints, after showing them
  mixbench export [NAME] …        finished runs in one file, to hand them on
  mixbench import FILE …          put the runs of such files beside one's own

Examples:
  mixbench study demo
  mixbench run method=mixup n=500
  mixbench run dataset=npz dataset.path=my.npz n=200 subset=balanced model.width=16 train.steps=2000
  mixbench sweep method=label-mix method.alpha=0.2,0.4,1,2 n=100,250,500,1000 seed=0,1,2
  mixbench table dataset=cifar10 method=label-mix rows=method.alpha columns=n

mixbench COMMAND --help tells more.
Shell completion: eval "$(mixbench -sc install=bash)" or, in zsh after compinit, eval "$(mixbench -sc install=zsh)".
"""

CHECK_HELP = """\
Call methods on small batches and say in words what they do wrong: shapes, targets that do not sum to 1, images changed
in place, randomness of their own, images mixed that must not be, a share `own` that does not fit the pixels, and so on.

Examples:
  mixbench check cutmix
  mixbench check halves --config-dir my_configs    # my_configs/method/halves.yaml
  mixbench check --all

Exit status: 0 nothing wrong, 1 something is, 2 a mistake in what was asked.
"""

STUDY_HELP = """\
Train all runs of a study that are not finished, then write its tables, plots and report to results/NAME and print the
table and what it recommends.

Examples:
  mixbench study demo
  mixbench study small-data n=100,250,500 seed=0,1,2     # other values in place of the study's
  mixbench study small-data method=none,label-mix        # some of its methods
  mixbench study small-data method=none,mixup,cutmix     # and others, at its settings; tables mark them
  mixbench study small-data --dry-run                    # what would be trained and what it would cost
  mixbench study small-data scale=cpu                    # smaller; scale=smoke: one cell, to see that it works
  mixbench study cifar10-cpu model.width=32              # another key, for all runs: kept and tabled by itself
  mixbench study my-study --config-dir my_configs        # my_configs/study/my-study.yaml
  mixbench study demo --cfg job                          # show the first run's configuration, train nothing

Studies (mixbench list studies tells more): {studies}
Exit status: 0 all finished, 1 a run failed, 2 a mistake in what was asked, 130 interrupted.
"""

TABLE_HELP = """\
{what} of stored runs: of a study, or of all runs whose keys have the given values. Nothing is trained.

Examples:
  mixbench {command} demo
  mixbench {command} small-data rule=final
  mixbench {command} dataset=cifar10 method=label-mix,cutmix n=100,500
  mixbench {command} method=label-mix rows=method.alpha columns=n

Options:
  rows=KEY, columns=KEY   any two keys of a run (n and method)
  rule=final|median10|best   which accuracy: after the last step, median of the last 10 evaluations, best evaluation
  results_dir=FOLDER      where the runs are (results)
  out=FOLDER              where to write (results/NAME for a study, else results/selection,KEY=VALUE…)

  dataset.classes=[A,B]   names of the classes, in the order of the labels, for the report

Of a study it takes your own runs in results/runs; where there are none, the records that came with mixbench
(results/published/NAME/runs.zip, or the package's own), which it reads without unpacking them. Runs of other
methods at the study's settings are shown too, and marked; method=A,B chooses.
Exit status: 0 done, 1 no run is stored or the disk cannot be written, 2 a mistake in what was asked.
"""

REPORT_HELP = """\
One page on stored runs: what to use for each n, accuracies, gains over none with intervals, equivalent data, loss
curves, classes, calibration, cost, and where each run comes from. Nothing is trained.

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

Examples:
  mixbench gallery                                   # all methods, on two photographs that come with scikit-learn
  mixbench gallery method=fmix                       # one at length
  mixbench gallery method=cutmix,resizemix dataset=cifar10
  mixbench gallery dataset=npz dataset.path=my.npz method=label-mix seed=3
  mixbench gallery method=none augment=three-augment # what an augmentation does

Options:
  any key of a run: mixbench run --help; unless given: dataset=photos augment=none n=32 subset=random
  out=FOLDER              where to write (results/gallery/<dataset>)
"""

LIST_HELP = """\
mixbench list methods|datasets|models|augments|losses|studies [--config-dir FOLDER]

Example:
  mixbench list methods
"""

STATUS_HELP = """\
Which runs are finished, running, interrupted, failed or (of a study) missing; of a study also how long the rest will
take, at the rates of stored runs that are like them.

Examples:
  mixbench status
  mixbench status small-data n=100,500
  mixbench status dataset=digits method=mixup,none       # stored runs whose keys have these values
  mixbench status results_dir=elsewhere

Of runs that did not finish the keys are known too; of those that an older version began only dataset, n, method, seed.
"""

CLEAN_HELP = """\
Drop failed runs, interrupted runs with their checkpoints, and files that a crash left: in finished runs, beside tables,
plots and reports, and in the current folder. Finished runs stay, and so does what another process trains or writes now.
Where a run's folder is a link the link alone is dropped. Shows what it would drop and asks; --yes does not ask.

Examples:
  mixbench clean
  mixbench clean --yes results_dir=elsewhere

Exit status: 0 done, 1 something could not be dropped, 2 a mistake in what was asked.
"""

EXPORT_HELP = """\
Pack finished runs into one zip archive, of which `mixbench import` takes them into another results folder: those of a
study, those whose keys have the given values, or all. The runs stay as they are.

Examples:
  mixbench export small-data                             # small-data.mixbench.zip
  mixbench export small-data n=100,250 predictions=false
  mixbench export dataset=cifar10                        # runs,dataset=cifar10.mixbench.zip
  mixbench export dataset=cifar10 method=label-mix,cutmix out=mixing.zip
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

Examples:
  mixbench import small-data.mixbench.zip
  mixbench import from-gpu-1.zip from-gpu-2.zip
  mixbench import small-data.mixbench.zip results_dir=elsewhere

Options:
  results_dir=FOLDER      where the runs go, to FOLDER/runs (results)

Exit status: 0 all runs are there, 1 some could not be imported (each is reported), 2 a mistake in what was asked.
"""
