#include "plugin_check.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "dump.h"
#include "limit.h"
#include "prefetch.h"
#include "printable.h"
#include "schema.h"
#include "settings.h"

#define DAY_MS    86400000u
#define NAME_RULE "lower case letters, digits, - and _ only, and a letter or digit first"

bool plugin_check_version(const char *version) {
    int parts = 0;
    while (isdigit((unsigned char)*version)) {
        version += strspn(version, "0123456789");
        parts++;
        if (*version != '.') {
            break;
        }
        version++;
    }
    return *version == '\0' && version[-1] != '.' && (parts == 2 || parts == 3);
}

/* Kong's `plugins` is a list with commas and blanks, and a name is part of a path to it. */
static bool is_name(const char *name) {
    return isalnum((unsigned char)name[0]) && !isupper((unsigned char)name[0]) &&
           name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-")] == '\0';
}

/* Kong 2.8 and 3.9, kong/constants.lua. Kong looks for a plugin in Lua first. */
static bool is_bundled(const char *name) {
    static const char names[] =
        "acl acme ai-prompt-decorator ai-prompt-guard ai-prompt-template ai-proxy "
        "ai-request-transformer ai-response-transformer aws-lambda azure-functions "
        "basic-auth bot-detection correlation-id cors datadog file-log grpc-gateway grpc-web "
        "hmac-auth http-log ip-restriction jwt key-auth ldap-auth loggly oauth2 "
        "opentelemetry post-function pre-function prometheus proxy-cache rate-limiting "
        "redirect request-size-limiting request-termination request-transformer "
        "response-ratelimiting response-transformer session standard-webhooks statsd syslog "
        "tcp-log udp-log zipkin";
    return settings_list_has(names, name);
}

/* The plugin that is looked at, and where the line about it goes. */
struct check {
    const struct kong_plugin *plugin;
    char *error;
    size_t error_size;
};

