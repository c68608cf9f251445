#include "pdk_entities.h"
#include "value.h"

#include <ctype.h>

/* --- Addresses --- */

PDK_GET_STR(kong_client_get_ip, PDK_CLIENT_GET_IP, ip)
PDK_GET_STR(kong_client_get_forwarded_ip, PDK_CLIENT_GET_FORWARDED_IP, ip)

static bool port_of(struct kong_str text, int64_t *port) {
    *port = 0;
    for (size_t i = 0; i < text.len && i < 6; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        *port = *port * 10 + (text.data[i] - '0');
    }
    return text.len > 0 && text.len < 6;
}

PDK_GET_INT(kong_client_get_port, PDK_CLIENT_GET_PORT, port)

/* Kong 2.8 gives it as a text over MsgPack:1. */
int kong_client_get_forwarded_port(struct kong *kong, int *port) {
    struct kong_value value;
    int64_t number = 0;
    *port = 0;
    int error = pdk_get(kong, PDK_CLIENT_GET_FORWARDED_PORT, NO_ARGS, &value);
    if (error != 0 || value.type == KONG_NIL) {
        return error;
    }
    bool known = value.type == KONG_STRING ? port_of(value.string, &number)
                                           : value_to_integer(&value, &number);
    if (!known || number < 0 || number > 65535) {
        return pdk_fail_type(kong, PDK_CLIENT_GET_FORWARDED_PORT, "the answer", &value);
    }
    *port = (int)number;
    return KONG_OK;
}

int kong_client_get_protocol(struct kong *kong, bool allow_terminated, struct kong_str *protocol) {
    return pdk_get_str(kong, PDK_CLIENT_GET_PROTOCOL, ARGS(kong_boolean(allow_terminated)),
                       protocol);
}

int kong_ip_is_trusted(struct kong *kong, const char *ip, bool *trusted) {
    return pdk_get_bool(kong, PDK_IP_IS_TRUSTED, ARGS(kong_string(ip)), trusted);
}

/* --- Consumers and credentials --- */

static const struct pdk_field consumer_fields[] = {
    PDK_FIELD(STR, kong_consumer, id),       PDK_FIELD(INT64, kong_consumer, created_at),
    PDK_FIELD(STR, kong_consumer, username), PDK_FIELD(STR, kong_consumer, custom_id),
    PDK_FIELD(STRINGS, kong_consumer, tags),
};

static const struct pdk_field credential_fields[] = {
    PDK_FIELD(STR, kong_credential, id),
    PDK_FIELD(STR, kong_credential, consumer_id),
};

/* Kong's own credentials refer to their consumer as other entities do. */
static const struct pdk_field credential_of[] = {
    {"consumer", PDK_FIELD_KEY, offsetof(struct kong_credential, consumer_id)},
};

static int get_consumer(struct kong *kong, enum pdk_id id, const struct kong_value *args,
                        size_t count, struct kong_consumer *consumer) {
    return pdk_get_entity(kong, id, args, count, consumer_fields, COUNT(consumer_fields), consumer,
                          sizeof *consumer, &consumer->fields);
}

int kong_client_get_consumer(struct kong *kong, struct kong_consumer *consumer) {
    return get_consumer(kong, PDK_CLIENT_GET_CONSUMER, NO_ARGS, consumer);
}

int kong_client_get_credential(struct kong *kong, struct kong_credential *credential) {
    int error = pdk_get_entity(kong, PDK_CLIENT_GET_CREDENTIAL, NO_ARGS, credential_fields,
                               COUNT(credential_fields), credential, sizeof *credential,
                               &credential->fields);
    if (error == 0 && credential->consumer_id.data == NULL) {
        error = pdk_read_fields(kong, PDK_CLIENT_GET_CREDENTIAL, credential_of, 1,
                                &credential->fields, credential);
    }
    if (error != 0) {
        *credential = (struct kong_credential){.fields = kong_nil()};
    }
    return error;
}

