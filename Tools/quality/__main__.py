"""scripts/compare-quality: one table a model, and the figures as JSON where they are wanted."""
# SPDX-License-Identifier: Apache-2.0

import json

from arguments import DEMO, parse
from compare import compare


def main():
    options = parse()
    results = [compare(directory.resolve(), options) for directory in options.models or [DEMO]]
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
