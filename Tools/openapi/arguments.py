"""The command line of scripts/check-openapi. Needs nothing but Python, and runs nothing."""
# SPDX-License-Identifier: Apache-2.0

import argparse

DESCRIPTION = """\
Send a shim requests that schemathesis makes from GET /openapi.json, right and wrong ones, and compare the answers
with the document: statuses, headers, bodies, events, what is refused and what is taken. First with a worker that
answers at once without a model, then with llorch-worker and a model.
"""
EPILOG = """\
examples:
  scripts/check-openapi
  scripts/check-openapi --examples 500 --seed 7
  scripts/check-openapi --built --no-model
"""


def parse(arguments=None):
    parser = argparse.ArgumentParser(
        prog="scripts/check-openapi", description=DESCRIPTION, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=100, metavar="N",
                        help="requests for each operation in each phase (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=None, help="the same requests again (default: others each time)")
    parser.add_argument("--model", default="models/shakespeare", help="of the real worker (default: %(default)s)")
    parser.add_argument("--no-model", action="store_true", help="only with the worker that has no model")
    parser.add_argument("--bodies", action="store_true", help="only requests with a body: POST")
    parser.add_argument("--built", action="store_true", help="the programs are built: build nothing")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    parse()
