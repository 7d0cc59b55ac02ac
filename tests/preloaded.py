"""What the server of tests/processes.py imports before it forks."""

import processes  # noqa: F401
import pytest  # noqa: F401
import torch._dynamo  # noqa: F401  (what torch imports when an optimizer is made)
from hostile.calls import load

load()
