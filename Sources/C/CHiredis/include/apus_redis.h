// hiredis, the client library of Redis, driven by libuv.
#pragma once

#include <hiredis/async.h>
#include <hiredis/hiredis.h>

// Has `context` polled by a libuv loop (uv_loop_t *), on whose thread it is used from then on. REDIS_ERR without memory.
int apus_redis_attach(redisAsyncContext *context, void *loop);
