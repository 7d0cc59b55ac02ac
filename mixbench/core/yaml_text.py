"""The YAML loader of every file that is not Hydra's to read. No torch, no Hydra."""

import yaml

# libyaml's parser takes a tenth of the time of PyYAML's own. PyYAML's wheels contain it; other builds may not.
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
