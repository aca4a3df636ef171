#include "apus_linux.h"

#include <sys/timex.h>
#include <sys/timerfd.h>
#include <time.h>

int apus_timerfd_create_boottime(void) { return timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC); }

void apus_timerfd_arm(int descriptor, int64_t deadline) {
    struct itimerspec when = {.it_value = {.tv_sec = deadline / 1000000000, .tv_nsec = deadline % 1000000000}};
    timerfd_settime(descriptor, TFD_TIMER_ABSTIME, &when, 0);
}

int apus_clock_is_synchronised(void) {
    struct timex facts = {0};
    int state = adjtimex(&facts);
    if (state < 0) return -1;
    return state != TIME_ERROR && !(facts.status & STA_UNSYNC);
}
