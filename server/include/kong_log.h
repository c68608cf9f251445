/* Kong's log. Part of kong.h.
 *
 * The functions with a format are printf-like: the compiler checks the arguments. They are posted
 * and never wait. In a job they go to the server's own log. What is logged stays one line: control
 * characters and bytes that are not UTF-8 become \xNN. It is cut at 2,047 bytes, with "..." at its
 * end: nginx cuts its own lines at 4,096, and writes the client, the request and its id behind the
 * text. kong_call does the same. */
#ifndef KONG_LOG_H
#define KONG_LOG_H

#include "kong_event.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- Lines in Kong's error.log --- */

/* kong.log.alert: a line at level alert.
 * Phases: all. Posted. */
int kong_log_alert(struct kong *kong, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* kong.log.crit: a line at level crit.
 * Phases: all. Posted. */
int kong_log_crit(struct kong *kong, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* kong.log.err: a line at level error.
 * Phases: all. Posted. */
int kong_log_err(struct kong *kong, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* kong.log.warn: a line at level warn.
 * Phases: all. Posted. */
int kong_log_warn(struct kong *kong, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* kong.log.notice: a line at level notice, the lowest that Kong writes by default.
 * Phases: all. Posted. */
int kong_log_notice(struct kong *kong, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* kong.log.info: a line at level info.
 * Phases: all. Posted. */
int kong_log_info(struct kong *kong, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* kong.log.debug: a line at level debug.
 * Phases: all. Posted. */
int kong_log_debug(struct kong *kong, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* kong.log: a line at level notice.
 * Phases: all. Posted. MsgPack:1 only. */
int kong_log(struct kong *kong, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* kong.log.deprecation: a line at level warn that something is deprecated after one version of Kong
 * and removed in another; both may be NULL.
 * Phases: all. Posted. MsgPack:1 only. */
int kong_log_deprecation(struct kong *kong, const char *after, const char *removal,
                         const char *format, ...) __attribute__((format(printf, 4, 5)));

/* --- Lines in the server's own log --- */

enum kong_log_level {
    KONG_LOG_DEBUG,
    KONG_LOG_INFO,
    KONG_LOG_NOTICE,
    KONG_LOG_WARN,
    KONG_LOG_ERROR,
};

/* A line in the server's log (stderr), with the options --log-level and --log-format: for open,
 * configure, their ends and the plugin's own threads, where there is no request. From any thread,
 * and from a handler too. It never waits: where nobody reads, the line is dropped and counted. It
 * stays one line, as above, and takes some 16 KiB of stack. In a test of the kit and with
 * --check-config it goes to stderr as it is. */
void kong_process_log(enum kong_log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3))) KONG_NONNULL(2);

/* --- What logging plugins write --- */

/* kong.log.set_serialize_value: adds a value to what kong.log.serialize gives, and so to what
 * logging plugins (file-log, http-log, …) write. A dot in the key descends into a table; nil
 * removes. On ProtoBuf:1 false arrives as nil.
 * Phases: rewrite, access, response, header_filter, log. Kong 2.8: not in log. Posted. */
int kong_log_set_serialize_value(struct kong *kong, const char *key, struct kong_value value);

/* kong.log.serialize: what logging plugins write of this request, a JSON text.
 * Phases: log. */
int kong_log_serialize(struct kong *kong, struct kong_str *json) KONG_NONNULL(1, 2);

/* kong.telemetry.log: a record for the opentelemetry plugin. plugin_config is a map (Kong takes
 * __plugin_id and plugin_instance_name from it) or nil; message may be NULL; attributes is a map or
 * nil.
 * Phases: all. Kong 2.8: none. MsgPack:1 only.
 * KONG_E_KONG: no opentelemetry plugin collects logs, or this Kong has no such function. */
int kong_telemetry_log(struct kong *kong, const char *plugin_name, struct kong_value plugin_config,
                       const char *message_type, const char *message, struct kong_value attributes);

#ifdef __cplusplus
}
#endif

#endif
