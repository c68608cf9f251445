#include "hooks.h"

#include <stdio.h>

struct hook_call {
    const struct kong_plugin *plugin;
    char *error;
    size_t error_size;
    void *data; /* of the process, or of the instance */
    void **out;
    const void *config;
};

int hooks_guard(const struct kong_plugin *plugin, int (*fn)(void *arg), void *arg, char *error,
                size_t error_size) {
    error[0] = '\0';
    int rc = plugin->guard == NULL ? fn(arg) : plugin->guard(fn, arg, error, error_size);
    error[error_size - 1] = '\0';
    return rc;
}

static int call(struct hook_call *wanted, int (*fn)(void *arg), const char *name) {
    int rc = hooks_guard(wanted->plugin, fn, wanted, wanted->error, wanted->error_size);
    if (rc != 0 && wanted->error[0] == '\0') {
        snprintf(wanted->error, wanted->error_size, "%s failed", name);
    }
    return rc;
}

static int call_open(void *arg) {
    const struct hook_call *wanted = arg;
    return wanted->plugin->open(wanted->out, wanted->error, wanted->error_size);
}

static int call_configure(void *arg) {
    const struct hook_call *wanted = arg;
    return wanted->plugin->configure(wanted->config, wanted->out, wanted->error, wanted->error_size,
                                     wanted->data);
}

static int call_close(void *arg) {
    const struct hook_call *wanted = arg;
    wanted->plugin->close(wanted->data);
    return 0;
}

static int call_destroy(void *arg) {
    const struct hook_call *wanted = arg;
    wanted->plugin->destroy(wanted->config, wanted->data);
    return 0;
}

int hooks_open(const struct kong_plugin *plugin, void **data, char *error, size_t error_size) {
    struct hook_call wanted = {plugin, error, error_size, NULL, data, NULL};
    return plugin->open == NULL ? 0 : call(&wanted, call_open, "open");
}

int hooks_configure(const struct kong_plugin *plugin, const void *config, void *data, void **state,
                    char *error, size_t error_size) {
    struct hook_call wanted = {plugin, error, error_size, data, state, config};
    return plugin->configure == NULL ? 0 : call(&wanted, call_configure, "configure");
}

int hooks_close(const struct kong_plugin *plugin, void *data, char *error, size_t error_size) {
    struct hook_call wanted = {plugin, error, error_size, data, NULL, NULL};
    return plugin->close == NULL ? 0 : call(&wanted, call_close, "close");
}

int hooks_destroy(const struct kong_plugin *plugin, const void *config, void *state, char *error,
                  size_t error_size) {
    struct hook_call wanted = {plugin, error, error_size, state, NULL, config};
    return plugin->destroy == NULL ? 0 : call(&wanted, call_destroy, "destroy");
}
