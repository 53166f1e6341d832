"""Workers and dispatchers killed, frozen, flooded and cut off: scripts/fault-tests, docs/reliability.md.

Run from Tests as `python -m FaultTests`; the options are in arguments.py.
"""
# SPDX-License-Identifier: Apache-2.0
