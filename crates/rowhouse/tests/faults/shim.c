/*
 * Makes a process's disk fail when it is told to, for the tests of faults.
 *
 * The first byte of the file LD_FAULTS names is the order: 0 all is well, 'S' syncing fails with EIO,
 * 'W' writing fails with ENOSPC. Only files with ".db" in their path are concerned. The four bytes
 * at 4 count the failures, so that a test can tell that there were any.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

struct faults {
    _Atomic char order;
    char unused[3];
    _Atomic unsigned failures;
};

static struct faults *faults;

__attribute__((constructor)) static void find_orders(void)
{
    const char *path = getenv("LD_FAULTS");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *at = mmap(NULL, sizeof(struct faults), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at != MAP_FAILED)
        faults = at;
    close(fd);
}

static int fails(int fd, char order)
{
    if (!faults || atomic_load(&faults->order) != order)
        return 0;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    if (!strstr(path, ".db"))
        return 0;
    atomic_fetch_add(&faults->failures, 1);
    errno = order == 'S' ? EIO : ENOSPC;
    return 1;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fsync(int fd)
{
    return fails(fd, 'S') ? -1 : NEXT(fsync)(fd);
}

int fdatasync(int fd)
{
    return fails(fd, 'S') ? -1 : NEXT(fdatasync)(fd);
}

ssize_t write(int fd, const void *data, size_t size)
{
    return fails(fd, 'W') ? -1 : NEXT(write)(fd, data, size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    return fails(fd, 'W') ? -1 : NEXT(pwrite)(fd, data, size, at);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at)
{
    return fails(fd, 'W') ? -1 : NEXT(pwrite64)(fd, data, size, at);
}
