"""Makes ccxt importable beside our packages: it pins versions that are not ours, so it has an environment of its own.

That environment is the one of `python -m tests.conformance`, pinned by hash. It goes to the end of the path: what both
have is ours.
"""

import sys

from tests.conformance.install import VENV, install_python


def add_ccxt() -> None:
    """Install ccxt if it is not there, and let it be imported."""
    VENV.parent.mkdir(parents=True, exist_ok=True)
    install_python()
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    sys.path.append(str(VENV / "lib" / version / "site-packages"))
