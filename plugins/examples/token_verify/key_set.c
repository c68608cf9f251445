#include "key_set.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MOST_BYTES  262144 /* of a file */
#define LEAST_BITS  2048   /* of a key, RFC 7518 3.3 */
#define REREAD_SECS 1      /* from one reading for an unknown id to the next */

struct key {
    char *id; /* NULL: it has none */
    EVP_PKEY *key;
};

/* Handlers and jobs take turns on one thread: no lock. */
struct key_set {
    struct key_sets *sets;
    struct key_set *next;
    char *path;
    size_t users; /* instances, and a job that reads it */
    bool loaded;
    time_t read_at;
    struct key *keys;
    size_t count;
};

/* --- Sets ------------------------------------------------------------------------------------- */

static void free_keys(struct key *keys, size_t count) {
    for (size_t i = 0; i < count; i++) {
        free(keys[i].id);
        EVP_PKEY_free(keys[i].key);
    }
    free(keys);
}

struct key_set *key_set_open(struct key_sets *sets, const char *path) {
    for (struct key_set *set = sets->first; set != NULL; set = set->next) {
        if (strcmp(set->path, path) == 0) {
            set->users++;
            return set;
        }
    }
    struct key_set *set = calloc(1, sizeof *set);
    char *copy = strdup(path);
    if (set == NULL || copy == NULL) {
        free(set);
        free(copy);
        return NULL;
    }
    *set = (struct key_set){.sets = sets, .next = sets->first, .path = copy, .users = 1};
    sets->first = set;
    return set;
}

void key_set_close(struct key_set *set) {
    if (set == NULL || --set->users > 0) {
        return;
    }
    struct key_set **at = &set->sets->first;
    while (*at != set) {
        at = &(*at)->next;
    }
    *at = set->next;
    free_keys(set->keys, set->count);
    free(set->path);
    free(set);
}

/* --- Keys out of JSON ------------------------------------------------------------------------- */

static int base64url_digit(char c) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *at = c == '\0' ? NULL : strchr(digits, c);
    return at == NULL ? -1 : (int)(at - digits);
}

int base64url_decode(struct kong *kong, struct kong_str text, struct kong_str *bytes) {
    char *out = kong_alloc(kong, text.len / 4 * 3 + 3);
    size_t len = 0;
    unsigned held = 0; /* bits that are not written yet, in the lowest places */
    if (out == NULL) {
        return KONG_E_NOMEM;
    }
    for (size_t i = 0; i < text.len; i++) {
        int digit = base64url_digit(text.data[i]);
        if (digit < 0) {
            return KONG_E_INVALID;
        }
        held = held << 6 | (unsigned)digit;
        if (i % 4 != 0) {
            out[len++] = (char)(held >> (6 - i % 4 * 2));
            held &= (1u << (6 - i % 4 * 2)) - 1;
        }
    }
    *bytes = (struct kong_str){out, len};
    /* no digit alone, and no other spelling of the same bytes */
    return text.len % 4 == 1 || held != 0 ? KONG_E_INVALID : 0;
}

/* NULL: OpenSSL does not take it. */
static EVP_PKEY *make_rsa(struct kong_str n, struct kong_str e) {
    BIGNUM *modulus = BN_bin2bn((const unsigned char *)n.data, (int)n.len, NULL);
    BIGNUM *exponent = BN_bin2bn((const unsigned char *)e.data, (int)e.len, NULL);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *key = NULL;
    if (modulus != NULL && exponent != NULL && builder != NULL && context != NULL &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent) == 1 &&
        (params = OSSL_PARAM_BLD_to_param(builder)) != NULL &&
        EVP_PKEY_fromdata_init(context) == 1) {
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params);
    }
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(builder);
    BN_free(exponent);
    BN_free(modulus);
    return key;
}

/* Nothing is there, or what is wanted. */
static bool is_or_unset(const struct kong_value *jwk, const char *member, const char *wanted) {
    const struct kong_value *value = kong_map_get(jwk, member);
    return value == NULL || kong_str_equal(kong_to_str(value), kong_str(wanted));
}

