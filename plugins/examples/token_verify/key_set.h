/* The RSA keys in files of the format JWKS (RFC 7517), each shared by all instances that name it.
 */
#ifndef KEY_SET_H
#define KEY_SET_H

#include <kong.h>
#include <openssl/evp.h>

struct key_set;

/* All of a process. All zero to begin with; outlives the sets. */
struct key_sets {
    struct key_set *first;
};

/* The set of a file, which is not read yet. NULL: not enough memory. */
struct key_set *key_set_open(struct key_sets *sets, const char *path);
/* For each key_set_open; NULL is allowed. The last one frees it. */
void key_set_close(struct key_set *set);

/* Finds the key of this id; without an id (nil) the only key of a set that has one. *key stays
 * valid until the handler waits; NULL when there is none. Reads the file, and so waits, where that
 * was not done yet, and for an id that is not known: it may be new. KONG_E_FAILED: the file could
 * never be read. */
int key_set_find(struct kong *kong, struct key_set *set, struct kong_str id, EVP_PKEY **key);

/* Reads all files again: for a job. KONG_E_FAILED: one could not be read, and its old keys stay. */
int key_sets_refresh(struct kong *kong, struct key_sets *sets);

/* base64url without padding (RFC 7515), into the event's memory. KONG_E_INVALID, KONG_E_NOMEM. */
int base64url_decode(struct kong *kong, struct kong_str text, struct kong_str *bytes);

#endif
