/* What --prefetch says. */
#ifndef SERVER_PREFETCH_MODE_H
#define SERVER_PREFETCH_MODE_H

enum prefetch_mode {
    PREFETCH_OFF,
    PREFETCH_DECLARED, /* what the plugin's .prefetch names */
    PREFETCH_AUTO,     /* and what the server learns */
};

#endif
