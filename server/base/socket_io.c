#include "socket_io.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Sanitizers see what the C library's functions do, and not system calls. Some 32-bit kernels have
 * no system calls of these names. */
#if defined(__has_feature)
#define SOCKET_HAS_FEATURE(feature) __has_feature(feature)
#else
#define SOCKET_HAS_FEATURE(feature) 0
#endif
#if defined(__LP64__) && defined(SYS_recvfrom) && defined(SYS_sendto) &&                           \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) &&                             \
    !SOCKET_HAS_FEATURE(address_sanitizer) && !SOCKET_HAS_FEATURE(thread_sanitizer) &&             \
    !SOCKET_HAS_FEATURE(memory_sanitizer)
#define SOCKET_DIRECT 1
#endif

ssize_t socket_recv(int fd, void *to, size_t len, int flags) {
#ifdef SOCKET_DIRECT
    return syscall(SYS_recvfrom, (long)fd, to, len, (long)flags, NULL, NULL);
#else
    return recv(fd, to, len, flags);
#endif
}

ssize_t socket_send(int fd, const void *from, size_t len, int flags) {
#ifdef SOCKET_DIRECT
    return syscall(SYS_sendto, (long)fd, from, len, (long)flags, NULL, 0L);
#else
    return send(fd, from, len, flags);
#endif
}
