#include "apus_redis.h"

#include <hiredis/adapters/libuv.h>

int apus_redis_attach(redisAsyncContext *context, void *loop) { return redisLibuvAttach(context, loop); }