/* Keys of other kinds, and for other ends, are no error: a set may have them. */
static bool make_key(struct kong *kong, const struct kong_value *jwk, struct key *key) {
    struct kong_str id = kong_to_str(kong_map_get(jwk, "kid"));
    struct kong_str n, e;
    if (kong_map_get(jwk, "kty") == NULL || !is_or_unset(jwk, "kty", "RSA") ||
        !is_or_unset(jwk, "use", "sig") || !is_or_unset(jwk, "alg", "RS256") ||
        base64url_decode(kong, kong_to_str(kong_map_get(jwk, "n")), &n) != 0 ||
        base64url_decode(kong, kong_to_str(kong_map_get(jwk, "e")), &e) != 0) {
        return false;
    }
    key->key = make_rsa(n, e);
    key->id = id.data == NULL ? NULL : strdup(id.data);
    if (key->key != NULL && EVP_PKEY_get_bits(key->key) >= LEAST_BITS &&
        (key->id != NULL) == (id.data != NULL)) {
        return true;
    }
    free(key->id);
    EVP_PKEY_free(key->key);
    return false;
}

/* --- Files ------------------------------------------------------------------------------------ */

struct reading {
    const char *path;
    char *to; /* of MOST_BYTES + 1 */
    size_t len;
    int error; /* errno */
};

/* In another thread: a disk may let us wait. */
static void read_file(void *arg) {
    struct reading *reading = arg;
    FILE *file = fopen(reading->path, "re");
    if (file == NULL) {
        reading->error = errno;
        return;
    }
    reading->len = fread(reading->to, 1, MOST_BYTES + 1, file);
    reading->error = ferror(file) ? EIO : reading->len > MOST_BYTES ? EFBIG : 0;
    fclose(file);
}

static int take_keys(struct kong *kong, struct key_set *set, const struct kong_value *jwks) {
    const struct kong_value *list = kong_map_get(jwks, "keys");
    if (list == NULL || list->type != KONG_LIST) {
        return kong_fail(kong, "%s: it has no list \"keys\"", set->path);
    }
    struct key *keys = calloc(list->list.count + 1, sizeof *keys);
    size_t count = 0;
    for (size_t i = 0; keys != NULL && i < list->list.count; i++) {
        count += make_key(kong, &list->list.items[i], &keys[count]);
    }
    if (count == 0) {
        free(keys);
        return kong_fail(kong, "%s: it has no key for RS256", set->path);
    }
    free_keys(set->keys, set->count);
    set->keys = keys;
    set->count = count;
    set->loaded = true;
    return 0;
}

static int load(struct kong *kong, struct key_set *set) {
    struct reading reading = {.path = set->path, .to = kong_alloc(kong, MOST_BYTES + 1)};
    struct kong_value jwks;
    if (reading.to == NULL) {
        return KONG_E_NOMEM;
    }
    set->read_at = time(NULL);
    int error = kong_run_blocking(kong, read_file, &reading);
    if (error != 0) {
        return error;
    }
    if (reading.error != 0) {
        return kong_fail(kong, "%s: %s", set->path, strerror(reading.error));
    }
    error = kong_json_parse(kong, (struct kong_str){reading.to, reading.len}, MOST_BYTES, &jwks);
    if (error == KONG_E_INVALID || error == KONG_E_TOO_BIG) {
        return kong_fail(kong, "%s: %s", set->path, kong_error_text(kong));
    }
    return error != 0 ? error : take_keys(kong, set, &jwks);
}

int key_sets_refresh(struct kong *kong, struct key_sets *sets) {
    int first_error = 0;
    struct key_set *next;
    for (struct key_set *set = sets->first; set != NULL; set = next) {
        set->users++; /* its last instance may end while the file is read */
        int error = load(kong, set);
        first_error = first_error != 0 ? first_error : error;
        next = set->next;
        key_set_close(set);
    }
    return first_error;
}

static EVP_PKEY *look_up(const struct key_set *set, struct kong_str id) {
    if (id.data == NULL) {
        return set->count == 1 ? set->keys[0].key : NULL;
    }
    for (size_t i = 0; i < set->count; i++) {
        if (set->keys[i].id != NULL && kong_str_equal(kong_str(set->keys[i].id), id)) {
            return set->keys[i].key;
        }
    }
    return NULL;
}

int key_set_find(struct kong *kong, struct key_set *set, struct kong_str id, EVP_PKEY **key) {
    int error = 0;
    *key = look_up(set, id);
    if (!set->loaded || (*key == NULL && time(NULL) - set->read_at >= REREAD_SECS)) {
        error = load(kong, set);
        *key = look_up(set, id);
    }
    return set->loaded && error == KONG_E_FAILED ? 0 : error; /* the job tells of it */
}
