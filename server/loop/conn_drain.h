/* When a connection may end while the server drains, so that no request of Kong's fails. Kong sees
 * the end of our side and does not use the connection again. Closing it whole would fail a request
 * that is being written at this moment ("broken pipe", after which no Kong tries again). What comes
 * after the end is thrown away: ProtoBuf:1 reads "closed" then, and sends the event again over a
 * new connection (Kong 2.8: after rpc_last_words). All of this only asks; conn.c acts. */
#ifndef SERVER_CONN_DRAIN_H
#define SERVER_CONN_DRAIN_H

#include "rpc.h"

/* ProtoBuf:1, when an answer was written. The end right behind a last answer loses nothing: Kong,
 * which has not read the answer yet, finds the end when it wants to keep the connection for its
 * next request. Once it has read the answer, that request may be on its way: then it gets its
 * answer first, and the end behind that. */
bool drain_ends_behind_answer(const struct rpc *rpc, int fd);

/* MsgPack:1, where Kong does not try again after "closed": whether to send a serverPid that nobody
 * asked for (rpc_nudge). nginx throws a connection with such bytes out of its pool; when a request
 * is on its way after all, they are no harm to it. */
bool drain_nudges(const struct rpc *rpc, int fd);

/* Nothing is under way, and Kong has not used the connection for a second: it is deep down in
 * Kong's pool, which hardly takes it out in the very moment in which it ends. */
bool drain_ends_idle(const struct rpc *rpc, int fd, uint64_t heard_ms, uint64_t now_ms);

/* It has ended, and its peer had time to close its side. */
bool drain_closes(const struct rpc *rpc, uint64_t heard_ms, uint64_t now_ms);

#endif
