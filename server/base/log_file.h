/* Where the lines of a log go. */
#ifndef SERVER_LOG_FILE_H
#define SERVER_LOG_FILE_H

#include <stdbool.h>

/* Puts a file, which is made (mode 0640) or appended to, in the place of a descriptor, which stays
 * inherited by child processes; a pipe or a terminal will do. 0, or an errno, and fd is as before.
 */
int log_file_open(const char *path, int fd);

/* Whether systemd's journal reads the descriptor: JOURNAL_STREAM in the environment names it. */
bool log_file_is_journal(int fd);

#endif
