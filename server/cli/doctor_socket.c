/* The socket that Kong connects to, and who listens there. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "doctor.h"
#include "socket_look.h"

/* How the server comes to run: by Kong, or by something else. */
static const char *start_again(struct patient *p) {
    return p->start[0] != '\0' ? "kong restart; then look into error.log at log_level = info"
                               : doctor_mend(p, "start %s --socket %s, as whatever manages it does",
                                             p->options->called, p->socket);
}

static void say_too_long(struct patient *p) {
    char value[200];
    snprintf(value, sizeof value, "/run/%s.socket", p->name);
    doctor_mend_own(p, "socket", value);
    doctor_fail(p, doctor_mend_more(p, " (or another short path), and the same behind --socket"),
                "socket %s: a path of %zu bytes, at most %zu are possible", p->socket,
                strlen(p->socket), sizeof((struct sockaddr_un *)0)->sun_path - 1);
}

/* The file's rights keep Kong out. */
static void say_closed(struct patient *p, const struct stat *status, const char *owner) {
    const struct group *group = getgrgid(p->gid);
    pid_t pid;
    socket_look(p->socket, &pid);
    if (p->start[0] != '\0' && pid > 0) {
        doctor_mend(p, "end the server that was started by another, kill %d; then kong restart",
                    (int)pid);
    } else if (group != NULL) {
        doctor_mend(p, "start it with --socket-mode 0660 --socket-group %s", group->gr_name);
    } else {
        doctor_mend(p, "start it as Kong's user %s", p->user);
    }
    doctor_fail(p, doctor_mended(p),
                "socket %s: owner %s, mode %04o: Kong's user %s cannot connect", p->socket, owner,
                status->st_mode & 07777, p->user);
}

/* Kong's workers and the server would each take it from where they happen to be. */
static void say_relative(struct patient *p) {
    char value[2 * DOCTOR_SOCKET];
    snprintf(value, sizeof value, "%s/%s", p->prefix, p->socket);
    doctor_mend_own(p, "socket", value);
    doctor_fail(p, doctor_mend_more(p, ", and the same behind --socket"),
                "socket %s: Kong needs the whole path, from / on", p->socket);
}

/* The file cannot be looked at. */
static void say_absent(struct patient *p, int error) {
    const char *mend = doctor_mend_user(p, error);
    if (mend != NULL) {
        doctor_fail(p, mend, "socket %s: this user may not look at it", p->socket);
        return;
    }
    doctor_fail(p,
                p->start[0] != '\0' ? "kong start, or kong restart; then look into error.log"
                                    : start_again(p),
                "socket %s: %s: no server has been started", p->socket, strerror(error));
}

/* A socket that Kong's user may connect to. */
static bool check_listener(struct patient *p) {
    pid_t pid;
    enum socket_path look = socket_look(p->socket, &pid);
    const char *mend = look == SOCKET_PATH_UNKNOWN ? doctor_mend_user(p, EACCES) : NULL;
    if (mend != NULL) {
        doctor_fail(p, mend, "socket %s: this user may not connect: no event was tried", p->socket);
    } else if (look == SOCKET_PATH_FREE) {
        doctor_fail(p, start_again(p),
                    "socket %s: nobody listens: the file is left over from a server that has "
                    "ended (the next one replaces it)",
                    p->socket);
    } else {
        return true;
    }
    return false;
}

static bool check_socket(struct patient *p) {
    struct stat status;
    if (p->socket[0] != '/') {
        say_relative(p);
        return false;
    }
    if (strlen(p->socket) >= sizeof((struct sockaddr_un *)0)->sun_path) {
        say_too_long(p);
        return false;
    }
    if (lstat(p->socket, &status) != 0) {
        say_absent(p, errno);
        return false;
    }
    const struct passwd *entry = getpwuid(status.st_uid);
    const char *owner = entry != NULL ? entry->pw_name : "?";
    if (!S_ISSOCK(status.st_mode)) {
        doctor_fail(p, doctor_mend(p, "rm %s, and restart Kong", p->socket),
                    "socket %s: is not a socket", p->socket);
    } else if (!doctor_may(p, &status, 2)) {
        say_closed(p, &status, owner);
    } else if (check_listener(p)) {
        doctor_ok(p, "socket %s: owner %s, mode %04o", p->socket, owner, status.st_mode & 07777);
        return true;
    }
    return false;
}

/* The running server's list is not that of the start command, which has been looked at. */
static void say_refused(struct patient *p, const char *name, const char *error) {
    const char *mend = doctor_mend_user(p, EACCES);
    if (mend == NULL && p->start[0] == '\0') {
        mend =
            doctor_mend(p, "start that server with %lu in its --allow-uid", (unsigned long)p->uid);
    } else if (mend == NULL) {
        mend = strstr(p->start, "allow-uid") == NULL
                   ? "end that server, which Kong did not start; then kong restart"
                   : "kong restart, for the server to run with the start command's --allow-uid";
    }
    doctor_fail(p, mend, "an event of %s over %s: %s", p->phase, name, error);
}

void doctor_server(struct patient *p) {
    static const enum protocol protocols[] = {PROTOCOL_PROTOBUF, PROTOCOL_MSGPACK};
    static const char *const names[] = {"ProtoBuf:1", "MsgPack:1"};
    struct doctor_finding finding;
    if (strcmp(p->examined, p->socket) != 0) { /* of several plugins it is the same, as a rule */
        snprintf(p->examined, sizeof p->examined, "%s", p->socket);
        p->listening = check_socket(p);
    }
    if (!p->listening) {
        return;
    }
    if (p->phase[0] == '\0') {
        doctor_note(p, "no event is tried: the query command names no phase");
        return;
    }
    for (size_t i = p->plugin->protocol == KONG_PROTOCOL_MSGPACK ? 1 : 0; i < 2; i++) {
        doctor_probe(p, protocols[i], &finding);
        if (finding.refused) {
            say_refused(p, names[i], finding.error);
            return; /* the other protocol would say the same */
        }
        if (finding.calls < 0) {
            doctor_fail(p, start_again(p), "an event of %s over %s: %s", p->phase, names[i],
                        finding.error);
        } else if (finding.untried) {
            doctor_note(p,
                        "an event of %s over %s: answered, but its handler was not tried: the "
                        "plugin does not take the configuration {}",
                        p->phase, names[i]);
        } else {
            doctor_ok(p, "an event of %s over %s: answered, with %d call%s to Kong", p->phase,
                      names[i], finding.calls, finding.calls == 1 ? "" : "s");
        }
    }
}
