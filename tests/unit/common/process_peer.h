/* A simulated Kong and a raw peer for a server in a process of its own. Include behind <cmocka.h>.
 */
#ifndef TESTS_UNIT_PROCESS_PEER_H
#define TESTS_UNIT_PROCESS_PEER_H

#include "process.h"
#include "sim_client.h"

#define PATIENCE_MS 60000

/* A worker of Kong. */
struct kong_peer {
    struct sim_client *client;
    struct sim_pdk *pdk;
};

void kong_peer_open(struct kong_peer *peer, const struct process *process, enum protocol protocol);
void kong_peer_close(struct kong_peer *peer);
/* An instance of a configuration. */
int64_t kong_peer_start(struct kong_peer *peer, const char *config);
/* One access event, GET /p. */
enum sim_event_outcome kong_peer_event(struct kong_peer *peer, int64_t id, struct sim_event *event);
/* Fails the test unless an event goes through. */
void kong_peer_serves(struct kong_peer *peer);

/* A connected descriptor. -1: refused. */
int raw_connect(const struct process *process);
/* Whether the server closes within some time; what it says is thrown away. */
bool raw_closed(int fd, int timeout_ms);

/* Fails the test unless it says that within PATIENCE_MS. */
void assert_says(struct process *process, const char *text);
/* ... that so many handlers of the modes sleep, block or hang have begun. */
void assert_at_work(struct process *process, size_t handlers);
/* ... unless its end was exit(0). */
void assert_orderly(int status);

double seconds_now(void);
void pause_ms(long ms);

#endif
