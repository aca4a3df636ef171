#pragma once
// Built by scripts/setup from the C sources in nanoarrow's Python package (see THIRD_PARTY.md).
#include "../../../.deps/include/nanoarrow/nanoarrow.h"
#include "../../../.deps/include/nanoarrow/nanoarrow_ipc.h"
