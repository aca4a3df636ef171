#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx512f,avx2,fma"))), apply_to = function)
// Twelve accumulators hide the latency of both multiply-add units.
#define ROWS 12
#define KERNELS apus_transformer_avx512
#include "kernels.inc"
#pragma clang attribute pop
#endif
