#define _GNU_SOURCE
#include "apus_linux.h"
#include <pthread.h>
#include <string.h>

static __thread void *current_loop;

void *apus_thread_loop(void) { return current_loop; }
void apus_thread_set_loop(void *loop) { current_loop = loop; }

void apus_thread_set_name(const char *name) {
    char cut[16] = {0};
    strncpy(cut, name, sizeof cut - 1);
    pthread_setname_np(pthread_self(), cut);
}
