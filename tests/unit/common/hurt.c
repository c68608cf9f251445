/* The plugin that hurts itself (process.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "process.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct config {
    const char *mode;
    struct kong_str text;
    int64_t ms;
};

static const KONG_FIELDS(struct config) fields[] = {
    KONG_STRING_FIELD(struct config, mode, .default_json = KONG_TEXT("ok")),
    KONG_STRING_FIELD(struct config, text, .default_json = KONG_TEXT("text")),
    KONG_INTEGER_FIELD(struct config, ms, .default_json = "10"),
};

static const struct kong_schema schema = KONG_SCHEMA(struct config, fields);

static int mark(struct kong *kong) {
    return kong_response_set_header(kong, "X-Pid", kong_printf(kong, "%d", (int)getpid()).data);
}

static int mode_ok(struct kong *kong, const struct config *config) {
    (void)config;
    return mark(kong);
}

static int mode_wait(struct kong *kong, const struct config *config) {
    struct kong_str value;
    (void)config;
    int rc = kong_request_get_header(kong, "X-In", &value);
    return rc == KONG_OK ? mark(kong) : rc;
}

static int mode_segv(struct kong *kong, const struct config *config) {
    volatile int *nowhere =
        (volatile int *)((uintptr_t)config->ms * 8); /* a page that nobody maps */
    (void)kong;
    *nowhere = 1;
    return KONG_OK;
}

static int mode_abort(struct kong *kong, const struct config *config) {
    (void)kong;
    (void)config;
    abort();
}

static int mode_exit(struct kong *kong, const struct config *config) {
    (void)kong;
    (void)config;
    _exit(3);
}

static int mode_exit_0(struct kong *kong, const struct config *config) {
    (void)kong;
    (void)config;
    _exit(0);
}

static int mode_exit_heard(struct kong *kong, const struct config *config) {
    (void)kong;
    (void)config;
    exit(3);
}

/* What it adds makes that no compiler turns it into a loop. */
static size_t deeper(volatile size_t depth) {
    volatile char room[1024];
    room[depth % sizeof room] = (char)depth;
    return depth == SIZE_MAX ? 0 : deeper(depth + 1) + (unsigned char)room[depth % sizeof room];
}

static int mode_overflow(struct kong *kong, const struct config *config) {
    (void)config;
    return deeper(1) == 7 ? mark(kong) : KONG_OK;
}

/* For tests that go on when the handler is at work. One that does not read must not make the
 * handler wait for it. */
static void say_at_work(void) {
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&out, 1, 0) == 1) {
        (void)!write(STDERR_FILENO, HURT_AT_WORK "\n", sizeof HURT_AT_WORK);
    }
}

static int mode_hang(struct kong *kong, const struct config *config) {
    volatile unsigned turns = 0;
    (void)kong;
    (void)config;
    say_at_work();
    while (turns < UINT_MAX) {
        turns = turns + (turns < UINT_MAX - 1);
    }
    return KONG_OK;
}

static int mode_sleep(struct kong *kong, const struct config *config) {
    say_at_work();
    int rc = kong_sleep(kong, (uint64_t)config->ms);
    return rc == KONG_OK ? mark(kong) : rc;
}

static int mode_wait_sleep(struct kong *kong, const struct config *config) {
    int rc = mode_wait(kong, config);
    return rc == KONG_OK ? mode_sleep(kong, config) : rc;
}

static int mode_value(struct kong *kong, const struct config *config) {
    struct kong_value value;
    (void)config;
    int rc = kong_ctx_shared_get(kong, "key", &value);
    return rc == KONG_OK ? mark(kong) : rc;
}

static int mode_text(struct kong *kong, const struct config *config) {
    int rc = kong_log_err(kong, "%s", config->text.data);
    return rc == KONG_OK ? kong_response_set_header(kong, "X-Text", config->text.data) : rc;
}

static void write_nowhere(void *arg) {
    *(volatile int *)arg = 1;
}

static int mode_text_wait_sleep(struct kong *kong, const struct config *config) {
    int rc = mode_text(kong, config);
    return rc == KONG_OK ? mode_wait_sleep(kong, config) : rc;
}

static int mode_blocking(struct kong *kong, const struct config *config) {
    return kong_run_blocking(kong, write_nowhere, (void *)((uintptr_t)config->ms * 8));
}

static void wait_for(void *arg) {
    const struct config *config = arg;
    say_at_work();
    usleep((useconds_t)config->ms * 1000);
}

static int mode_block(struct kong *kong, const struct config *config) {
    int rc = kong_run_blocking(kong, wait_for, (void *)(uintptr_t)config);
    return rc == KONG_OK ? mark(kong) : rc;
}

static int mode_header(struct kong *kong, const struct config *config);

static const struct {
    const char *name;
    int (*run)(struct kong *kong, const struct config *config);
} modes[] = {
    {"ok", mode_ok},
    {"wait", mode_wait},
    {"block", mode_block},
    {"segv", mode_segv},
    {"abort", mode_abort},
    {"exit", mode_exit},
    {"exit-0", mode_exit_0},
    {"exit()", mode_exit_heard},
    {"overflow", mode_overflow},
    {"hang", mode_hang},
    {"sleep", mode_sleep},
    {"text", mode_text},
    {"value", mode_value},
    {"blocking", mode_blocking},
    {"header", mode_header},
    {"wait-sleep", mode_wait_sleep},
    {"text-wait-sleep", mode_text_wait_sleep},
};

static int run_mode(const char *mode, struct kong *kong, const struct config *config) {
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (strcmp(modes[i].name, mode) == 0) {
            return modes[i].run(kong, config);
        }
    }
    return KONG_E_FAILED;
}

static int mode_header(struct kong *kong, const struct config *config) {
    struct kong_str mode;
    int rc = kong_request_get_header(kong, "X-Mode", &mode);
    if (rc != KONG_OK) {
        return rc;
    }
    return mode.data == NULL ? mode_ok(kong, config) : run_mode(mode.data, kong, config);
}

static int handle(struct kong *kong, const void *data) {
    const struct config *config = data;
    return run_mode(config->mode, kong, config);
}

/* Says what it was given, as a plugin may. */
static int configure(const void *data, void **state, char *error, size_t error_size,
                     void *process_data) {
    (void)process_data;
    const struct config *config = data;
    (void)state;
    if (strcmp(config->mode, "refuse") == 0) {
        snprintf(error, error_size, "refused: %s", config->text.data);
        return -1;
    }
    if (strcmp(config->mode, "configure-segv") == 0) {
        write_nowhere((void *)((uintptr_t)config->ms * 8));
    }
    if (strcmp(config->mode, "configure-hang") == 0) {
        say_at_work();
        sleep(60);
    }
    return 0;
}

const struct kong_plugin hurt_plugin = {
    .name = "hurt",
    .version = "0.1",
    .priority = 1,
    .thread_safe = true,
    .schema = &schema,
    .configure = configure,
    .handlers = {[KONG_PHASE_ACCESS] = handle, [KONG_PHASE_LOG] = handle},
};