/* Kong raises an error for anything else when it is not to search by the name. */
bool pdk_is_uuid(struct kong_str text) {
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    bool good = text.len == sizeof form - 1;
    for (size_t i = 0; good && i < text.len; i++) {
        good = form[i] == '-' ? text.data[i] == '-' : isxdigit((unsigned char)text.data[i]) != 0;
    }
    return good;
}

int kong_client_load_consumer(struct kong *kong, const char *id, bool by_username,
                              struct kong_consumer *consumer) {
    if (id == NULL || (!by_username && !pdk_is_uuid(kong_str(id)))) {
        *consumer = (struct kong_consumer){.fields = kong_nil()};
        return pdk_fail(kong, PDK_CLIENT_LOAD_CONSUMER, KONG_E_INVALID, "the id is no UUID");
    }
    return get_consumer(kong, PDK_CLIENT_LOAD_CONSUMER,
                        ARGS(kong_string(id), kong_boolean(by_username)), consumer);
}

/* What kong.client.authenticate does, where a consumer that is nil cannot be sent: Lua cuts the
 * arguments of MsgPack:1 at a nil that is not the last. */
static int set_credential_only(struct kong *kong, const struct kong_value *credential) {
    int error = pdk_post(kong, PDK_NGINX_SET_CTX, ARGS(kong_string("authenticated_consumer")));
    if (error == 0) {
        error = pdk_post(kong, PDK_NGINX_SET_CTX,
                         ARGS(kong_string("authenticated_credential"), *credential));
    }
    return error;
}

int kong_client_authenticate(struct kong *kong, const struct kong_consumer *consumer,
                             const struct kong_credential *credential) {
    static const struct kong_value none = {.type = KONG_NIL};
    struct kong_value args[2] = {none, none};
    bool msgpack = pdk_is_msgpack(kong);
    int error = 0;
    if (consumer == NULL && credential == NULL) {
        return pdk_fail(kong, PDK_CLIENT_AUTHENTICATE, KONG_E_INVALID,
                        "neither consumer nor credential");
    }
    if (consumer != NULL) {
        error = pdk_write_fields(kong, consumer_fields, COUNT(consumer_fields), consumer,
                                 msgpack ? &consumer->fields : &none, &args[0]);
    }
    if (error == 0 && credential != NULL) {
        error = pdk_write_fields(kong, credential_fields, COUNT(credential_fields), credential,
                                 msgpack ? &credential->fields : &none, &args[1]);
    }
    if (error != 0) {
        return error;
    }
    if (consumer == NULL && msgpack) {
        return set_credential_only(kong, &args[1]);
    }
    return pdk_post(kong, PDK_CLIENT_AUTHENTICATE, args, 2);
}

/* --- TLS --- */

PDK_CONFIRM(kong_client_tls_request_client_certificate, PDK_CLIENT_TLS_REQUEST_CLIENT_CERTIFICATE,
            "Kong could not ask for a certificate")
PDK_CONFIRM(kong_client_tls_disable_session_reuse, PDK_CLIENT_TLS_DISABLE_SESSION_REUSE,
            "Kong could not do it")
PDK_CONFIRM(kong_client_tls_disable_http2_alpn, PDK_CLIENT_TLS_DISABLE_HTTP2_ALPN,
            "Kong could not do it")
PDK_GET_STR(kong_client_tls_get_full_client_certificate_chain,
            PDK_CLIENT_TLS_GET_FULL_CLIENT_CERTIFICATE_CHAIN, pem)

int kong_client_tls_set_client_verify(struct kong *kong, const char *result) {
    if (result == NULL || (strcmp(result, "SUCCESS") != 0 && strcmp(result, "NONE") != 0 &&
                           strncmp(result, "FAILED:", 7) != 0)) {
        return pdk_fail(kong, PDK_CLIENT_TLS_SET_CLIENT_VERIFY, KONG_E_INVALID,
                        "must be SUCCESS, NONE or FAILED:reason");
    }
    return pdk_post(kong, PDK_CLIENT_TLS_SET_CLIENT_VERIFY, ARGS(kong_string(result)));
}
