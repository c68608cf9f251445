/* What is under way on a connection, in memory that outlives the process: when the process dies,
 * whoever keeps the connection can still answer Kong's request. */
#ifndef SERVER_IN_FLIGHT_H
#define SERVER_IN_FLIGHT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Up to this value: no request, but so many results of PDK calls that the peer still owes. */
#define IN_FLIGHT_RESULTS_MOST 0xdf

enum in_flight_what {
    IN_FLIGHT_MSGPACK_EVENT = 0xe0, /* a HandleEvent or a Step, all of it read */
    IN_FLIGHT_MSGPACK_EVENT_OPEN,   /* … whose request goes on where the event is lost */
    IN_FLIGHT_MSGPACK_START,        /* a StartInstance */
    IN_FLIGHT_PROTOBUF_START,
    IN_FLIGHT_READING,               /* whatever is in the read buffer (in_flight_set_reading) */
    IN_FLIGHT_PROTOBUF_EVENT = 0xf5, /* until RpcReturn is written; perhaps not all of it is read */
    IN_FLIGHT_PROTOBUF_EVENT_OPEN,   /* … whose request goes on where the event is lost */
    IN_FLIGHT_OTHER = 0xff,          /* anything else, as an answer of which a part is written */
};

/* Bytes at the start of a read buffer that are IN_FLIGHT_UNREAD before something is read: room for
 * all that says what a message is. No message begins with four of them. */
#define IN_FLIGHT_HEAD   40
#define IN_FLIGHT_UNREAD 0xff

/* The connection ends behind the answer. With one of MsgPack's: its message is not all read. */
#define IN_FLIGHT_HALF 0x10

/* Written by the thread that has the connection; read when that is no more. `id` counts with those
 * that name a request, or a buffer. */
struct in_flight {
    _Atomic uint32_t id; /* the request's msgid or sequence; the buffer's number */
    _Atomic uint8_t what;
};

static inline void in_flight_set(struct in_flight *in_flight, uint8_t what) {
    atomic_store_explicit(&in_flight->what, what, memory_order_relaxed);
}

/* Release: a process that dies between the two stores leaves no id of another request. */
static inline void in_flight_set_request(struct in_flight *in_flight, int64_t id, uint8_t what) {
    bool fits = id >= 0 && id <= UINT32_MAX;
    atomic_store_explicit(&in_flight->id, (uint32_t)id, memory_order_relaxed);
    atomic_store_explicit(&in_flight->what, fits ? what : IN_FLIGHT_OTHER, memory_order_release);
}

/* `results` of PDK calls, IN_FLIGHT_RESULTS_MOST at most, are still due in front of what is read.
 */
static inline void in_flight_set_reading(struct in_flight *in_flight, uint8_t buffer,
                                         uint8_t results) {
    in_flight_set_request(in_flight, buffer | results << 8, IN_FLIGHT_READING);
}

static inline uint32_t in_flight_buffer(const struct in_flight *in_flight) {
    return in_flight->id & 0xff;
}

static inline uint8_t in_flight_results(const struct in_flight *in_flight) {
    return (uint8_t)(in_flight->id >> 8);
}

#endif
