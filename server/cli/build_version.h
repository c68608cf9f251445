/* Of which sources this program was built. */
#ifndef SERVER_BUILD_VERSION_H
#define SERVER_BUILD_VERSION_H

/* "0.1+git20261126162233.1a2b3c4d5e6f (commit 1a2b3c4d5e6f)". The servers of this tree are linked
 * with an object that the Makefile makes of the commit (server/packaging/version.sh); a program of
 * the library has the library's version. */
const char *build_version(void);

#endif
