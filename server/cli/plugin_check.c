#include "plugin_check.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "dump.h"
#include "limit.h"
#include "prefetch.h"
#include "printable.h"
#include "schema.h"
#include "settings.h"

#define DAY_MS 86400000u

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

static int check_names(const struct kong_plugin *plugin, char *error, size_t error_size) {
    if (plugin->name == NULL || plugin->name[0] == '\0') {
        return printable_error(
            error, error_size,
            "the plugin has no name: set .name, as in Kong's `plugins`, like \"rate-card\"");
    }
    if (!is_name(plugin->name)) {
        return printable_error(
            error, error_size,
            "the plugin's name \"%.100s\": lower case letters, digits, - and _ only, and a "
            "letter or digit first",
            plugin->name);
    }
    if (is_bundled(plugin->name)) {
        return printable_error(
            error, error_size,
            "the plugin's name \"%.100s\" is that of a plugin bundled with Kong, "
            "which Kong loads instead: give it another",
            plugin->name);
    }
    if (plugin->version == NULL || plugin->version[0] == '\0') {
        return printable_error(
            error, error_size,
            "the plugin %.100s has no version, without which Kong does not start: set "
            ".version, like \"1.0\" or \"1.0.0\"",
            plugin->name);
    }
    if (!plugin_check_version(plugin->version)) {
        return printable_error(
            error, error_size,
            "the plugin %.100s: version \"%.100s\", with which Kong does not start: it "
            "must be like \"1.0\" or \"1.0.0\"",
            plugin->name, plugin->version);
    }
    return 0;
}

static int check_phases(const struct kong_plugin *plugin, char *error, size_t error_size) {
    const unsigned both =
        KONG_PHASE_BIT(KONG_PHASE_RESPONSE) | KONG_PHASE_BIT(KONG_PHASE_HEADER_FILTER);
    const unsigned handled = dump_handled_phases(plugin);
    if (handled == 0) {
        return printable_error(
            error, error_size,
            "the plugin %.100s has no handler: set .handlers, like [KONG_PHASE_ACCESS]",
            plugin->name);
    }
    if (handled == KONG_PHASE_BIT(KONG_PHASE_HEADER_FILTER)) {
        return printable_error(
            error, error_size,
            "the plugin %.100s has a handler for header_filter only, where no Kong up to 3.9 can "
            "call it: add one for access or response",
            plugin->name);
    }
    for (unsigned phase = 0; phase < 32; phase++) {
        if ((plugin->phases & ~handled & KONG_PHASE_BIT(phase)) != 0) {
            return printable_error(
                error, error_size,
                "the plugin %.100s names %s in .phases, and has no handler for it", plugin->name,
                phase < KONG_PHASE_COUNT ? kong_phase_name((enum kong_phase)phase)
                                         : "an unknown phase");
        }
    }
    if ((plugin->phases & both) == both) {
        return printable_error(
            error, error_size,
            "the plugin %.100s names response and header_filter in .phases: Kong refuses a "
            "plugin that has both",
            plugin->name);
    }
    return 0;
}

static int check_stack(const struct kong_plugin *plugin, char *error, size_t error_size) {
    size_t size = plugin->stack_size;
    if (size != 0 && (size < LIMIT_STACK_LEAST || size > LIMIT_STACK_MOST)) {
        return printable_error(
            error, error_size,
            "the plugin %.100s: .stack_size is %zu bytes: it must be from %zu to %zu, or 0 "
            "for %zu",
            plugin->name, size, LIMIT_STACK_LEAST, LIMIT_STACK_MOST, LIMIT_STACK);
    }
    return 0;
}

static int check_job(const struct kong_plugin *plugin, size_t index, char *error,
                     size_t error_size) {
    const struct kong_job *job = &plugin->jobs[index];
    if (!is_name(job->name)) {
        return printable_error(
            error, error_size,
            "the plugin %.100s: the job's name \"%.100s\": lower case letters, digits, - and "
            "_ only, and a letter or digit first",
            plugin->name, job->name);
    }
    for (size_t i = 0; i < index; i++) {
        if (strcmp(plugin->jobs[i].name, job->name) == 0) {
            return printable_error(error, error_size,
                                   "the plugin %.100s has two jobs of the name %.100s",
                                   plugin->name, job->name);
        }
    }
    if (job->run == NULL) {
        return printable_error(error, error_size,
                               "the plugin %.100s: the job %.100s has no function", plugin->name,
                               job->name);
    }
    if (job->interval_ms < 1 || job->interval_ms > DAY_MS) {
        return printable_error(
            error, error_size,
            "the plugin %.100s: the job %.100s: its interval is %llu ms: it must be from 1 "
            "to %u",
            plugin->name, job->name, (unsigned long long)job->interval_ms, DAY_MS);
    }
    return 0;
}

static int check_jobs(const struct kong_plugin *plugin, char *error, size_t error_size) {
    bool ended = false;
    for (size_t i = 0; i < KONG_JOBS_MOST; i++) {
        const struct kong_job *job = &plugin->jobs[i];
        ended = ended || job->name == NULL;
        if (ended && (job->name != NULL || job->run != NULL)) {
            return printable_error(error, error_size, "the plugin %.100s: the job %zu has no name",
                                   plugin->name, job->name == NULL ? i + 1 : i);
        }
        if (!ended && check_job(plugin, i, error, error_size) != 0) {
            return -1;
        }
    }
    return 0;
}

int plugin_check(const struct kong_plugin *plugin, char *error, size_t error_size) {
    char text[400];
    if (check_names(plugin, error, error_size) != 0 ||
        check_phases(plugin, error, error_size) != 0 ||
        check_stack(plugin, error, error_size) != 0 || check_jobs(plugin, error, error_size) != 0) {
        return -1;
    }
    if (prefetch_check(plugin, false, text, sizeof text) != 0 ||
        schema_check_protocols(plugin->schema, dump_default_phases(plugin), text, sizeof text) !=
            0 ||
        schema_check(plugin->schema, text, sizeof text) != 0) {
        return printable_error(error, error_size, "the plugin %.100s: %s", plugin->name, text);
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
