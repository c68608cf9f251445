/* Users and groups in a static binary (make STATIC=1): looked up in /etc/passwd and /etc/group, and
 * nowhere else. glibc's own functions would load NSS libraries of the glibc that the binary was
 * linked with, which is not there. These take their names, so that libuv calls them too. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_GROUPS 256
#define ENTRY_SIZE  4096

/* By name, or by number where name is NULL. 0 with *found, which is NULL where there is none; or an
 * errno, ERANGE when an entry does not fit into the buffer. */
static int find_user(const char *name, uid_t uid, struct passwd *user, char *buffer, size_t size,
                     struct passwd **found) {
    FILE *file = fopen("/etc/passwd", "re");
    int rc = 0;
    *found = NULL;
    if (file == NULL) {
        return errno == ENOENT ? 0 : errno;
    }
    while ((rc = fgetpwent_r(file, user, buffer, size, found)) == 0) {
        if (name != NULL ? strcmp(user->pw_name, name) == 0 : user->pw_uid == uid) {
            break;
        }
    }
    fclose(file);
    if (rc != 0) {
        *found = NULL;
    }
    return rc == ENOENT ? 0 : rc;
}

static int find_group(const char *name, gid_t gid, struct group *group, char *buffer, size_t size,
                      struct group **found) {
    FILE *file = fopen("/etc/group", "re");
    int rc = 0;
    *found = NULL;
    if (file == NULL) {
        return errno == ENOENT ? 0 : errno;
    }
    while ((rc = fgetgrent_r(file, group, buffer, size, found)) == 0) {
        if (name != NULL ? strcmp(group->gr_name, name) == 0 : group->gr_gid == gid) {
            break;
        }
    }
    fclose(file);
    if (rc != 0) {
        *found = NULL;
    }
    return rc == ENOENT ? 0 : rc;
}

int getpwnam_r(const char *name, struct passwd *user, char *buffer, size_t size,
               struct passwd **found) {
    return find_user(name, 0, user, buffer, size, found);
}

int getpwuid_r(uid_t uid, struct passwd *user, char *buffer, size_t size, struct passwd **found) {
    return find_user(NULL, uid, user, buffer, size, found);
}

int getgrnam_r(const char *name, struct group *group, char *buffer, size_t size,
               struct group **found) {
    return find_group(name, 0, group, buffer, size, found);
}

int getgrgid_r(gid_t gid, struct group *group, char *buffer, size_t size, struct group **found) {
    return find_group(NULL, gid, group, buffer, size, found);
}

/* The next two pairs keep their answer until they are called again, as POSIX has it. */
static __thread struct {
    struct passwd user;
    struct group group;
    char user_buffer[ENTRY_SIZE];
    char group_buffer[ENTRY_SIZE];
} last;

struct passwd *getpwnam(const char *name) {
    struct passwd *found;
    errno = getpwnam_r(name, &last.user, last.user_buffer, sizeof last.user_buffer, &found);
    return found;
}

struct passwd *getpwuid(uid_t uid) {
    struct passwd *found;
    errno = getpwuid_r(uid, &last.user, last.user_buffer, sizeof last.user_buffer, &found);
    return found;
}

struct group *getgrnam(const char *name) {
    struct group *found;
    errno = getgrnam_r(name, &last.group, last.group_buffer, sizeof last.group_buffer, &found);
    return found;
}

struct group *getgrgid(gid_t gid) {
    struct group *found;
    errno = getgrgid_r(gid, &last.group, last.group_buffer, sizeof last.group_buffer, &found);
    return found;
}

static int has_member(const struct group *group, const char *user) {
    for (char **member = group->gr_mem; *member != NULL; member++) {
        if (strcmp(*member, user) == 0) {
            return 1;
        }
    }
    return 0;
}

int initgroups(const char *user, gid_t gid) {
    gid_t groups[MOST_GROUPS] = {gid};
    size_t count = 1;
    char buffer[ENTRY_SIZE];
    struct group group;
    struct group *found;
    FILE *file = fopen("/etc/group", "re");
    while (file != NULL && count < MOST_GROUPS &&
           fgetgrent_r(file, &group, buffer, sizeof buffer, &found) == 0) {
        if (group.gr_gid != gid && has_member(&group, user)) {
            groups[count++] = group.gr_gid;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return setgroups(count, groups);
}
