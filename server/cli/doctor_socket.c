/* The socket that Kong connects to, and who listens there. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "doctor.h"
#include "socket_look.h"

#define MEND (4 * DOCTOR_VALUE)

/* How the server comes to run: by Kong, or by something else. */
static const char *start_again(const struct patient *p, char *out, size_t size) {
    if (p->start[0] != '\0') {
        return "kong restart; then look into error.log at log_level = info";
    }
    snprintf(out, size, "start %.600s --socket %.600s, as whatever manages it does",
             p->doctor.options->called, p->socket);
    return out;
}

static void check_length(struct patient *p) {
    char key[160];
    char value[200];
    char mend[MEND];
    settings_server_key(p->name, "socket", key, sizeof key);
    snprintf(value, sizeof value, "/run/%s.socket", p->name);
    doctor_mend_setting(key, value, mend, sizeof mend);
    size_t len = strlen(mend);
    snprintf(mend + len, sizeof mend - len,
             " (or another short path), and the same behind --socket");
    doctor_fail(&p->doctor, mend, "socket %.900s: a path of %zu bytes, at most %zu are possible",
                p->socket, strlen(p->socket), sizeof((struct sockaddr_un *)0)->sun_path - 1);
}

/* The file's rights keep Kong out. */
static void say_closed(struct patient *p, const struct stat *status) {
    char mend[MEND];
    const struct passwd *owner = getpwuid(status->st_uid);
    const struct group *group = getgrgid(p->gid);
    pid_t pid;
    socket_look(p->socket, &pid);
    if (p->start[0] != '\0' && pid > 0) {
        snprintf(mend, sizeof mend,
                 "end the server that was started by another, kill %d; then kong restart",
                 (int)pid);
    } else if (group != NULL) {
        snprintf(mend, sizeof mend, "start it with --socket-mode 0660 --socket-group %.60s",
                 group->gr_name);
    } else {
        snprintf(mend, sizeof mend, "start it as Kong's user %.60s", p->user);
    }
    doctor_fail(&p->doctor, mend,
                "socket %.800s: owner %s, mode %04o: Kong's user %s cannot connect", p->socket,
                owner != NULL ? owner->pw_name : "?", status->st_mode & 07777, p->user);
}

/* Kong's workers and the server would each take it from where they happen to be. */
static void check_relative(struct patient *p) {
    char key[160];
    char value[2 * DOCTOR_VALUE];
    char mend[MEND];
    settings_server_key(p->name, "socket", key, sizeof key);
    snprintf(value, sizeof value, "%s/%s", p->prefix, p->socket);
    doctor_mend_setting(key, value, mend, sizeof mend);
    size_t len = strlen(mend);
    snprintf(mend + len, sizeof mend - len, ", and the same behind --socket");
    doctor_fail(&p->doctor, mend, "socket %.900s: Kong needs the whole path, from / on", p->socket);
}

static bool check_socket(struct patient *p) {
    struct stat status;
    char mend[MEND];
    pid_t pid;
    if (p->socket[0] != '/') {
        check_relative(p);
        return false;
    }
    if (strlen(p->socket) >= sizeof((struct sockaddr_un *)0)->sun_path) {
        check_length(p);
        return false;
    }
    if (lstat(p->socket, &status) != 0 && doctor_not_allowed(p, errno, mend, sizeof mend)) {
        doctor_fail(&p->doctor, mend, "socket %.900s: this user may not look at it", p->socket);
        return false;
    }
    if (lstat(p->socket, &status) != 0) {
        const char *again = p->start[0] != '\0'
                                ? "kong start, or kong restart; then look into error.log"
                                : start_again(p, mend, sizeof mend);
        doctor_fail(&p->doctor, again, "socket %.900s: %s: no server has been started", p->socket,
                    strerror(errno));
        return false;
    }
    const struct passwd *owner = getpwuid(status.st_uid);
    if (!S_ISSOCK(status.st_mode)) {
        snprintf(mend, sizeof mend, "rm %s, and restart Kong", p->socket);
        doctor_fail(&p->doctor, mend, "socket %.900s: is not a socket", p->socket);
        return false;
    }
    if (!doctor_may(p, &status, 2)) {
        say_closed(p, &status);
        return false;
    }
    enum socket_path look = socket_look(p->socket, &pid);
    if (look == SOCKET_PATH_UNKNOWN && doctor_not_allowed(p, EACCES, mend, sizeof mend)) {
        doctor_fail(&p->doctor, mend,
                    "socket %.900s: this user may not connect: no event was tried", p->socket);
        return false;
    }
    if (look == SOCKET_PATH_FREE) {
        doctor_fail(&p->doctor, start_again(p, mend, sizeof mend),
                    "socket %.900s: nobody listens: the file is left over from a server that has "
                    "ended (the next one replaces it)",
                    p->socket);
        return false;
    }
    doctor_ok(&p->doctor, "socket %.900s: owner %s, mode %04o", p->socket,
              owner != NULL ? owner->pw_name : "?", status.st_mode & 07777);
    return true;
}

/* The running server's list is not that of the start command, which has been looked at. */
static void say_refused(struct patient *p, const char *name, const char *error) {
    char uid[32];
    char mend[MEND];
    snprintf(uid, sizeof uid, "%lu", (unsigned long)p->uid);
    if (doctor_not_allowed(p, EACCES, mend, sizeof mend)) {
        /* it is this user who is not let in */
    } else if (p->start[0] != '\0' && strstr(p->start, "allow-uid") == NULL) {
        snprintf(mend, sizeof mend, "end that server, which Kong did not start; then kong restart");
    } else if (p->start[0] != '\0') {
        snprintf(mend, sizeof mend,
                 "kong restart, for the server to run with the start command's --allow-uid");
    } else {
        snprintf(mend, sizeof mend, "start that server with %s in its --allow-uid", uid);
    }
    doctor_fail(&p->doctor, mend, "an event of %s over %s: %s", p->phase, name, error);
}

void doctor_server(struct patient *p) {
    static const enum protocol protocols[] = {PROTOCOL_PROTOBUF, PROTOCOL_MSGPACK};
    static const char *const names[] = {"ProtoBuf:1", "MsgPack:1"};
    struct doctor_finding finding;
    char mend[MEND];
    if (strcmp(p->examined, p->socket) != 0) { /* of several plugins it is the same, as a rule */
        snprintf(p->examined, sizeof p->examined, "%s", p->socket);
        p->listening = check_socket(p);
    }
    if (!p->listening) {
        return;
    }
    if (p->phase[0] == '\0') {
        doctor_note(&p->doctor, "no event is tried: the query command names no phase");
        return;
    }
    for (size_t i = p->plugin->protocol == KONG_PROTOCOL_MSGPACK ? 1 : 0; i < 2; i++) {
        doctor_probe(p, protocols[i], &finding);
        if (finding.refused) {
            say_refused(p, names[i], finding.error);
            return; /* the other protocol would say the same */
        }
        if (finding.calls < 0) {
            doctor_fail(&p->doctor, start_again(p, mend, sizeof mend), "an event of %s over %s: %s",
                        p->phase, names[i], finding.error);
        } else if (finding.untried) {
            doctor_note(&p->doctor,
                        "an event of %s over %s: answered, but its handler was not tried: the "
                        "plugin does not take the configuration {}",
                        p->phase, names[i]);
        } else {
            doctor_ok(&p->doctor, "an event of %s over %s: answered, with %d call%s to Kong",
                      p->phase, names[i], finding.calls, finding.calls == 1 ? "" : "s");
        }
    }
}
