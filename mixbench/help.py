"""What `mixbench --help` and `mixbench COMMAND --help` say; of run and sweep Hydra tells (configs/run.yaml)."""

HELP = """\
mixbench: with n labelled images, which mixing augmentation helps, by how much, and how sure are we?

  mixbench run KEY=VALUE …        train one run, or find it done
  mixbench sweep KEY=A,B …        one run for each combination of values (the same as run --multirun)
  mixbench study NAME …           all runs of a study, then its tables and plots
  mixbench table NAME | KEY=A,B … tables of stored runs
  mixbench plot NAME | KEY=A,B …  plots of stored runs
  mixbench gallery [KEY=VALUE …]  pictures of what the methods do
  mixbench list WHAT              methods, datasets, models, augments, losses or studies
  mixbench status [NAME]          which runs are finished, running, interrupted, failed or missing
  mixbench clean                  drop failed runs and left-over checkpoints, after showing them

Examples:
  mixbench study demo
  mixbench run method=mixup n=500
  mixbench run dataset=npz dataset.path=my.npz n=200 subset=balanced model.width=16 train.steps=2000
  mixbench sweep method=label-mix method.alpha=0.2,0.4,1,2 n=100,250,500,1000 seed=0,1,2
  mixbench table dataset=cifar10 method=label-mix rows=method.alpha columns=n

mixbench COMMAND --help tells more.
Shell completion: eval "$(mixbench -sc install=bash)" or, in zsh after compinit, eval "$(mixbench -sc install=zsh)".
"""

STUDY_HELP = """\
Train all runs of a study that are not finished, then write its tables and plots to results/NAME and print the table.

Examples:
  mixbench study demo
  mixbench study small-data n=100,250,500 seed=0,1,2     # other values in place of the study's
  mixbench study small-data method=none,label-mix        # some of its methods
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
  rule=final|median10|best   which accuracy: after the last step, median of the last 10 evaluations, best on test
  results_dir=FOLDER      where the runs are (results)
  out=FOLDER              where to write (results/NAME for a study, else results/selection)

Of a study it takes your own runs in results/runs; where there are none, the records in results/NAME/runs.
Exit status: 0 done, 1 no run is stored, 2 a mistake in what was asked.
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
Which runs are finished, running, interrupted, failed or (of a study) missing.

Examples:
  mixbench status
  mixbench status small-data n=100,500
  mixbench status results_dir=elsewhere
"""

CLEAN_HELP = """\
Drop failed runs, interrupted runs with their checkpoints, and files that a crash left in finished runs. Finished runs
stay, and so does what another process trains at the moment. Shows what it would drop and asks; --yes does not ask.

Examples:
  mixbench clean
  mixbench clean --yes results_dir=elsewhere
"""
