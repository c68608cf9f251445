/* What kong-pdk-load is asked for. */
#ifndef LOAD_OPTIONS_H
#define LOAD_OPTIONS_H

#include "load_kong.h"

#define HEADERS_MOST 64

struct load_options {
    const char *program;
    char *const *server_options; /* ended by NULL */
    const char *recording;
    char *config; /* a JSON object; owned */
    struct load_request request;
    const char *headers[HEADERS_MOST];
    enum kong_phase phase; /* KONG_PHASE_COUNT: the plugin's */
    bool protocols[2];     /* ProtoBuf:1, MsgPack:1 */
    size_t connections;    /* 0: one, and sixteen */
    double seconds, warmup;
    bool json;
};

/* Fills in what argv says, behind the defaults. A wrong option is one line on stderr and exit
 * status 2; --help prints and exits. config is owned by the caller from here on. */
void load_options_parse(struct load_options *options, int argc, char **argv);

#endif
