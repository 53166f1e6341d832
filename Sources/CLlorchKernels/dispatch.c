// SPDX-License-Identifier: Apache-2.0
#include "llorch_kernels.h"
