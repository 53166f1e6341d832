"""HTTP conversations after RFC 9110 and 9112, right and broken, with what a server must say to each: scripts/fuzz http.

Run from Tests as `python -m HTTPFuzz`.
"""
# SPDX-License-Identifier: Apache-2.0
