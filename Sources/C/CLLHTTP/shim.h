#pragma once
// Built by scripts/setup from the C sources that httptools ships (see THIRD_PARTY.md).
#include "../../../.deps/include/llhttp.h"
