"""The command line of scripts/feed-queue. Needs nothing but Python, and runs nothing."""
# SPDX-License-Identifier: Apache-2.0

import argparse

DESCRIPTION = """\
Give jobs to llorch-workers at a steady rate and report how they were answered.

It is the workers' dispatcher: it binds the events address, finds the workers by their heartbeats, keeps
the jobs that wait, and sends a job again that nothing was heard of (docs/wire-protocol.md, rules 1 to 4).
Start workers first or later. Ends with 0 if every job was answered once and none with an error.
"""
EPILOG = """\
examples:
  scripts/feed-queue --jobs 200 --rate 20
  scripts/feed-queue --jobs 1000 --rate 0 --window 4 --max-tokens 8 --json
  scripts/feed-queue --events tcp://10.0.0.1:5600 --curve-secret-key feed.key_secret --curve-allowed-keys workers/
"""


def parse(arguments=None):
    parser = argparse.ArgumentParser(
        prog="scripts/feed-queue", description=DESCRIPTION, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=100, help="how many (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=10, metavar="PER_SECOND",
                        help="jobs arriving a second, 0 for all at once (default: %(default)s)")
    parser.add_argument("--window", type=int, default=1,
                        help="jobs a worker may have at a time (default: %(default)s)")
    parser.add_argument("--events", default="tcp://127.0.0.1:5600", metavar="ADDRESS",
                        help="what the workers' --events connects to (default: %(default)s)")
    parser.add_argument("--curve-secret-key", metavar="FILE",
                        help="this feeder's keys, from `llorch-worker keys`; turns CURVE on")
    parser.add_argument("--curve-allowed-keys", metavar="PATH",
                        help="the workers' public keys: a file, or a directory of *.key files")
    parser.add_argument("--prompt", default="To be, or not to be")
    parser.add_argument("--max-tokens", type=int, default=32)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0, help="of the first job; each next one adds 1")
    parser.add_argument("--timeout", type=float, default=600, help="seconds (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="the summary as one JSON object")
    options = parser.parse_args(arguments)
    if options.jobs < 1 or options.window < 1 or options.rate < 0:
        parser.error("--jobs and --window must be at least 1, --rate at least 0")
    if bool(options.curve_secret_key) != bool(options.curve_allowed_keys):
        parser.error("--curve-secret-key and --curve-allowed-keys need each other")
    return options


if __name__ == "__main__":
    parse()
