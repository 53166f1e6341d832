"""The command line of scripts/train-demo-model. Needs nothing but Python, and runs nothing."""
# SPDX-License-Identifier: Apache-2.0

import argparse
import os
from pathlib import Path

DESCRIPTION = """\
Trains the demo model, a small GPT-2 on Shakespeare's dialogue, into a Hugging Face directory. A run that
was interrupted continues from its last checkpoint.
"""


def parse(arguments=None):
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser = argparse.ArgumentParser(
        prog="scripts/train-demo-model", description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    default_out = Path(__file__).resolve().parents[2] / "models" / "shakespeare"
    parser.add_argument("--out", type=Path, default=default_out, help="directory to write")
    parser.add_argument(
        "--work",
        type=Path,
        default=cache / "llorch" / "train-shakespeare",
        help="directory of the checkpoint; remove it to begin anew (default: %(default)s)",
    )
    parser.add_argument("--steps", type=int, default=8000, help="length of the run (%(default)s)")
    parser.add_argument(
        "--checkpoint", type=int, default=50, help="steps between checkpoints (%(default)s)"
    )
    parser.add_argument(
        "--evaluate", type=int, default=500, help="steps between validations (%(default)s)"
    )
    parser.add_argument("--threads", type=int, default=1, help="torch threads (%(default)s)")
    parser.add_argument("--device", default="cpu", help="torch device, cpu or cuda (%(default)s)")
    parser.add_argument(
        "--export", action="store_true", help="write the directory from the checkpoint as it is"
    )
    parser.add_argument("--text", action="store_true", help="write the two texts to --work only")
    parser.add_argument(
        "--python",
        type=Path,
        help="use this Python as it is; it must already hold the pinned packages. Without it a virtual"
        " environment is made once in ${XDG_CACHE_HOME:-$HOME/.cache}/llorch/train-venv (about 1 GB)."
        " Its Python is $PYTHON, or python3; 3.11 or newer",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    parse()
