#pragma once
// mpack.h makes `bool` a macro where it is not one yet.
#include <stdbool.h>
#include <stdint.h>
#include <mpack.h>
