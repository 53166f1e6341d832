"""What the end-to-end tests and the fault tests share: ports, processes, and how a worker is called.

Nothing here knows the protocol: the two harnesses have a dispatcher each, on purpose.
"""
# SPDX-License-Identifier: Apache-2.0
