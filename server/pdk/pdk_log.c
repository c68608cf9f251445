#include "pdk_call.h"

#include <stdarg.h>
#include <stdio.h>

#include "printable.h"

struct line {
    char text[PRINTABLE_KONG_LINE];
    size_t len;
};

static int format_line(struct line *line, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/* `raw` is larger than a line: what does not fit into it would be cut off anyway. */
static int format_line(struct line *line, const char *format, va_list args) {
    char raw[sizeof line->text + 1];
    int len = vsnprintf(raw, sizeof raw, format, args);
    if (len < 0) {
        return -1;
    }
    line->len = printable_copy(line->text, sizeof line->text, raw,
                               (size_t)len < sizeof raw ? (size_t)len : sizeof raw - 1);
    return 0;
}

static int post_line(struct kong *kong, enum pdk_id id, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

static int post_line(struct kong *kong, enum pdk_id id, const char *format, va_list args) {
    struct line line;
    if (format_line(&line, format, args) != 0) {
        return pdk_fail(kong, id, KONG_E_INVALID, "the line cannot be formatted");
    }
    return pdk_post(kong, id, ARGS(kong_bytes(line.text, line.len)));
}

#define LOG_FUNCTION(name, id)                                                                     \
    int name(struct kong *kong, const char *format, ...) {                                         \
        va_list args;                                                                              \
        va_start(args, format);                                                                    \
        int error = post_line(kong, id, format, args);                                             \
        va_end(args);                                                                              \
        return error;                                                                              \
    }

LOG_FUNCTION(kong_log, PDK_LOG)
LOG_FUNCTION(kong_log_alert, PDK_LOG_ALERT)
LOG_FUNCTION(kong_log_crit, PDK_LOG_CRIT)
LOG_FUNCTION(kong_log_err, PDK_LOG_ERR)
LOG_FUNCTION(kong_log_warn, PDK_LOG_WARN)
LOG_FUNCTION(kong_log_notice, PDK_LOG_NOTICE)
LOG_FUNCTION(kong_log_info, PDK_LOG_INFO)
LOG_FUNCTION(kong_log_debug, PDK_LOG_DEBUG)

int kong_log_deprecation(struct kong *kong, const char *after, const char *removal,
                         const char *format, ...) {
    struct line line;
    va_list args;
    va_start(args, format);
    int rc = format_line(&line, format, args);
    va_end(args);
    if (rc != 0) {
        return pdk_fail(kong, PDK_LOG_DEPRECATION, KONG_E_INVALID, "the line cannot be formatted");
    }
    struct kong_pair versions[2];
    size_t count = 0;
    if (after != NULL) {
        versions[count++] = kong_pair("after", kong_string(after));
    }
    if (removal != NULL) {
        versions[count++] = kong_pair("removal", kong_string(removal));
    }
    struct kong_value values[] = {kong_bytes(line.text, line.len), kong_map(versions, count)};
    return pdk_post(kong, PDK_LOG_DEPRECATION, values, count == 0 ? 1 : 2);
}

PDK_POST_VALUE(kong_log_set_serialize_value, PDK_LOG_SET_SERIALIZE_VALUE)
PDK_GET_STR(kong_log_serialize, PDK_LOG_SERIALIZE, json)

static bool is_map_or_nil(struct kong_value value) {
    return value.type == KONG_MAP || value.type == KONG_NIL;
}

int kong_telemetry_log(struct kong *kong, const char *plugin_name, struct kong_value plugin_config,
                       const char *message_type, const char *message,
                       struct kong_value attributes) {
    if (plugin_name == NULL || message_type == NULL || !is_map_or_nil(plugin_config) ||
        !is_map_or_nil(attributes)) {
        return pdk_fail(kong, PDK_TELEMETRY_LOG, KONG_E_INVALID,
                        "a name and a type must be given, configuration and attributes are maps");
    }
    if (plugin_config.type == KONG_NIL) {
        plugin_config = kong_map(NULL, 0);
    }
    return pdk_confirm(kong, PDK_TELEMETRY_LOG,
                       ARGS(kong_string(plugin_name), plugin_config, kong_string(message_type),
                            kong_string(message), attributes),
                       "Kong collects no such records");
}
