#include "doctor.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "options_table.h"
#include "settings.h"

/* --- the settings --- */

static bool read_settings(struct patient *p) {
    static const char *const usual[] = {"/etc/kong/kong.conf", "/etc/kong.conf"};
    const char *path = p->options->conf;
    for (size_t i = 0; i < 2 && path == NULL; i++) {
        path = access(usual[i], F_OK) == 0 ? usual[i] : NULL;
    }
    if (path == NULL) {
        doctor_note(p, "no kong.conf in /etc/kong or /etc: only variables KONG_… are examined; "
                       "--kong-conf FILE names a file elsewhere");
    }
    if (settings_read(&p->settings, path) != 0) {
        doctor_fail(p,
                    errno == EACCES ? "run --doctor as root or as a user who may read that file"
                                    : "--kong-conf FILE, with the file that Kong is started with "
                                      "(-c)",
                    "%s: %s", path, strerror(errno));
        return false;
    }
    if (path != NULL) {
        doctor_ok(p, "settings: %s, and variables KONG_…, which win", path);
    }
    return true;
}

/* What Kong takes where nothing is said. */
static void fill_in_node(struct patient *p) {
    const char *prefix = p->options->prefix;
    snprintf(p->prefix, sizeof p->prefix, "%s",
             prefix != NULL ? prefix : doctor_get(p, "prefix", "/usr/local/kong"));
    size_t len = strlen(p->prefix);
    while (len > 1 && p->prefix[len - 1] == '/') {
        p->prefix[--len] = '\0';
    }
    const char *setting = doctor_get(p, "nginx_user", doctor_get(p, "nginx_main_user", "kong"));
    char user[64];
    snprintf(user, sizeof user, "%.*s", (int)strcspn(setting, " \t"), setting);
    const struct passwd *entry = getpwnam(user);
    entry = entry != NULL ? entry : getpwuid(geteuid());
    p->uid = entry != NULL ? entry->pw_uid : geteuid();
    p->gid = entry != NULL ? entry->pw_gid : getegid();
    p->user = entry != NULL ? entry->pw_name : "";
}

static void fill_in_server(struct patient *p) {
    char key[160];
    settings_server_key(p->name, "socket", key, sizeof key);
    snprintf(p->usual_socket, sizeof p->usual_socket, "%s/%s.socket", p->prefix, p->name);
    p->socket = doctor_get(p, key, p->usual_socket);
    p->start = doctor_find_command(p, p->name, "start_cmd", p->usual_start);
    p->query = doctor_find_command(p, p->name, "query_cmd", p->usual_query);
    p->phase[0] = p->protocol[0] = '\0';
    p->phases = 0;
}

/* Kong's own order: kong start -p, a variable, the file, a default. */
static const char *prefix_source(const struct patient *p) {
    return p->options->prefix != NULL              ? "-p wins, as with kong start -p"
           : getenv("KONG_PREFIX") != NULL         ? "KONG_PREFIX"
           : doctor_get(p, "prefix", NULL) != NULL ? "kong.conf"
                                                   : "Kong's default";
}

static void check_prefix(struct patient *p) {
    struct stat status;
    struct statvfs system;
    const char *set = doctor_get(p, "prefix", "");
    const char *source = prefix_source(p);
    int error = stat(p->prefix, &status) != 0 ? errno : S_ISDIR(status.st_mode) ? 0 : ENOTDIR;
    if (error != 0) {
        const char *mend = doctor_mend_user(p, error);
        if (mend == NULL) {
            mend = doctor_mend(p, "kong prepare -p %s (kong start does it too)", p->prefix);
        }
        doctor_fail(p, mend, "prefix %s (%s): %s", p->prefix, source, strerror(error));
    } else if (statvfs(p->prefix, &system) == 0 && (system.f_flag & ST_RDONLY) != 0) {
        doctor_fail(p,
                    "mount something writable there (a tmpfs will do), or set prefix to another "
                    "directory",
                    "prefix %s (%s): its file system is read-only", p->prefix, source);
    } else if (!doctor_may(p, &status, 3)) {
        doctor_fail(p, doctor_mend(p, "chown %s %s", p->user, p->prefix),
                    "prefix %s (%s): Kong's user %s cannot write there", p->prefix, source,
                    p->user);
    } else {
        doctor_ok(p, "prefix %s (%s), Kong's user %s writes there", p->prefix, source, p->user);
    }
    if (p->options->prefix != NULL && set[0] != '\0' && strcmp(set, p->prefix) != 0) {
        doctor_note(p, "the settings have prefix %s: start Kong with -p %s then", set, p->prefix);
    }
}

/* --- Kong --- */

static void check_version(struct patient *p) {
    struct doctor_output said;
    doctor_shell("kong version", DOCTOR_SHELL_MS, &said);
    const char *digits = said.text == NULL ? "" : said.text + strcspn(said.text, "0123456789");
    p->kong_major = (int)strtol(digits, NULL, 10);
    if (p->kong_major == 0) {
        doctor_note(p, "no kong on PATH: its version is not known");
    } else if (p->kong_major == 1) {
        doctor_fail(p, "a newer Kong", "Kong %.*s has no plugin servers of this kind",
                    (int)strcspn(digits, "\r\n"), digits);
    } else {
        doctor_ok(p, "Kong %.*s", (int)strcspn(digits, "\r\n"), digits);
    }
    free(said.text);
}

