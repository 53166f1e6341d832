"""scripts/bench: llorch beside other engines, in turn, on one core of one machine.

plan.py says what is measured and what must be reached; measure.py runs it through processes.py;
limits.py has the machine's limits, report.py the tables, picture.py the drawing. What talks to another
engine is in peers/ and runs in that engine's own Python environment.
"""
# SPDX-License-Identifier: Apache-2.0
