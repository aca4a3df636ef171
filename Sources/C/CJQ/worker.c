#define _GNU_SOURCE
#include "CJQ.h"

#include <errno.h>
#include <fcntl.h>
#include <jq.h>
#include <jv.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { DONE = 0, WRONG = 1, FAILED = 2, TOO_LARGE = 3 };

/* Programs that were compiled lately: jq takes some 20 ms for its own definitions. */
enum { KEPT = 4 };
struct program {
    char *text; /* the program and its variables */
    size_t length;
    jq_state *state;
};

static int transfer(int socket, char *bytes, size_t count, int writes) {
    while (count > 0) {
        ssize_t moved = writes ? write(socket, bytes, count) : read(socket, bytes, count);
        if (moved < 0 && errno == EINTR) continue;
        if (moved <= 0) return -1;
        bytes += moved;
        count -= (size_t)moved;
    }
    return 0;
}

static int reply(int socket, uint8_t status, const char *bytes, size_t count) {
    char head[5];
    uint32_t length = (uint32_t)count;
    head[0] = (char)status;
    memcpy(head + 1, &length, 4);
    if (transfer(socket, head, 5, 1) != 0) return -1;
    return transfer(socket, (char *)bytes, count, 1);
}

/* The first message of a compilation: what follows it repeats it. */
static void keep_message(void *place, jv message) {
    jv *kept = place;
    if (jv_get_kind(*kept) == JV_KIND_STRING) {
        jv_free(message);
    } else {
        jv_free(*kept);
        *kept = jv_get_kind(message) == JV_KIND_STRING ? message : jq_format_error(message);
    }
}

static void ignore(void *place, jv value) {
    (void)place;
    jv_free(value);
}

static int answer(int socket, uint8_t status, jv text) {
    int result = jv_get_kind(text) == JV_KIND_STRING
        ? reply(socket, status, jv_string_value(text), (size_t)jv_string_length_bytes(jv_copy(text)))
        : reply(socket, status, "it failed without a message", 27);
    jv_free(text);
    return result;
}

/* The outputs of a compiled program. */
static int run(int socket, jq_state *state, jv input, size_t most) {
    jq_start(state, input, 0);
    jv all = jv_string("");
    int count = 0;
    jv output;
    while (jv_is_valid(output = jq_next(state))) {
        jv text = jv_dump_string(output, 0);
        size_t size = (size_t)jv_string_length_bytes(jv_copy(text)) + (size_t)jv_string_length_bytes(jv_copy(all));
        if (size > most) {
            jv_free(text);
            jv_free(all);
            return reply(socket, TOO_LARGE, "", 0);
        }
        all = jv_string_append_str(all, count == 0 ? "" : ",");
        all = jv_string_append_buf(all, jv_string_value(text), jv_string_length_bytes(jv_copy(text)));
        jv_free(text);
        count += 1;
    }
    if (jq_halted(state)) {
        jv_free(output);
    } else if (jv_invalid_has_msg(jv_copy(output))) {
        jv_free(all);
        jv message = jv_invalid_get_msg(output);
        return answer(socket, FAILED, jv_get_kind(message) == JV_KIND_STRING ? message : jv_dump_string(message, 0));
    } else {
        jv_free(output);
    }
    if (count == 1) return answer(socket, DONE, all);
    if (count == 0) {
        jv_free(all);
        return reply(socket, DONE, "null", 4);
    }
    jv list = jv_string_concat(jv_string("["), all);
    return answer(socket, DONE, jv_string_concat(list, jv_string("]")));
}

static void forget(struct program *program) {
    if (program->state != NULL) jq_teardown(&program->state);
    free(program->text);
    memset(program, 0, sizeof *program);
}

/* Of the program and variables at `text`; NULL, and what is wrong, where they are none. The one that was used last is the first. */
static jq_state *compiled(struct program *kept, const char *text, size_t length, jv variables, jv *problem) {
    int place = 0;
    while (place < KEPT && !(kept[place].state != NULL && kept[place].length == length && memcmp(kept[place].text, text, length) == 0)) place++;
    if (place < KEPT) {
        struct program found = kept[place];
        memmove(kept + 1, kept, (size_t)place * sizeof *kept);
        kept[0] = found;
        jv_free(variables);
        return found.state;
    }
    jq_state *state = jq_init();
    if (state == NULL) _exit(1);
    jq_set_error_cb(state, keep_message, problem);
    jq_set_debug_cb(state, ignore, NULL);
    int is_compiled = jq_compile_args(state, text, variables);
    if (!is_compiled || jv_get_kind(*problem) == JV_KIND_STRING) {
        jq_teardown(&state);
        return NULL;
    }
    forget(&kept[KEPT - 1]);
    memmove(kept + 1, kept, (KEPT - 1) * sizeof *kept);
    kept[0].text = malloc(length);
    if (kept[0].text == NULL) _exit(1);
    memcpy(kept[0].text, text, length);
    kept[0].length = length;
    kept[0].state = state;
    return state;
}

/* Nothing but this socket, memory and a processor. */
static void confine(int socket, size_t memory) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    static char *no_environment[] = {NULL}; /* jq reads the list, so that there must be one */
    environ = no_environment;
    /* All of the first three are taken and there are no more: no file can be opened, such as a module that a program names. */
    int nowhere = open("/dev/null", O_RDWR);
    for (int other = 0; other < 3; other++) {
        if (other != socket && dup2(nowhere, other) < 0) _exit(1);
    }
    if (nowhere > 2) close(nowhere);
    struct rlimit none = {3, 3};
    if (socket > 2 || setrlimit(RLIMIT_NOFILE, &none) != 0) _exit(1);
    struct rlimit nothing = {0, 0};
    setrlimit(RLIMIT_CORE, &nothing);
    setrlimit(RLIMIT_NPROC, &nothing);
    struct rlimit bytes = {memory, memory};
    setrlimit(RLIMIT_DATA, &bytes);
}

int apus_jq_serve(int socket, size_t memory, size_t most) {
    confine(socket, memory);
    struct program kept[KEPT];
    memset(kept, 0, sizeof kept);
    for (;;) {
        uint32_t sizes[3];
        if (transfer(socket, (char *)sizes, sizeof sizes, 0) != 0) return 0;
        size_t total = (size_t)sizes[0] + sizes[1] + sizes[2];
        char *bytes = malloc(total + 2);
        if (bytes == NULL) return 1;
        /* A zero behind the program, which jq reads to its end. */
        if (transfer(socket, bytes, sizes[0], 0) != 0) return 1;
        bytes[sizes[0]] = 0;
        char *rest = bytes + sizes[0] + 1;
        if (transfer(socket, rest, (size_t)sizes[1] + sizes[2], 0) != 0) return 1;
        jv problem = jv_null();
        jv variables = jv_parse_sized(rest, (int)sizes[1]);
        jv input = jv_parse_sized(rest + sizes[1], (int)sizes[2]);
        int result;
        if (jv_get_kind(variables) != JV_KIND_OBJECT || !jv_is_valid(input)) {
            jv_free(variables);
            jv_free(input);
            result = reply(socket, FAILED, "its input is no JSON that jq reads", 34);
        } else {
            jq_state *state = compiled(kept, bytes, (size_t)sizes[0] + 1 + sizes[1], variables, &problem);
            if (state == NULL) {
                jv_free(input);
                result = answer(socket, WRONG, jv_copy(problem));
            } else {
                result = run(socket, state, input, most);
            }
        }
        jv_free(problem);
        free(bytes);
        if (result != 0) return 1;
    }
}
