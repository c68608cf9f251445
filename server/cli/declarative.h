/* The response_header of each configuration of a plugin, in a declarative configuration of Kong
 * (decK's files too) or in the Admin API's list of plugins. For --doctor: what it does not
 * understand it passes over. */
#ifndef SERVER_DECLARATIVE_H
#define SERVER_DECLARATIVE_H

#include <stdbool.h>
#include <stddef.h>

#include "response_header.h"

#define HEADER_NAMES 16

struct header_names {
    char names[HEADER_NAMES][RESPONSE_HEADER]; /* each once, in either case */
    size_t count;
    size_t configurations; /* of the plugin, seen so far */
};

/* Notes one more configuration; `name` NULL or too long: its header is not known. */
void header_names_add(struct header_names *to, const char *name, size_t len);

/* JSON: every object below `text` with that "name" and a "config". False: it is no JSON. `usual`:
 * what a configuration has that does not say; "" for none. */
bool declarative_read_json(const char *text, size_t len, const char *plugin, const char *usual,
                           struct header_names *to);

/* YAML in block style, with flow style for a plugin or its config. */
void declarative_read_yaml(const char *text, const char *plugin, const char *usual,
                           struct header_names *to);

#endif
