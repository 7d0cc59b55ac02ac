"""The checksum of the source code that was measured. Any change in the package can change its speed."""

import hashlib
from functools import cache
from pathlib import Path

import mixbench


@cache
def code_sha256() -> str:
    """Return the first twelve hexadecimal digits of the SHA-256 of the package's Python files."""
    package = Path(mixbench.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        digest.update(file.relative_to(package).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()[:12]
