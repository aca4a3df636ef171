#pragma once
#include <stddef.h>
#include <stdint.h>

/// libFuzzer's own entry point, for programs that keep their main.
int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*callback)(const uint8_t *data, size_t size));
