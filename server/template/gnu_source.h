/* In front of a plugin's sources in this tree: what glibc has beyond POSIX is declared, as if
 * _GNU_SOURCE were defined, and a source may still define that itself. */
#define _GNU_SOURCE
#include <features.h>
#undef _GNU_SOURCE
