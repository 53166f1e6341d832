"""All cases, in the order of the table: each changes a plain directory in one way."""
# SPDX-License-Identifier: Apache-2.0

from . import tokenizer_cases, added_cases, model_cases  # noqa: F401: each lists its own
from .case import CASES, Case

__all__ = ["CASES", "Case"]
