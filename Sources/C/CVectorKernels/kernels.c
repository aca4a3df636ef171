#include "apus_vector_kernels.h"
