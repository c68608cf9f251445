/* Several plugins in one process: plugin servers of Kong's with the same socket, of which one has
 * the start command. */
#include <string.h>

#include "doctor.h"
#include "options_table.h"

/* The first one's socket is that of all. */
void doctor_together(struct patient *p) {
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
                    "socket %.600s: the process that serves %s is at %.600s, as the others are",
                    p->socket, p->plugin->name, p->shared);
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

void doctor_starts(struct patient *p) {
    if (doctor_has_several(p) && p->options->only == NULL && p->starts == 0) {
        doctor_note(p,
                    "no start command at any of the plugins: Kong starts nothing, something else "
                    "must");
    }
}
