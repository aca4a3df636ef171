#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
// Twelve accumulators, two registers of weights and a broadcast: 15 of 16.
#define ROWS 6
#define KERNELS apus_transformer_avx2
#include "kernels.inc"
#pragma clang attribute pop
#endif