/* Which side of a hybrid Kong this node is. */
static void check_role(struct patient *p) {
    const char *role = doctor_get(p, "role", "traditional");
    p->control_plane = strcasecmp(role, "control_plane") == 0;
    if (p->control_plane) {
        doctor_ok(p,
                  "role control_plane: it proxies nothing and needs no server; the names and the "
                  "query command are examined");
    } else if (strcasecmp(role, "data_plane") == 0) {
        doctor_ok(p, "role data_plane: the control plane needs the names, the socket key "
                     "and the query command too (--print-conf --role control_plane)");
    } else if (strcasecmp(role, "traditional") != 0) {
        doctor_fail(p, "role = traditional, control_plane or data_plane",
                    "role %s: Kong does not know it", role);
    }
}

static void check_log_level(struct patient *p) {
    const char *level = doctor_get(p, "log_level", "notice");
    if (strcasecmp(level, "info") == 0 || strcasecmp(level, "debug") == 0) {
        doctor_ok(p, "log_level %s: the server's own lines are in error.log", level);
    } else if (p->log_file[0] != '\0') {
        doctor_ok(p, "the server's own lines are in %s (--log-file)", p->log_file);
    } else {
        doctor_note(p,
                    "log_level %.20s: error.log has the plugin's failures, but not the server's "
                    "own lines; log_level = info shows these, and --log-file in the start command "
                    "writes them to a file",
                    level);
    }
}

/* --- several plugins in one process: plugin servers of Kong's with the same socket, of which one
 * has the start command --- */

/* The first one's socket is that of all. */
static void check_together(struct patient *p) {
    if (!doctor_has_several(p)) {
        return;
    }
    if (p->speaks[0] == '\0') {
        bool msgpack = options_msgpack_plugin(p->options->plugins) != NULL;
        snprintf(p->speaks, sizeof p->speaks, "%s", msgpack ? "MsgPack:1" : p->protocol);
    }
    if (p->protocol[0] != '\0' && strcmp(p->speaks, p->protocol) != 0) {
        doctor_fail(p, doctor_mend_command(p, true, "protocol", p->speaks),
                    "%s is to speak %s, others here %s: Kong keeps the connections of one socket "
                    "for all of them",
                    p->plugin->name, p->protocol, p->speaks);
    }
    if (p->servers++ == 0) {
        snprintf(p->shared, sizeof p->shared, "%s", p->socket);
    } else if (strcmp(p->shared, p->socket) != 0) {
        doctor_fail(p, doctor_mend_own(p, "socket", p->shared),
                    "socket %s: the process that serves %s is at %s, as the others are", p->socket,
                    p->plugin->name, p->shared);
    }
    if (p->start[0] != '\0' && p->starts++ > 0) {
        char key[160];
        settings_server_key(p->name, "start_cmd", key, sizeof key);
        doctor_fail(p, doctor_mend(p, "take %s away: one start command is enough", key),
                    "start command: Kong starts this program once more for %s, and the two take "
                    "the socket from each other",
                    p->plugin->name);
    }
}

static void check_starts(struct patient *p) {
    if (doctor_has_several(p) && p->options->only == NULL && p->starts == 0) {
        doctor_note(p,
                    "no start command at any of the plugins: Kong starts nothing, something else "
                    "must");
    }
}

/* The plugin server of one plugin. */
static void examine_server(struct patient *p, const struct kong_plugin *plugin) {
    const struct doctor_options *options = p->options;
    p->plugin = plugin;
    bool own_name = doctor_has_several(p) && !options->name_given;
    settings_lower(own_name ? plugin->name : options->name, p->name, sizeof p->name);
    doctor_find_name(p);
    fill_in_server(p);
    if (doctor_has_several(p)) {
        fprintf(p->out, "%s (plugin server %s):\n", plugin->name, p->name);
    }
    doctor_names(p);
    doctor_twins(p);
    doctor_query(p);
    if (!p->control_plane) {
        check_together(p);
        doctor_start(p);
        doctor_server(p);
        doctor_headers(p);
    }
}

/* Of the whole node first, so that what is said of a plugin server stands together. */
static void examine(struct patient *p) {
    const struct doctor_options *options = p->options;
    doctor_quotes(p);
    fill_in_node(p);
    check_version(p);
    check_role(p);
    check_prefix(p);
    for (size_t i = 0; i < options->plugins->count; i++) {
        const struct kong_plugin *plugin = options->plugins->list[i].what;
        if (options->only == NULL || options->only == plugin) {
            examine_server(p, plugin);
        }
    }
    doctor_keys(p);
    check_starts(p);
    if (!p->control_plane) {
        check_log_level(p);
    }
}

bool doctor_run(const struct doctor_options *options, FILE *out) {
    struct patient *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return false;
    }
    p->options = options;
    p->out = out;
    buffer_init(&p->mend, DOCTOR_MOST);
    p->colours = isatty(fileno(out)) && getenv("NO_COLOR") == NULL;
    if (read_settings(p)) {
        examine(p);
    }
    bool well = p->findings[DOCTOR_FAIL] == 0;
    fprintf(out, "%s: %u ok, %u to note, %u FAIL\n",
            well ? "all is well" : "see the lines that begin with FAIL", p->findings[DOCTOR_OK],
            p->findings[DOCTOR_NOTE], p->findings[DOCTOR_FAIL]);
    settings_free(&p->settings);
    buffer_free(&p->mend);
    free(p);
    return well;
}
