#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// gRPC's C core in plain functions. Its completion queue is one thread, which the caller gives with `apus_grpc_run`.
//
// Each function that takes a callback calls it exactly once, with the context that it was given: on the queue's thread, or before it returns
// if the call is over. Callbacks must not block.

typedef struct apus_grpc_server apus_grpc_server;
typedef struct apus_grpc_channel apus_grpc_channel;
/// One call, as its client or its server sees it: messages both ways, then a status.
typedef struct apus_grpc_stream apus_grpc_stream;
/// Bytes of a message that is going to be sent.
typedef struct apus_grpc_message apus_grpc_message;

/// Durations in milliseconds, sizes in bytes.
typedef struct {
    int max_message, max_streams, keepalive_interval, keepalive_timeout, connect_timeout, max_backoff;
    /// PEM texts, all or none: without them nothing is encrypted.
    const char *ca, *certificate, *key;
} apus_grpc_options;

/// Starts the library, whose own log lines go to `log` from then on. Once in a process.
void apus_grpc_start(void (*log)(const char *text));
/// Runs the completion queue; never returns.
void apus_grpc_run(void);

/// Listens on "host:port" (port 0: any; `port` becomes what it is). NULL if the address cannot be bound or the credentials are no good.
apus_grpc_server *apus_grpc_server_create(const char *address, const apus_grpc_options *options, int *port);
/// Asks for one call. `stream` is NULL when the server has been shut down; `method` lives during the callback.
typedef void (*apus_grpc_accepted)(void *context, apus_grpc_stream *stream, const char *method);
void apus_grpc_server_accept(apus_grpc_server *server, apus_grpc_accepted accepted, void *context);
/// Closes the listener, ends all calls, and frees the server before it calls `closed`.
void apus_grpc_server_close(apus_grpc_server *server, void (*closed)(void *context), void *context);

/// A way to "host:port"; nothing is connected before the first call. NULL if the credentials are no good.
apus_grpc_channel *apus_grpc_channel_create(const char *address, const apus_grpc_options *options);
/// Ends what is not connected yet, so after its calls.
void apus_grpc_channel_free(apus_grpc_channel *channel);
apus_grpc_stream *apus_grpc_channel_call(apus_grpc_channel *channel, const char *method);

/// Begins. `ended` has the status that a client gets (0 is OK), or for a server 1 if the call was cut off; `reason` lives during the callback.
typedef void (*apus_grpc_ended)(void *context, int status, const char *reason);
void apus_grpc_stream_begin(apus_grpc_stream *stream, apus_grpc_ended ended, void *context);
/// Asks for one message, whose bytes live during the callback; NULL after the last one. One at a time.
typedef void (*apus_grpc_received)(void *context, const uint8_t *bytes, size_t count);
void apus_grpc_stream_receive(apus_grpc_stream *stream, apus_grpc_received received, void *context);

/// Room for `count` bytes at `bytes`, to be filled and sent.
apus_grpc_message *apus_grpc_message_create(size_t count, uint8_t **bytes);
/// Sends and frees `message`. One at a time. `sent` is told false if the call is over.
typedef void (*apus_grpc_sent)(void *context, bool is_sent);
void apus_grpc_stream_send(apus_grpc_stream *stream, apus_grpc_message *message, apus_grpc_sent sent, void *context);
/// A server ends the call. Not while a message is being sent.
void apus_grpc_stream_finish(apus_grpc_stream *stream, int status, const char *reason);
/// Ends the call at once, from either side and any thread.
void apus_grpc_stream_cancel(apus_grpc_stream *stream);
/// The last word of its owner; what was begun still calls back.
void apus_grpc_stream_free(apus_grpc_stream *stream);

/// The served protocols as a google.protobuf.FileDescriptorSet, from protos/.
extern const uint8_t *const apus_grpc_descriptors;
extern const size_t apus_grpc_descriptors_size;
