/* Who asks: addresses, consumer, credential, TLS. Part of kong.h. */
#ifndef KONG_CLIENT_H
#define KONG_CLIENT_H

#include "kong_event.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- The client's address --- */

/* kong.client.get_ip: the address of whoever is connected to Kong, maybe a proxy.
 * Phases: rewrite, access, response, header_filter, preread. */
int kong_client_get_ip(struct kong *kong, struct kong_str *ip) KONG_NONNULL(1, 2);

/* kong.client.get_forwarded_ip: the client's address as a trusted proxy forwards it, else the same
 * as kong_client_get_ip (Kong's settings real_ip_header and trusted_ips).
 * Phases: rewrite, access, response, header_filter, preread. */
int kong_client_get_forwarded_ip(struct kong *kong, struct kong_str *ip) KONG_NONNULL(1, 2);

/* kong.client.get_port: the port of whoever is connected to Kong.
 * Phases: rewrite, access, response, header_filter, preread. */
int kong_client_get_port(struct kong *kong, int *port) KONG_NONNULL(1, 2);

/* kong.client.get_forwarded_port: the client's port as a trusted proxy forwards it.
 * Phases: rewrite, access, response, header_filter, preread.
 * 0: a trusted proxy forwards an address without a port. */
int kong_client_get_forwarded_port(struct kong *kong, int *port) KONG_NONNULL(1, 2);

/* kong.client.get_protocol: "http", "https", "grpc", "tcp" and so on: by which of the route's
 * protocols the client came. allow_terminated: a TLS that ended at a trusted proxy counts.
 * Phases: access, response, header_filter, log (of a stream).
 * nil: there is no route, or the X-Forwarded-Proto header is unusable. */
int kong_client_get_protocol(struct kong *kong, bool allow_terminated, struct kong_str *protocol)
    KONG_NONNULL(1, 3);

/* kong.ip.is_trusted: whether the address is in Kong's trusted_ips.
 * Phases: all. */
int kong_ip_is_trusted(struct kong *kong, const char *ip, bool *trusted) KONG_NONNULL(1, 3);

/* --- Consumers and credentials --- */

/* A consumer of Kong. Fields that it has not are nil, 0, empty. */
struct kong_consumer {
    struct kong_str id; /* data NULL: there is no consumer */
    int64_t created_at; /* seconds since the epoch */
    struct kong_str username;
    struct kong_str custom_id;
    struct kong_strings tags;
    struct kong_value fields; /* all that Kong sent, a map by Kong's names: on MsgPack:1 more than
                                 the above; nil without a consumer */
};

/* What a client proved to be the consumer with. Fields that it has not are nil. */
struct kong_credential {
    struct kong_str id; /* data NULL: there is no credential */
    struct kong_str consumer_id;
    struct kong_value fields; /* all that Kong sent, as above: on MsgPack:1 the key or secret too */
};

/* kong.client.get_consumer: the consumer that an authentication plugin has found.
 * Phases: access, response, header_filter, log. Kong 2.8: not in log.
 * No consumer is no error: consumer->id is nil. */
int kong_client_get_consumer(struct kong *kong, struct kong_consumer *consumer) KONG_NONNULL(1, 2);

/* kong.client.get_credential: the credential that an authentication plugin has found.
 * Phases: access, response, header_filter, log. Kong 2.8: not in log.
 * No credential is no error: credential->id is nil. On ProtoBuf:1 consumer_id is nil for
 * credentials of Kong's own plugins (key-auth and the like): Kong's message has no room for their
 * `consumer`.
 */
int kong_client_get_credential(struct kong *kong, struct kong_credential *credential)
    KONG_NONNULL(1, 2);

/* kong.client.load_consumer: looks a consumer up in Kong's database by its id (a UUID), or with
 * by_username by id or else by username.
 * Phases: access, response, header_filter, log. Kong 2.8: not in log.
 * No such consumer is no error: consumer->id is nil. KONG_E_INVALID: no UUID, and not
 * by_username. */
int kong_client_load_consumer(struct kong *kong, const char *id, bool by_username,
                              struct kong_consumer *consumer) KONG_NONNULL(1, 4);

/* kong.client.authenticate: makes this the request's consumer and credential, for later plugins and
 * for the log. One of them may be NULL: then it is unset in Kong.
 * Phases: access. Posted.
 * What is sent: the fields of the struct that are set; on MsgPack:1 also what else `fields` holds,
 * so that a consumer that was loaded arrives whole. On MsgPack:1 a credential without a consumer is
 * set through kong.nginx.set_ctx, to the same effect.
 * KONG_E_INVALID: both are NULL. */
int kong_client_authenticate(struct kong *kong, const struct kong_consumer *consumer,
                             const struct kong_credential *credential);

/* --- TLS with the client --- */

/* kong.client.tls.request_client_certificate: asks the client for a certificate.
 * Phases: certificate, preread. MsgPack:1 only.
 * KONG_E_KONG: it could not be asked for, as always in preread. */
int kong_client_tls_request_client_certificate(struct kong *kong);

/* kong.client.tls.disable_session_reuse: makes this TLS session one that is not taken up again.
 * Phases: certificate, preread. MsgPack:1 only.
 * KONG_E_KONG: it could not be done, as always in preread. */
int kong_client_tls_disable_session_reuse(struct kong *kong);

/* kong.client.tls.disable_http2_alpn: offers the client no HTTP/2.
 * Phases: preread. Kong 2.8: none. MsgPack:1 only.
 * KONG_E_KONG: always. Kong does it in its phase client_hello, which reaches no plugin server. */
int kong_client_tls_disable_http2_alpn(struct kong *kong);

/* kong.client.tls.get_full_client_certificate_chain: the client's certificates in PEM.
 * Phases: rewrite, access, response, preread. MsgPack:1 only.
 * nil: the client sent none. */
int kong_client_tls_get_full_client_certificate_chain(struct kong *kong, struct kong_str *pem)
    KONG_NONNULL(1, 2);

/* kong.client.tls.set_client_verify: what kong.log.serialize and the upstream are told of the
 * verification: "SUCCESS", "NONE", or "FAILED:" and a reason.
 * Phases: rewrite, access, response, preread. Posted. MsgPack:1 only.
 * KONG_E_INVALID: another text. */
int kong_client_tls_set_client_verify(struct kong *kong, const char *result);

#ifdef __cplusplus
}
#endif

#endif
