"""The error that is a sentence for the person at the terminal, with what to do about it."""
# SPDX-License-Identifier: Apache-2.0


class Failure(Exception):
    """What went wrong, and the remedy, in a sentence."""
