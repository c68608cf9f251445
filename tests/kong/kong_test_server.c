/* What a gateway's server does besides requests: its log, the plugin's jobs. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kong_test_inside.h"
#include "log.h"

/* --- The log: a file in memory, read anew with each look --- */

bool test_open_log(struct gateway *gateway) {
    gateway->log_fd = memfd_create("kong_test log", MFD_CLOEXEC);
    gateway->log = gateway->log_fd < 0
                       ? NULL
                       : log_create(gateway->log_fd, LOG_LEVEL_DEBUG,
                                    gateway->count == 1 ? gateway->served[0]->name : "kong_test");
    return gateway->log != NULL;
}

void test_close_log(struct gateway *gateway) {
    log_destroy(gateway->log);
    if (gateway->log_fd >= 0) {
        close(gateway->log_fd);
    }
}

/* The line at `from`, with a NUL in its newline's place: its length with that, 0 when there is none
 * (yet). */
static size_t read_line(int fd, off_t from, char *line, size_t size) {
    ssize_t got = pread(fd, line, size, from);
    char *end = got <= 0 ? NULL : memchr(line, '\n', (size_t)got);
    if (end == NULL) {
        return 0;
    }
    *end = '\0';
    return (size_t)(end - line) + 1;
}

/* "2026-11-22T19:01:41.123Z warn  NAME[123]: TEXT": *level, and the text. */
static const char *text_of(const char *line, const char **level) {
    static const char time[] = "2026-11-22T19:01:41.123Z ";
    const char *word = line + strlen(time);
    const char *text = strstr(word, "]: ");
    for (int i = 0; i < LOG_LEVEL_COUNT; i++) {
        const char *name = log_level_name((enum log_level)i);
        if (strncmp(word, name, strlen(name)) == 0 && level != NULL) {
            *level = name;
        }
    }
    return text == NULL ? line : text + strlen("]: ");
}

off_t test_log_end(const struct gateway *gateway) {
    return lseek(gateway->log_fd, 0, SEEK_END);
}

/* Kong is told nothing any more: only the server's log has it. A handler that has called exit can
 * no more wait, so its thread turns to something else when it has returned. */
bool test_failed_after_exit(struct kong_test *test, const char *plugin, int64_t instance,
                            enum kong_phase phase, off_t from) {
    struct gateway *gateway = test->gateway;
    char whose[64];
    char head[128];
    bool found = false;
    size_t len;
    int in = snprintf(whose, sizeof whose, "instance %lld: ", (long long)instance);
    snprintf(head, sizeof head, "%s%s failed after its exit: ", whose, kong_phase_name(phase));
    sim_server_settle(gateway->server);
    pthread_mutex_lock(&gateway->lock);
    off_t at = from > gateway->log_told ? from : gateway->log_told;
    while (!found && (len = read_line(gateway->log_fd, at, test->server_line,
                                      sizeof test->server_line)) > 0) {
        const char *text = text_of(test->server_line, NULL);
        at += (off_t)len;
        found = strncmp(text, head, strlen(head)) == 0;
        if (found) {
            snprintf(test->error, sizeof test->error, "%s: %s", plugin, text + in);
            gateway->log_told = at;
        }
    }
    pthread_mutex_unlock(&gateway->lock);
    return found;
}

const char *kong_test_server_log(struct kong_test *test, size_t index, const char **level) {
    off_t at = 0;
    for (size_t i = 0;; i++) {
        size_t len =
            read_line(test->gateway->log_fd, at, test->server_line, sizeof test->server_line);
        if (len == 0) {
            return NULL;
        }
        if (i == index) {
            return text_of(test->server_line, level);
        }
        at += (off_t)len;
    }
}

bool kong_test_server_logged(struct kong_test *test, const char *level, const char *text) {
    off_t at = 0;
    size_t len;
    while ((len = read_line(test->gateway->log_fd, at, test->server_line,
                            sizeof test->server_line)) > 0) {
        const char *of = "";
        if (strstr(text_of(test->server_line, &of), text) != NULL && strcmp(of, level) == 0) {
            return true;
        }
        at += (off_t)len;
    }
    return false;
}

/* --- Jobs --- */

/* NAME, or PLUGIN/NAME. */
static bool is_named(const struct kong_plugin *plugin, const struct kong_job *job,
                     const char *name) {
    const char *slash = strrchr(name, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - name);
    bool its =
        slash == NULL || (strlen(plugin->name) == len && strncmp(plugin->name, name, len) == 0);
    return its && strcmp(job->name, slash == NULL ? name : slash + 1) == 0;
}

/* The index among the jobs of all plugins. False: there is none of this name. */
static bool find_job(const struct gateway *gateway, const char *name, size_t *index) {
    *index = 0;
    for (size_t i = 0; i < gateway->count; i++) {
        const struct kong_plugin *plugin = gateway->served[i];
        for (size_t k = 0; k < KONG_JOBS_MOST && plugin->jobs[k].name != NULL; k++) {
            if (is_named(plugin, &plugin->jobs[k], name)) {
                return true;
            }
            ++*index;
        }
    }
    return false;
}

enum kong_test_outcome kong_test_job(struct kong_test *test, const char *name) {
    size_t index;
    if (!find_job(test->gateway, name, &index)) {
        snprintf(test->error, sizeof test->error, "%s no job %.200s",
                 test->gateway->count == 1 ? "the plugin has" : "the plugins have", name);
        return KONG_TEST_BROKEN;
    }
    sim_server_arm(test->gateway->server);
    return sim_server_run_job(test->gateway->server, index, test->error, sizeof test->error) == 0
               ? KONG_TEST_OK
               : KONG_TEST_FAILED;
}
