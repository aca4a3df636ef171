#include "apus_grpc.h"
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <grpc/support/log.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static grpc_completion_queue *queue;

/// What the completion queue gives back: whose turn it is.
typedef struct apus_grpc_tag {
    void (*complete)(struct apus_grpc_tag *tag, bool ok);
    void *owner;
    void *context;
    void *callback;
} tag;

struct apus_grpc_stream {
    grpc_call *call;
    /// The owner's, and one for each batch that has begun.
    atomic_int references;
    bool is_client, has_sent_metadata;
    grpc_byte_buffer *received;
    grpc_metadata_array initial, trailing;
    grpc_status_code status;
    grpc_slice reason;
    int is_cancelled;
    tag begin, end, receive, send, finish;
};

// MARK: The queue

static void (*write_log)(const char *text);
static void on_log(gpr_log_func_args *line) { write_log(line->message); }

void apus_grpc_start(void (*log)(const char *text)) {
    write_log = log;
    gpr_set_log_function(on_log);
    gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);
    grpc_init();
    queue = grpc_completion_queue_create_for_next(NULL);
}

void apus_grpc_run(void) {
    for (;;) {
        grpc_event event = grpc_completion_queue_next(queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
        tag *tag = event.tag;
        tag->complete(tag, event.success);
    }
}

/// Begins a batch that keeps the stream until it completes. False, and nothing has begun, if the call does not take it.
static bool start(apus_grpc_stream *stream, const grpc_op *ops, size_t count, tag *tag) {
    atomic_fetch_add(&stream->references, 1);
    tag->owner = stream;
    if (grpc_call_start_batch(stream->call, ops, count, tag, NULL) == GRPC_CALL_OK) return true;
    apus_grpc_stream_free(stream);
    return false;
}

// MARK: Options

static grpc_arg integer(const char *key, int value) {
    return (grpc_arg){.type = GRPC_ARG_INTEGER, .key = (char *)key, .value.integer = value};
}

#define MAX_ARGUMENTS 24

/// What both sides say of a connection.
static size_t common(const apus_grpc_options *options, grpc_arg *args) {
    size_t count = 0;
    args[count++] = integer(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, options->max_message);
    args[count++] = integer(GRPC_ARG_KEEPALIVE_TIME_MS, options->keepalive_interval);
    args[count++] = integer(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, options->keepalive_timeout);
    args[count++] = integer(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);  // else pings stop after two without an answer to carry
    args[count++] = integer(GRPC_ARG_ENABLE_CHANNELZ, 0);               // what nobody reads need not be counted
    args[count++] = integer(GRPC_ARG_ENABLE_DEADLINE_CHECKS, 0);        // deadlines travel in frames
    args[count++] = integer(GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, 0);
    // A fixed window instead of one that grows with measured delays: a quarter less CPU for 64 KiB messages under load.
    args[count++] = integer(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    args[count++] = integer(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 4 << 20);
    return count;
}

// MARK: Server

struct apus_grpc_server {
    grpc_server *server;
    atomic_int references;
    tag accept, close;
    grpc_call *call;
    grpc_call_details details;
    grpc_metadata_array metadata;
};

apus_grpc_server *apus_grpc_server_create(const char *address, const apus_grpc_options *options, int *port) {
    grpc_server_credentials *credentials;
    if (options->ca) {
        grpc_ssl_pem_key_cert_pair pair = {options->key, options->certificate};
        credentials = grpc_ssl_server_credentials_create_ex(
            options->ca, &pair, 1, GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY, NULL);
    } else {
        credentials = grpc_insecure_server_credentials_create();
    }
    if (!credentials) return NULL;
    grpc_arg args[MAX_ARGUMENTS];
    size_t count = common(options, args);
    args[count++] = integer(GRPC_ARG_MAX_CONCURRENT_STREAMS, options->max_streams);
    args[count++] = integer(GRPC_ARG_ALLOW_REUSEPORT, 0);  // a second server on the port must fail
    args[count++] = integer(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, options->connect_timeout);
    args[count++] = integer(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 100);
    args[count++] = integer(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);  // a peer may ping as often as it likes
    grpc_channel_args all = {count, args};
    apus_grpc_server *server = calloc(1, sizeof *server);
    atomic_init(&server->references, 2);
    server->server = grpc_server_create(&all, NULL);
    grpc_server_register_completion_queue(server->server, queue, NULL);
    *port = grpc_server_add_http2_port(server->server, address, credentials);
    grpc_server_credentials_release(credentials);
    grpc_server_start(server->server);
    if (*port != 0) return server;
    apus_grpc_server_close(server, NULL, NULL);
    return NULL;
}

static apus_grpc_stream *stream_create(grpc_call *call, bool is_client) {
    apus_grpc_stream *stream = calloc(1, sizeof *stream);
    stream->call = call;
    stream->is_client = is_client;
    atomic_init(&stream->references, 1);
    grpc_metadata_array_init(&stream->initial);
    grpc_metadata_array_init(&stream->trailing);
    stream->reason = grpc_empty_slice();
    return stream;
}

static void on_accepted(tag *tag, bool ok) {
    apus_grpc_server *server = tag->owner;
    apus_grpc_accepted accepted = (apus_grpc_accepted)tag->callback;
    char *method = ok ? grpc_slice_to_c_string(server->details.method) : NULL;
    apus_grpc_stream *stream = ok ? stream_create(server->call, false) : NULL;
    grpc_call_details_destroy(&server->details);
    grpc_metadata_array_destroy(&server->metadata);
    accepted(tag->context, stream, method);  // may ask for the next call, which uses the same tag
    gpr_free(method);
}

void apus_grpc_server_accept(apus_grpc_server *server, apus_grpc_accepted accepted, void *context) {
    grpc_call_details_init(&server->details);
    grpc_metadata_array_init(&server->metadata);
    server->accept = (tag){on_accepted, server, context, (void *)accepted};
    grpc_server_request_call(server->server, &server->call, &server->details, &server->metadata, queue, queue, &server->accept);
}

/// The server is gone when its calls are, and when `apus_grpc_server_close` has done with it.
static void server_release(apus_grpc_server *server) {
    if (atomic_fetch_sub(&server->references, 1) != 1) return;
    void (*closed)(void *) = (void (*)(void *))server->close.callback;
    void *context = server->close.context;
    grpc_server_destroy(server->server);
    free(server);
    if (closed) closed(context);
}

static void on_closed(tag *tag, bool ok) { server_release(tag->owner); }

void apus_grpc_server_close(apus_grpc_server *server, void (*closed)(void *context), void *context) {
    server->close = (tag){on_closed, server, context, (void *)closed};
    grpc_server_shutdown_and_notify(server->server, queue, &server->close);
    grpc_server_cancel_all_calls(server->server);
    server_release(server);
}

// MARK: Client

struct apus_grpc_channel {
    grpc_channel *channel;
};

apus_grpc_channel *apus_grpc_channel_create(const char *address, const apus_grpc_options *options) {
    grpc_channel_credentials *credentials;
    if (options->ca) {
        grpc_ssl_pem_key_cert_pair pair = {options->key, options->certificate};
        credentials = grpc_ssl_credentials_create_ex(options->ca, &pair, NULL, NULL);
    } else {
        credentials = grpc_insecure_credentials_create();
    }
    if (!credentials) return NULL;
    grpc_arg args[MAX_ARGUMENTS];
    size_t count = common(options, args);
    args[count++] = integer(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, options->connect_timeout);  // how long one attempt may take
    args[count++] = integer(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
    args[count++] = integer(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, options->max_backoff);
    args[count++] = integer(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // its own connection and its own backoff
    args[count++] = integer(GRPC_ARG_ENABLE_RETRIES, 0);             // else it keeps what it sent
    args[count++] = integer(GRPC_ARG_ENABLE_HTTP_PROXY, 0);          // nodes are not behind the operator's web proxy
    args[count++] = integer(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
    grpc_channel_args all = {count, args};
    apus_grpc_channel *channel = calloc(1, sizeof *channel);
    channel->channel = grpc_channel_create(address, credentials, &all);
    grpc_channel_credentials_release(credentials);
    return channel;
}

void apus_grpc_channel_free(apus_grpc_channel *channel) {
    grpc_channel_destroy(channel->channel);
    free(channel);
}

apus_grpc_stream *apus_grpc_channel_call(apus_grpc_channel *channel, const char *method) {
    return stream_create(
        grpc_channel_create_call(
            channel->channel, NULL, GRPC_PROPAGATE_DEFAULTS, queue, grpc_slice_from_copied_string(method), NULL,
            gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL),
        true);
}

// MARK: Streams

static void on_nothing(tag *tag, bool ok) { apus_grpc_stream_free(tag->owner); }

static void on_ended(tag *tag, bool ok) {
    apus_grpc_stream *stream = tag->owner;
    apus_grpc_ended ended = (apus_grpc_ended)tag->callback;
    char *reason = grpc_slice_to_c_string(stream->reason);
    ended(tag->context, stream->is_client ? (int)stream->status : stream->is_cancelled, reason);
    gpr_free(reason);
    apus_grpc_stream_free(stream);
}

void apus_grpc_stream_begin(apus_grpc_stream *stream, apus_grpc_ended ended, void *context) {
    grpc_op op = {0};
    stream->end = (tag){on_ended, stream, context, (void *)ended};
    if (stream->is_client) {
        grpc_op opening[2] = {{0}};
        opening[0].op = GRPC_OP_SEND_INITIAL_METADATA;
        opening[1].op = GRPC_OP_RECV_INITIAL_METADATA;
        opening[1].data.recv_initial_metadata.recv_initial_metadata = &stream->initial;
        stream->begin.complete = on_nothing;
        stream->has_sent_metadata = true;
        start(stream, opening, 2, &stream->begin);
        op.op = GRPC_OP_RECV_STATUS_ON_CLIENT;
        op.data.recv_status_on_client.trailing_metadata = &stream->trailing;
        op.data.recv_status_on_client.status = &stream->status;
        op.data.recv_status_on_client.status_details = &stream->reason;
    } else {
        op.op = GRPC_OP_RECV_CLOSE_ON_SERVER;
        op.data.recv_close_on_server.cancelled = &stream->is_cancelled;
    }
    start(stream, &op, 1, &stream->end);
}

static void on_received(tag *tag, bool ok) {
    apus_grpc_stream *stream = tag->owner;
    apus_grpc_received received = (apus_grpc_received)tag->callback;
    void *context = tag->context;
    grpc_byte_buffer *message = stream->received;
    grpc_byte_buffer_reader reader;
    if (ok && message && grpc_byte_buffer_reader_init(&reader, message)) {
        grpc_slice bytes = grpc_byte_buffer_reader_readall(&reader);
        grpc_byte_buffer_reader_destroy(&reader);
        grpc_byte_buffer_destroy(message);
        received(context, GRPC_SLICE_START_PTR(bytes), GRPC_SLICE_LENGTH(bytes));
        grpc_slice_unref(bytes);
    } else {
        if (message) grpc_byte_buffer_destroy(message);
        received(context, NULL, 0);
    }
    apus_grpc_stream_free(stream);
}

void apus_grpc_stream_receive(apus_grpc_stream *stream, apus_grpc_received received, void *context) {
    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE};
    stream->received = NULL;
    op.data.recv_message.recv_message = &stream->received;
    stream->receive = (tag){on_received, stream, context, (void *)received};
    if (!start(stream, &op, 1, &stream->receive)) received(context, NULL, 0);
}

struct apus_grpc_message {
    grpc_slice slice;
};

apus_grpc_message *apus_grpc_message_create(size_t count, uint8_t **bytes) {
    apus_grpc_message *message = malloc(sizeof *message);
    message->slice = grpc_slice_malloc(count);
    *bytes = GRPC_SLICE_START_PTR(message->slice);
    return message;
}

static void on_sent(tag *tag, bool ok) {
    apus_grpc_stream *stream = tag->owner;
    ((apus_grpc_sent)tag->callback)(tag->context, ok);
    apus_grpc_stream_free(stream);
}

void apus_grpc_stream_send(apus_grpc_stream *stream, apus_grpc_message *message, apus_grpc_sent sent, void *context) {
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&message->slice, 1);
    grpc_slice_unref(message->slice);
    free(message);
    grpc_op ops[2] = {{.op = GRPC_OP_SEND_MESSAGE}, {.op = GRPC_OP_SEND_INITIAL_METADATA}};
    ops[0].data.send_message.send_message = buffer;
    size_t count = stream->has_sent_metadata ? 1 : 2;
    stream->has_sent_metadata = true;
    stream->send = (tag){on_sent, stream, context, (void *)sent};
    bool has_begun = start(stream, ops, count, &stream->send);
    grpc_byte_buffer_destroy(buffer);
    if (!has_begun) sent(context, false);
}

void apus_grpc_stream_finish(apus_grpc_stream *stream, int status, const char *reason) {
    grpc_op ops[2] = {{.op = GRPC_OP_SEND_STATUS_FROM_SERVER}, {.op = GRPC_OP_SEND_INITIAL_METADATA}};
    grpc_slice details = grpc_slice_from_copied_string(reason);
    ops[0].data.send_status_from_server.status = (grpc_status_code)status;
    ops[0].data.send_status_from_server.status_details = &details;
    stream->finish.complete = on_nothing;
    start(stream, ops, stream->has_sent_metadata ? 1 : 2, &stream->finish);
    grpc_slice_unref(details);
}

void apus_grpc_stream_cancel(apus_grpc_stream *stream) { grpc_call_cancel(stream->call, NULL); }

void apus_grpc_stream_free(apus_grpc_stream *stream) {
    if (atomic_fetch_sub(&stream->references, 1) != 1) return;
    grpc_call_unref(stream->call);
    grpc_metadata_array_destroy(&stream->initial);
    grpc_metadata_array_destroy(&stream->trailing);
    grpc_slice_unref(stream->reason);
    free(stream);
}
