#include "apus_json.h"
