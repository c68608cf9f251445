#include "doctor.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <linux/limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "printable.h"
#include "settings.h"

#define VALUE 1024

/* What is looked at, found on the way. */
struct patient {
    struct doctor doctor;
    struct settings settings;
    char name[64]; /* the plugin server's, as Kong has it */
    char key[64];  /* … in keys */
    char prefix[VALUE];
    char socket[VALUE];
    char start[VALUE]; /* "" : Kong starts nothing */
    char query[VALUE];
    char phase[32]; /* one that Kong calls; "": not known */
    int kong_major; /* 0: not known */
    const char *user;
    uid_t uid;
    gid_t gid;
};

/* --- speaking --- */

static void say(struct doctor *doctor, const char *what, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

static void say(struct doctor *doctor, const char *what, const char *format, va_list args) {
    char text[2048];
    char line[2048];
    if (vsnprintf(text, sizeof text, format, args) < 0) {
        text[0] = '\0';
    }
    printable_copy(line, sizeof line, text, strlen(text));
    fprintf(doctor->out, "%-4s %s\n", what, line);
}

void doctor_ok(struct doctor *doctor, const char *format, ...) {
    va_list args;
    va_start(args, format);
    say(doctor, "ok", format, args);
    va_end(args);
}

void doctor_note(struct doctor *doctor, const char *format, ...) {
    va_list args;
    va_start(args, format);
    say(doctor, "note", format, args);
    va_end(args);
}

void doctor_fail(struct doctor *doctor, const char *mend, const char *format, ...) {
    char line[2048];
    va_list args;
    va_start(args, format);
    say(doctor, "FAIL", format, args);
    va_end(args);
    printable_copy(line, sizeof line, mend, strlen(mend));
    fprintf(doctor->out, "     mend: %s\n", line);
    doctor->failed++;
}

/* --- the settings --- */

static const char *get(const struct patient *p, const char *key, const char *otherwise) {
    return settings_get(&p->settings, key, otherwise);
}

static const char *get_own(const struct patient *p, const char *what, const char *otherwise) {
    char key[160];
    snprintf(key, sizeof key, "pluginserver_%s_%s", p->key, what);
    return get(p, key, otherwise);
}

static bool read_settings(struct patient *p) {
    static const char *const usual[] = {"/etc/kong/kong.conf", "/etc/kong.conf"};
    const char *path = p->doctor.options->conf;
    for (size_t i = 0; i < 2 && path == NULL; i++) {
        path = access(usual[i], F_OK) == 0 ? usual[i] : NULL;
    }
    if (path == NULL) {
        doctor_note(&p->doctor, "no kong.conf in /etc/kong or /etc: variables KONG_… only");
    }
    if (settings_read(&p->settings, path) != 0) {
        doctor_fail(&p->doctor, "--kong-conf FILE, with the file that Kong is started with (-c)",
                    "%s: %s", path, strerror(errno));
        return false;
    }
    if (path != NULL) {
        doctor_ok(&p->doctor, "settings: %s, and variables KONG_…, which win", path);
    }
    return true;
}

static void check_names(struct patient *p) {
    char mend[300];
    const char *names = get(p, "pluginserver_names", "");
    const char *plugin = p->doctor.options->plugin->name;
    const char *plugins = get(p, "plugins", "bundled");
    if (settings_list_has(names, p->name)) {
        doctor_ok(&p->doctor, "pluginserver_names has %s", p->name);
    } else {
        snprintf(mend, sizeof mend,
                 "pluginserver_names = %.100s%s%s (or --name: what is it called?)", names,
                 names[0] != '\0' ? "," : "", p->name);
        doctor_fail(&p->doctor, mend, "pluginserver_names does not have %s", p->name);
    }
    if (settings_list_has(plugins, plugin)) {
        doctor_ok(&p->doctor, "plugins has %s", plugin);
    } else {
        snprintf(mend, sizeof mend, "plugins = %.100s,%.60s",
                 settings_list_has(plugins, "off") ? "bundled" : plugins, plugin);
        doctor_fail(&p->doctor, mend, "plugins does not name %s: Kong does not know it", plugin);
    }
}

/* Keys of plugin servers that no name goes with: Kong passes over them without a word. */
static void check_keys(struct patient *p) {
    static const char *const ends[] = {"socket", "start_cmd", "query_cmd"};
    char wanted[160];
    for (size_t i = 0; i < p->settings.count; i++) {
        const char *key = p->settings.settings[i].key;
        bool known =
            strncmp(key, "pluginserver_", 13) != 0 || strcmp(key, "pluginserver_names") == 0;
        char names[VALUE];
        char *rest = names;
        snprintf(names, sizeof names, "%s", get(p, "pluginserver_names", ""));
        for (char *name = strtok_r(names, ", \t", &rest); name != NULL && !known;
             name = strtok_r(NULL, ", \t", &rest)) {
            for (size_t k = 0; k < 3 && !known; k++) {
                snprintf(wanted, sizeof wanted, "pluginserver_%.100s_%s", name, ends[k]);
                for (char *c = wanted; *c != '\0'; c++) {
                    *c = *c == '-' ? '_' : (char)tolower((unsigned char)*c);
                }
                known = strcmp(wanted, key) == 0;
            }
        }
        if (!known) {
            snprintf(wanted, sizeof wanted, "pluginserver_%s_{socket,start_cmd,query_cmd}", p->key);
            doctor_fail(&p->doctor, wanted,
                        "the key %.100s belongs to no name in pluginserver_names", key);
        }
    }
}

/* What Kong takes where nothing is said. */
static void fill_in(struct patient *p) {
    char usual[VALUE];
    snprintf(p->prefix, sizeof p->prefix, "%s", get(p, "prefix", "/usr/local/kong"));
    size_t len = strlen(p->prefix);
    while (len > 1 && p->prefix[len - 1] == '/') {
        p->prefix[--len] = '\0';
    }
    snprintf(usual, sizeof usual, "%.900s/%s.socket", p->prefix, p->name);
    snprintf(p->socket, sizeof p->socket, "%s", get_own(p, "socket", usual));
    snprintf(usual, sizeof usual, "/usr/local/bin/%s", p->name);
    bool there = access(usual, F_OK) == 0;
    snprintf(p->start, sizeof p->start, "%s", get_own(p, "start_cmd", there ? usual : ""));
    snprintf(p->query, sizeof p->query, "%s", get_own(p, "query_cmd", ""));
    if (p->query[0] == '\0' && there) {
        snprintf(p->query, sizeof p->query, "%.1000s -dump", usual);
    }
    const char *setting = get(p, "nginx_user", get(p, "nginx_main_user", "kong"));
    char user[64];
    snprintf(user, sizeof user, "%.*s", (int)strcspn(setting, " \t"), setting);
    const struct passwd *entry = getpwnam(user);
    entry = entry != NULL ? entry : getpwuid(geteuid());
    p->uid = entry != NULL ? entry->pw_uid : geteuid();
    p->gid = entry != NULL ? entry->pw_gid : getegid();
    p->user = entry != NULL ? entry->pw_name : "";
}

/* Whether Kong's user may do what the bits (as of the others: 2 write, 1 enter) say. */
static bool may(const struct patient *p, const struct stat *status, unsigned bits) {
    unsigned mode = status->st_mode;
    unsigned shift = status->st_uid == p->uid ? 6 : status->st_gid == p->gid ? 3 : 0;
    return p->uid == 0 || (mode >> shift & bits) == bits;
}

static void check_prefix(struct patient *p) {
    struct stat status;
    char mend[VALUE + 100];
    int error = stat(p->prefix, &status) != 0 ? errno : S_ISDIR(status.st_mode) ? 0 : ENOTDIR;
    if (error != 0) {
        snprintf(mend, sizeof mend, "kong prepare -p %s (kong start does it too)", p->prefix);
        doctor_fail(&p->doctor, mend, "prefix %.900s: %s", p->prefix, strerror(error));
    } else if (!may(p, &status, 3)) {
        snprintf(mend, sizeof mend, "chown %s %s", p->user, p->prefix);
        doctor_fail(&p->doctor, mend, "prefix %.900s: Kong's user %s cannot write there", p->prefix,
                    p->user);
    } else {
        doctor_ok(&p->doctor, "prefix %.900s, Kong's user %s writes there", p->prefix, p->user);
    }
}

/* --- the commands --- */

/* Where the server that a start command starts listens; false: it cannot be told. */
static bool socket_of_command(const struct patient *p, char *out, size_t size) {
    char words[VALUE];
    char real[PATH_MAX];
    char prefix[VALUE] = "/usr/local/kong";
    char *rest = words;
    snprintf(words, sizeof words, "%s", p->start);
    const char *program = strtok_r(words, " \t", &rest);
    if (strpbrk(p->start, "'\"\\$`;&|") != NULL || program == NULL ||
        realpath(program, real) == NULL || strcmp(real, p->doctor.options->executable) != 0) {
        return false;
    }
    const char *slash = strrchr(program, '/');
    const char *name = slash != NULL ? slash + 1 : program;
    out[0] = '\0';
    for (const char *word = strtok_r(NULL, " \t", &rest); word != NULL;
         word = strtok_r(NULL, " \t", &rest)) {
        char option[32];
        word += *word == '-' ? 1 : 0;
        word += *word == '-' ? 1 : 0;
        const char *value = strchr(word, '=');
        snprintf(option, sizeof option, "%.*s", (int)strcspn(word, "="), word);
        bool is_socket = strcmp(option, "socket") == 0;
        bool is_prefix = strcmp(option, "p") == 0 || strcmp(option, "kong-prefix") == 0;
        bool is_name = strcmp(option, "name") == 0;
        if (!is_socket && !is_prefix && !is_name) {
            continue;
        }
        value = value != NULL ? value + 1 : strtok_r(NULL, " \t", &rest);
        if (value == NULL) {
            return false;
        }
        if (is_name) {
            name = value;
        } else {
            snprintf(is_socket ? out : prefix, is_socket ? size : sizeof prefix, "%s", value);
        }
    }
    if (out[0] == '\0') {
        size_t len = strlen(prefix);
        while (len > 0 && prefix[len - 1] == '/') {
            len--;
        }
        snprintf(out, size, "%.*s/%s.socket", (int)len, prefix, name);
    }
    return true;
}

static void check_start(struct patient *p) {
    char program[VALUE];
    char socket[2 * VALUE];
    char mend[3 * VALUE];
    struct stat status;
    if (p->start[0] == '\0') {
        doctor_note(&p->doctor,
                    "no start command, and no /usr/local/bin/%s: Kong starts nothing, something "
                    "else must",
                    p->name);
        return;
    }
    size_t skip = p->start[0] == '\'' || p->start[0] == '"';
    snprintf(program, sizeof program, "%.*s",
             (int)strcspn(p->start + skip, skip ? (char[]){p->start[0], '\0'} : " \t"),
             p->start + skip);
    if (program[0] != '/') {
        doctor_fail(&p->doctor, "name the program with its whole path",
                    "start command: %.900s: Kong starts it without PATH", p->start);
    } else if (stat(program, &status) != 0 || !S_ISREG(status.st_mode) || !may(p, &status, 1)) {
        snprintf(mend, sizeof mend, "chmod a+x %s, or the path that there is (--print-conf)",
                 program);
        doctor_fail(&p->doctor, mend, "start command: %.900s: Kong's user %s cannot run %.900s",
                    p->start, p->user, program);
    } else if (socket_of_command(p, socket, sizeof socket) && strcmp(socket, p->socket) != 0) {
        snprintf(mend, sizeof mend, "pluginserver_%s_start_cmd = %s --socket %s", p->key, program,
                 p->socket);
        doctor_fail(&p->doctor, mend,
                    "start command: it listens at %.600s, Kong connects to %.600s", socket,
                    p->socket);
    } else {
        doctor_ok(&p->doctor, "start command: %.900s", p->start);
    }
}

static void check_version(struct patient *p) {
    int status;
    const char *reason;
    char *text = doctor_shell("kong version", &status, &reason);
    const char *digits = text == NULL ? "" : text + strcspn(text, "0123456789");
    p->kong_major = (int)strtol(digits, NULL, 10);
    if (p->kong_major == 0) {
        doctor_note(&p->doctor, "no kong on PATH: its version is not known");
    } else if (p->kong_major == 1) {
        doctor_fail(&p->doctor, "a newer Kong", "Kong %.20s has no plugin servers of this kind",
                    digits);
    } else {
        doctor_ok(&p->doctor, "Kong %.*s", (int)strcspn(digits, "\r\n"), digits);
    }
    free(text);
}

static void check_query(struct patient *p) {
    char mend[VALUE];
    if (p->query[0] == '\0') {
        snprintf(mend, sizeof mend, "pluginserver_%s_query_cmd = %.900s --dump", p->key,
                 p->doctor.options->executable);
        doctor_fail(&p->doctor, mend, "no query command: Kong cannot learn of the plugin");
        return;
    }
    doctor_query(&p->doctor, p->query, p->kong_major, p->phase, sizeof p->phase);
}

/* --- the socket --- */

static bool check_socket(struct patient *p) {
    struct stat status;
    char mend[VALUE + 100];
    struct sockaddr_un address;
    if (strlen(p->socket) >= sizeof address.sun_path) {
        snprintf(mend, sizeof mend, "pluginserver_%s_socket = a shorter path", p->key);
        doctor_fail(&p->doctor, mend,
                    "socket %.900s: a path of %zu bytes, at most %zu are possible", p->socket,
                    strlen(p->socket), sizeof address.sun_path - 1);
        return false;
    }
    if (lstat(p->socket, &status) != 0) {
        doctor_fail(&p->doctor,
                    p->start[0] != '\0' ? "kong start, or kong restart; then look into error.log"
                                        : "start the server, with this --socket",
                    "socket %.900s: %s: no server has been started", p->socket, strerror(errno));
        return false;
    }
    const struct passwd *owner = getpwuid(status.st_uid);
    if (!S_ISSOCK(status.st_mode)) {
        snprintf(mend, sizeof mend, "rm %s, and restart Kong", p->socket);
        doctor_fail(&p->doctor, mend, "socket %.900s: is not a socket", p->socket);
        return false;
    }
    if (!may(p, &status, 2)) {
        doctor_fail(&p->doctor, "--socket-mode 0660 --socket-group, or start it as Kong's user",
                    "socket %.800s: owner %s, mode %04o: Kong's user %s cannot connect", p->socket,
                    owner != NULL ? owner->pw_name : "?", status.st_mode & 07777, p->user);
        return false;
    }
    doctor_ok(&p->doctor, "socket %.900s: owner %s, mode %04o", p->socket,
              owner != NULL ? owner->pw_name : "?", status.st_mode & 07777);
    return true;
}

static void check_server(struct patient *p) {
    static const enum protocol protocols[] = {PROTOCOL_PROTOBUF, PROTOCOL_MSGPACK};
    static const char *const names[] = {"ProtoBuf:1", "MsgPack:1"};
    const char *plugin = p->doctor.options->plugin->name;
    char error[256];
    if (p->phase[0] == '\0') {
        doctor_note(&p->doctor, "no event is tried: the query command names no phase");
        return;
    }
    for (size_t i = 0; i < 2; i++) {
        int calls = doctor_probe(p->socket, protocols[i], plugin, p->phase, error, sizeof error);
        if (calls < 0) {
            doctor_fail(&p->doctor, "kong restart; then look into error.log at log_level = info",
                        "an event of %s over %s: %s", p->phase, names[i], error);
        } else {
            doctor_ok(&p->doctor, "an event of %s over %s: answered, with %d calls to Kong",
                      p->phase, names[i], calls);
        }
    }
}

static void check_log_level(struct patient *p) {
    const char *level = get(p, "log_level", "notice");
    if (strcasecmp(level, "info") == 0 || strcasecmp(level, "debug") == 0) {
        doctor_ok(&p->doctor, "log_level %s shows the server's own lines", level);
    } else {
        doctor_note(&p->doctor,
                    "log_level %.20s hides the server's own lines; failures are there all the same "
                    "(log_level = info shows the rest)",
                    level);
    }
}

bool doctor_run(const struct doctor_options *options, FILE *out) {
    struct patient *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return false;
    }
    p->doctor = (struct doctor){.options = options, .out = out};
    for (size_t i = 0; i + 1 < sizeof p->name && options->name[i] != '\0'; i++) {
        p->name[i] = (char)tolower((unsigned char)options->name[i]);
        p->key[i] = p->name[i] == '-' ? '_' : p->name[i];
    }
    if (read_settings(p)) {
        check_names(p);
        check_keys(p);
        fill_in(p);
        check_version(p);
        check_query(p);
        check_start(p);
        check_prefix(p);
        if (check_socket(p)) {
            check_server(p);
        }
        check_log_level(p);
    }
    bool well = p->doctor.failed == 0;
    fprintf(out, "%s\n", well ? "all is well" : "see the lines that begin with FAIL");
    settings_free(&p->settings);
    free(p);
    return well && fflush(out) == 0;
}
