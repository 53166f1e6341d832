"""scripts/feed-queue: feeds the workers, shows how far it is, and prints the summary."""
# SPDX-License-Identifier: Apache-2.0

import json
import sys

from arguments import parse
from feeder import feed
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from summary import show, summary


def main():
    options = parse()
    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"),
               TextColumn("{task.fields[rate]}"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        feeder, seconds = feed(options, progress)
    figures = summary(feeder, options, seconds)
    if feeder.keys:
        feeder.keys.stop()
    feeder.context.destroy(linger=100)
    print(json.dumps(figures)) if options.json else show(figures)
    good = all(job.end["type"] == "end" for job in feeder.done)
    return 0 if good and not figures["unanswered"] and not figures["repeated_terminal_events"] else 1


if __name__ == "__main__":
    sys.exit(main())
