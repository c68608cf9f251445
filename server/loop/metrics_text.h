/* What a server counts, as Prometheus reads it: text format 0.0.4. */
#ifndef SERVER_METRICS_TEXT_H
#define SERVER_METRICS_TEXT_H

#include "buffer.h"
#include "status.h"

/* Names begin with kong_plugin_server_; seconds and bytes are base units; each metric has the label
 * `plugin`, so that several servers go into one graph. Failures are out->failed. */
void metrics_text(const struct status_source *source, struct buffer *out);

#endif
