// Twelve accumulators of four floats; weights and the broadcast share the other four registers of SSE2.
#define ROWS 3
#define KERNELS apus_transformer_portable
#include "kernels.inc"
