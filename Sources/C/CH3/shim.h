#pragma once
// Built by scripts/setup from the C sources in H3's Python package (see THIRD_PARTY.md).
#include "../../../.deps/include/h3api.h"
