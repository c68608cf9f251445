/* What a command says about a mistake. */
#ifndef SERVER_COMPLAIN_H
#define SERVER_COMPLAIN_H

/* The exit status for what the user can mend: options, a path that is taken. */
#define EXIT_USAGE 2

/* Writes "PROGRAM: TEXT", one line, to stderr or to fd, whatever the arguments hold; marked as an
 * error where systemd's journal reads it. Returns `status`. */
int complain(const char *program, const char *text, int status);
int complain_to(int fd, const char *program, const char *text, int status);

#endif
