#include "apus_grpc.h"

// Made by scripts/setup from protos/.
static const uint8_t bytes[] = {
#include "../../../.deps/proto/descriptors.inc"
};
const uint8_t *const apus_grpc_descriptors = bytes;
const size_t apus_grpc_descriptors_size = sizeof bytes;
