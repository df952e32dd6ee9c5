// SPDX-License-Identifier: Apache-2.0
#include "window/assigner.h"
