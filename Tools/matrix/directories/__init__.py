"""The matrix of model directories: scripts/check-directories."""
# SPDX-License-Identifier: Apache-2.0