/* "the plugin NAME" and the text. Always -1. */
static int wrong(const struct check *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int wrong(const struct check *check, const char *format, ...) {
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return printable_error(check->error, check->error_size, "the plugin %.100s%s",
                           check->plugin->name, text);
}

static int check_names(const struct check *check) {
    const char *name = check->plugin->name, *version = check->plugin->version;
    if (name == NULL || name[0] == '\0') {
        return printable_error(
            check->error, check->error_size,
            "the plugin has no name: set .name, as in Kong's `plugins`, like \"rate-card\"");
    }
    if (!is_name(name)) {
        return printable_error(check->error, check->error_size,
                               "the plugin's name \"%.100s\": " NAME_RULE, name);
    }
    if (is_bundled(name)) {
        return printable_error(check->error, check->error_size,
                               "the plugin's name \"%.100s\" is that of a plugin bundled with "
                               "Kong, which Kong loads instead: give it another",
                               name);
    }
    if (version == NULL || version[0] == '\0') {
        return wrong(check, " has no version, without which Kong does not start: set .version, "
                            "like \"1.0\" or \"1.0.0\"");
    }
    if (!plugin_check_version(version)) {
        return wrong(check,
                     ": version \"%.100s\", with which Kong does not start: it must be like "
                     "\"1.0\" or \"1.0.0\"",
                     version);
    }
    return 0;
}

static int check_phases(const struct check *check) {
    const struct kong_plugin *plugin = check->plugin;
    const unsigned both =
        KONG_PHASE_BIT(KONG_PHASE_RESPONSE) | KONG_PHASE_BIT(KONG_PHASE_HEADER_FILTER);
    const unsigned handled = dump_handled_phases(plugin);
    if (handled == 0) {
        return wrong(check, " has no handler: set .handlers, like [KONG_PHASE_ACCESS]");
    }
    if (handled == KONG_PHASE_BIT(KONG_PHASE_HEADER_FILTER)) {
        return wrong(check, " has a handler for header_filter only, where no Kong up to 3.9 can "
                            "call it: add one for access or response");
    }
    for (unsigned phase = 0; phase < 32; phase++) {
        if ((plugin->phases & ~handled & KONG_PHASE_BIT(phase)) != 0) {
            return wrong(check, " names %s in .phases, and has no handler for it",
                         phase < KONG_PHASE_COUNT ? kong_phase_name((enum kong_phase)phase)
                                                  : "an unknown phase");
        }
    }
    if ((plugin->phases & both) == both) {
        return wrong(check, " names response and header_filter in .phases: Kong refuses a plugin "
                            "that has both");
    }
    return 0;
}

static int check_stack(const struct check *check) {
    size_t size = check->plugin->stack_size;
    if (size != 0 && (size < LIMIT_STACK_LEAST || size > LIMIT_STACK_MOST)) {
        return wrong(check, ": .stack_size is %zu bytes: it must be from %zu to %zu, or 0 for %zu",
                     size, LIMIT_STACK_LEAST, LIMIT_STACK_MOST, LIMIT_STACK);
    }
    return 0;
}

static int check_job(const struct check *check, size_t index) {
    const struct kong_job *jobs = check->plugin->jobs, *job = &jobs[index];
    if (!is_name(job->name)) {
        return wrong(check, ": the job's name \"%.100s\": " NAME_RULE, job->name);
    }
    for (size_t i = 0; i < index; i++) {
        if (strcmp(jobs[i].name, job->name) == 0) {
            return wrong(check, " has two jobs of the name %.100s", job->name);
        }
    }
    if (job->run == NULL) {
        return wrong(check, ": the job %.100s has no function", job->name);
    }
    if (job->interval_ms < 1 || job->interval_ms > DAY_MS) {
        return wrong(check, ": the job %.100s: its interval is %llu ms: it must be from 1 to %u",
                     job->name, (unsigned long long)job->interval_ms, DAY_MS);
    }
    return 0;
}

static int check_jobs(const struct check *check) {
    bool ended = false;
    for (size_t i = 0; i < KONG_JOBS_MOST; i++) {
        const struct kong_job *job = &check->plugin->jobs[i];
        ended = ended || job->name == NULL;
        if (ended && (job->name != NULL || job->run != NULL)) {
            return wrong(check, ": the job %zu has no name", job->name == NULL ? i + 1 : i);
        }
        if (!ended && check_job(check, i) != 0) {
            return -1;
        }
    }
    return 0;
}

int plugin_check(const struct kong_plugin *plugin, char *error, size_t error_size) {
    const struct check check = {plugin, error, error_size};
    char text[400];
    if (check_names(&check) != 0 || check_phases(&check) != 0 || check_stack(&check) != 0 ||
        check_jobs(&check) != 0) {
        return -1;
    }
    if (prefetch_check(plugin, false, text, sizeof text) != 0 ||
        schema_check_protocols(plugin->schema, dump_default_phases(plugin), text, sizeof text) !=
            0 ||
        schema_check(plugin->schema, text, sizeof text) != 0) {
        return wrong(&check, ": %s", text);
    }
    return 0;
}

/* In the keys of kong.conf - is _. */
static bool are_alike(const char *a, const char *b) {
    while (*a != '\0' && (*a == '-' ? '_' : *a) == (*b == '-' ? '_' : *b)) {
        a++;
        b++;
    }
    return *a == *b;
}

int plugin_check_all(const struct kong_plugin *const *plugins, size_t count, char *error,
                     size_t error_size) {
    if (count == 0 || count > KONG_PLUGINS_MOST) {
        return printable_error(error, error_size,
                               "a program of %zu plugins: kong_main_plugins takes 1 to %d", count,
                               KONG_PLUGINS_MOST);
    }
    for (size_t i = 0; i < count; i++) {
        if (plugins[i] == NULL) {
            return printable_error(error, error_size,
                                   "plugin %zu of %zu is NULL: is the count given to "
                                   "kong_main_plugins that of the list?",
                                   i + 1, count);
        }
        if (plugin_check(plugins[i], error, error_size) != 0) {
            return -1;
        }
        for (size_t k = 0; k < i; k++) {
            if (are_alike(plugins[i]->name, plugins[k]->name)) {
                return printable_error(error, error_size,
                                       "the plugins %zu and %zu are called %.60s and %.60s: each "
                                       "needs a name of its own (kong.conf takes - for _)",
                                       k + 1, i + 1, plugins[k]->name, plugins[i]->name);
            }
        }
    }
    return 0;
}
