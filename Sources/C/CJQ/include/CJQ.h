#pragma once
#include <stddef.h>

/// Runs jq programs for another process until it closes the socket: a request is three lengths of 32 bits (program, variables, input) and the
/// bytes of each; a reply a status byte, a length of 32 bits and the bytes. Integers are in the order of the machine.
///
/// Statuses: 0 the result as JSON (null for no output, a list for several), 1 the program is no jq, 2 it failed, 3 its output is larger than
/// `most`. The process gets no files, no environment and no more than `memory` bytes; what exceeds that, or recurses too deeply, ends it, and so
/// does whoever waits too long. `socket` is one of the first three descriptors. Returns when it is closed.
int apus_jq_serve(int socket, size_t memory, size_t most);
