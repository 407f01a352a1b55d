/* Power loss, remembered: an LD_PRELOAD library that journals what a process does to the files of one
 * directory, so that `ops.powerloss.image` can rebuild what a disk would hold had the power failed.
 *
 * kill -9 leaves the page cache whole and so tests no fsync. This shim changes nothing that the process
 * sees: every call is made, and written to a journal before and after. What was durable at any moment is
 * worked out later, from the journal, by a program that can be read and tested.
 *
 * Environment (all paths canonical and absolute):
 *   WAYSTATION_POWERLOSS_ROOT     the directory that is watched, with everything below it
 *   WAYSTATION_POWERLOSS_JOURNAL  a directory outside of it; each process writes one file there
 *   WAYSTATION_POWERLOSS_IGNORE   names (a:b:c) of files that aren't part of the image, as LMDB's lock.mdb
 *   WAYSTATION_POWERLOSS_LIE      "1": fsync, fdatasync and O_DSYNC say yes and make nothing durable
 *   WAYSTATION_POWERLOSS_FAIL     a path: while a file is there, the next sync removes it and fails with EIO,
 *                                 and what it should have written is lost for good (as Linux does it)
 *   WAYSTATION_POWERLOSS_SYNC_MS  how long each sync takes at least: a slow disk, so that kills fall into syncs
 *
 * What it can't follow stops the process with a message: a shared writable mapping, O_TMPFILE, links, holes
 * punched, stdio writing. sendfile and copy_file_range into the directory fail with EINVAL, as they may
 * anywhere, and programs fall back to write. System calls made without libc (io_uring) go unseen; the
 * rebuilder finds those, because the journal played whole must give the directory as it is.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define FDS_MAX 65536
#define MAGIC 0x314a5357u /* "WSJ1" */

enum { OPEN = 1, WRITE, TRUNCATE, ALLOCATE, SYNC, RENAME, UNLINK, MKDIR, RMDIR, DONE, FATAL };
enum { SYNCED = 1, SYNC_LOST = 2 };

/* One record: this header, then `length` bytes (a path, two paths, or the data written). */
struct record {
    uint32_t magic;
    uint16_t kind;
    uint16_t flags;
    uint64_t order; /* of this process, from 1 */
    uint64_t at_ns; /* CLOCK_MONOTONIC */
    uint32_t file;  /* number given by OPEN */
    uint32_t length;
    int64_t a;
    int64_t b;
};

struct tracked {
    uint32_t file; /* 0: not ours */
    uint32_t flags;
};

static struct tracked table[FDS_MAX];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX];
static size_t root_length;
static char journal_directory[PATH_MAX];
static char ignored[1024];
static char fail_path[PATH_MAX];
static int lying;
static long sync_ms;
static int journal = -1;
static pid_t owner;
static uint64_t order;
static uint32_t files;

/* ---- the journal ---------------------------------------------------------------------------------- */

static void die(const char *what, const char *path);

static void open_journal(void)
{
    char path[PATH_MAX + 64];
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(path, sizeof path, "%s/%lld.%09ld.%d.journal", journal_directory, (long long)now.tv_sec,
             now.tv_nsec, (int)getpid());
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) {
        dprintf(2, "powerloss shim: no journal %s: %s\n", path, strerror(errno));
        abort();
    }
    /* out of the way of programs that expect the low numbers */
    int high = syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 1000);
    if (high >= 0) {
        syscall(SYS_close, fd);
        fd = high;
    }
    journal = fd;
    owner = getpid();
    order = 0;
}

/* Append one record whose data is in `pieces` (cut to `length`). The mutex is held. Returns its order. */
static uint64_t append(uint16_t kind, uint16_t flags, uint32_t file, int64_t a, int64_t b,
                       const struct iovec *pieces, int count)
{
    int before = errno;
    struct timespec now;
    struct record record = {.magic = MAGIC, .kind = kind, .flags = flags, .file = file, .a = a, .b = b};
    if (journal < 0)
        open_journal();
    size_t length = 0;
    for (int i = 0; i < count; i++)
        length += pieces[i].iov_len;
    clock_gettime(CLOCK_MONOTONIC, &now);
    record.order = ++order;
    record.at_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    record.length = (uint32_t)length;
    struct iovec all[IOV_MAX];
    all[0] = (struct iovec){&record, sizeof record};
    int used = 1;
    size_t want = sizeof record;
    for (int i = 0; i <= count; i++) { /* more pieces than one writev takes: the mutex keeps them together */
        if (i == count || used == IOV_MAX) {
            ssize_t done = syscall(SYS_writev, journal, all, used);
            if (done != (ssize_t)want) {
                dprintf(2, "powerloss shim: the journal can't be written: %s\n", strerror(errno));
                abort();
            }
            used = 0;
            want = 0;
        }
        if (i < count) {
            all[used++] = pieces[i];
            want += pieces[i].iov_len;
        }
    }
    errno = before;
    return record.order;
}

static uint64_t append_bytes(uint16_t kind, uint16_t flags, uint32_t file, int64_t a, int64_t b,
                             const void *data, size_t length)
{
    struct iovec piece = {(void *)data, length};
    return append(kind, flags, file, a, b, &piece, length ? 1 : 0);
}

static void done(uint64_t of, int64_t result, uint32_t file)
{
    append(DONE, 0, file, (int64_t)of, result, NULL, 0);
}

static void die(const char *what, const char *path)
{
    char text[PATH_MAX + 256];
    int length = snprintf(text, sizeof text, "%s: %s", what, path);
    pthread_mutex_trylock(&mutex);
    append_bytes(FATAL, 0, 0, 0, 0, text, (size_t)length);
    dprintf(2, "powerloss shim: can't follow this, so the test would prove nothing: %s\n", text);
    abort();
}

/* ---- which files are ours ------------------------------------------------------------------------- */

static int is_ignored(const char *path)
{
    const char *name = strrchr(path, '/');
    name = name ? name + 1 : path;
    size_t length = strlen(name);
    for (const char *at = ignored; *at;) {
        size_t each = strcspn(at, ":");
        if (each == length && !strncmp(at, name, length))
            return 1;
        at += each + (at[each] == ':');
    }
    return 0;
}

static int is_ours(const char *path)
{
    return root_length && !strncmp(path, root, root_length) &&
           (path[root_length] == '/' || path[root_length] == 0) && !is_ignored(path);
}

/* The canonical path of `path` relative to `directory`, whether or not its last part exists. 0 if it has none. */
static int resolve(int directory, const char *path, int follow, char *out)
{
    char whole[PATH_MAX * 2], parent[PATH_MAX], link[64];
    if (!root_length || !path)
        return 0;
    int before = errno;
    if (path[0] == '/') {
        snprintf(whole, sizeof whole, "%s", path);
    } else {
        char base[PATH_MAX];
        if (directory == AT_FDCWD) {
            if (!getcwd(base, sizeof base))
                goto none;
        } else {
            snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
            ssize_t length = readlink(link, base, sizeof base - 1);
            if (length < 0)
                goto none;
            base[length] = 0;
        }
        snprintf(whole, sizeof whole, "%s/%s", base, path);
    }
    struct stat status;
    if (follow && !stat(whole, &status)) {
        if (!realpath(whole, out))
            goto none;
        errno = before;
        return 1;
    }
    size_t length = strlen(whole);
    while (length > 1 && whole[length - 1] == '/')
        whole[--length] = 0;
    char *name = strrchr(whole, '/');
    if (!name || !name[1])
        goto none;
    *name = 0;
    if (!realpath(name == whole ? "/" : whole, parent))
        goto none;
    if (snprintf(out, PATH_MAX, "%s/%s", parent[1] ? parent : "", name + 1) >= PATH_MAX)
        goto none;
    errno = before;
    return 1;
none:
    errno = before;
    return 0;
}

static int path_of(int fd, char *out)
{
    char link[64];
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, out, PATH_MAX - 1);
    errno = before;
    if (length <= 0)
        return 0;
    out[length] = 0;
    return 1;
}

static int follows(int fd)
{
    return fd >= 0 && fd < FDS_MAX && table[fd].file;
}

/* In the child of a vfork the memory is the parent's: its closes and dups are none of the table's business. */
static int table_is_mine(void)
{
    return owner == getpid();
}

static uint32_t track(int fd, int flags)
{
    if (fd >= FDS_MAX)
        die("a descriptor beyond the table", "65536");
    table[fd] = (struct tracked){++files, (uint32_t)flags};
    return files;
}

static void forget(int fd)
{
    if (!follows(fd) || !table_is_mine())
        return;
    pthread_mutex_lock(&mutex);
    table[fd].file = 0;
    pthread_mutex_unlock(&mutex);
}

/* ---- at start, and in a forked child --------------------------------------------------------------- */

static void before_fork(void) { pthread_mutex_lock(&mutex); }
static void after_fork_in_parent(void) { pthread_mutex_unlock(&mutex); }

static void after_fork_in_child(void)
{
    pthread_mutex_unlock(&mutex);
    if (root_length) { /* a journal of its own, with all files that it inherits */
        syscall(SYS_close, journal);
        open_journal();
        for (int fd = 0; fd < FDS_MAX; fd++) {
            char path[PATH_MAX];
            if (table[fd].file && path_of(fd, path)) {
                uint64_t of = append_bytes(OPEN, 0, 0, table[fd].flags & ~(O_CREAT | O_TRUNC | O_EXCL), 0, path,
                                           strlen(path));
                done(of, 0, track(fd, (int)table[fd].flags));
            }
        }
    }
}

__attribute__((constructor)) static void start(void)
{
    const char *value = getenv("WAYSTATION_POWERLOSS_ROOT");
    const char *directory = getenv("WAYSTATION_POWERLOSS_JOURNAL");
    if (!value || !directory)
        return;
    snprintf(journal_directory, sizeof journal_directory, "%s", directory);
    if (getenv("WAYSTATION_POWERLOSS_IGNORE"))
        snprintf(ignored, sizeof ignored, "%s", getenv("WAYSTATION_POWERLOSS_IGNORE"));
    if (getenv("WAYSTATION_POWERLOSS_FAIL"))
        snprintf(fail_path, sizeof fail_path, "%s", getenv("WAYSTATION_POWERLOSS_FAIL"));
    const char *lie = getenv("WAYSTATION_POWERLOSS_LIE");
    lying = lie && !strcmp(lie, "1");
    if (getenv("WAYSTATION_POWERLOSS_SYNC_MS"))
        sync_ms = atol(getenv("WAYSTATION_POWERLOSS_SYNC_MS"));
    open_journal();
    snprintf(root, sizeof root, "%s", value);
    root_length = strlen(root);
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
    for (int fd = 0; fd < 1024; fd++) { /* inherited: standard output into the directory, for one */
        char path[PATH_MAX];
        int flags = (int)syscall(SYS_fcntl, fd, F_GETFL);
        if (flags >= 0 && path_of(fd, path) && is_ours(path)) {
            uint64_t of = append_bytes(OPEN, 0, 0, flags & ~(O_CREAT | O_TRUNC | O_EXCL), 0, path, strlen(path));
            done(of, 0, track(fd, flags));
        }
    }
}

/* ---- open and close -------------------------------------------------------------------------------- */

static int open_file(int directory, const char *path, int flags, mode_t mode)
{
    char canonical[PATH_MAX];
    if (!root_length)
        return (int)syscall(SYS_openat, directory, path, flags, mode);
    if ((flags & O_TMPFILE) == O_TMPFILE && resolve(directory, path, 1, canonical) && is_ours(canonical))
        die("O_TMPFILE", canonical);
    if (flags & (O_CREAT | O_TRUNC)) {
        if (!resolve(directory, path, !(flags & O_NOFOLLOW), canonical) || !is_ours(canonical))
            return (int)syscall(SYS_openat, directory, path, flags, mode);
        pthread_mutex_lock(&mutex);
        uint64_t of = append_bytes(OPEN, 0, 0, flags, 0, canonical, strlen(canonical));
        int fd = (int)syscall(SYS_openat, directory, path, flags, mode);
        done(of, fd, fd >= 0 ? track(fd, flags) : 0);
        pthread_mutex_unlock(&mutex);
        return fd;
    }
    int fd = (int)syscall(SYS_openat, directory, path, flags, mode);
    if (fd >= 0 && !(flags & O_PATH) && path_of(fd, canonical) && is_ours(canonical)) {
        pthread_mutex_lock(&mutex);
        uint64_t of = append_bytes(OPEN, 0, 0, flags, 0, canonical, strlen(canonical));
        done(of, fd, track(fd, flags));
        pthread_mutex_unlock(&mutex);
    }
    return fd;
}

#define MODE_ARGUMENT                                                                                        \
    mode_t mode = 0;                                                                                         \
    if (flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE) {                                                               \
        va_list rest;                                                                                        \
        va_start(rest, flags);                                                                               \
        mode = (mode_t)va_arg(rest, int);                                                                    \
        va_end(rest);                                                                                        \
    }

int open(const char *path, int flags, ...) { MODE_ARGUMENT return open_file(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE_ARGUMENT return open_file(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE_ARGUMENT return open_file(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE_ARGUMENT return open_file(at, path, flags, mode); }
int __open_2(const char *path, int flags) { return open_file(AT_FDCWD, path, flags, 0); }
int __open64_2(const char *path, int flags) { return open_file(AT_FDCWD, path, flags, 0); }
int __openat_2(int at, const char *path, int flags) { return open_file(at, path, flags, 0); }
int __openat64_2(int at, const char *path, int flags) { return open_file(at, path, flags, 0); }
int creat(const char *path, mode_t mode) { return open_file(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

int close(int fd)
{
    forget(fd);
    return (int)syscall(SYS_close, fd);
}

static void forget_range(unsigned first, unsigned last)
{
    for (unsigned fd = first; fd <= last && fd < FDS_MAX; fd++)
        forget((int)fd);
}

int close_range(unsigned first, unsigned last, int flags)
{
    if (!(flags & 4)) /* CLOSE_RANGE_CLOEXEC */
        forget_range(first, last);
    return (int)syscall(SYS_close_range, first, last, flags);
}

void closefrom(int first)
{
    forget_range((unsigned)first, FDS_MAX);
    syscall(SYS_close_range, first, ~0u, 0);
}

static int duplicated(int old, int new)
{
    if (new < 0 || old == new || !(follows(old) || follows(new)) || !table_is_mine())
        return new;
    pthread_mutex_lock(&mutex);
    if (new >= FDS_MAX)
        die("a descriptor beyond the table", "65536");
    table[new] = follows(old) ? table[old] : (struct tracked){0, 0};
    pthread_mutex_unlock(&mutex);
    return new;
}

int dup(int old) { return duplicated(old, (int)syscall(SYS_dup, old)); }
int dup3(int old, int new, int flags) { return duplicated(old, (int)syscall(SYS_dup3, old, new, flags)); }

int dup2(int old, int new)
{
    if (old == new)
        return syscall(SYS_fcntl, old, F_GETFD) < 0 ? -1 : new;
    return dup3(old, new, 0);
}

static int control(int fd, int command, void *argument)
{
    int result = (int)syscall(SYS_fcntl, fd, command, argument);
    if (command == F_DUPFD || command == F_DUPFD_CLOEXEC)
        return duplicated(fd, result);
    return result;
}

#define FCNTL_BODY                                                                                           \
    va_list rest;                                                                                            \
    va_start(rest, command);                                                                                 \
    void *argument = va_arg(rest, void *);                                                                   \
    va_end(rest);                                                                                            \
    return control(fd, command, argument);

int fcntl(int fd, int command, ...) { FCNTL_BODY }
int fcntl64(int fd, int command, ...) { FCNTL_BODY }

/* ---- writing --------------------------------------------------------------------------------------- */

static int fails_now(void)
{
    return fail_path[0] && !syscall(SYS_unlinkat, AT_FDCWD, fail_path, 0);
}

static void be_slow(void)
{
    struct timespec time = {sync_ms / 1000, sync_ms % 1000 * 1000000};
    int before = errno;
    if (sync_ms)
        nanosleep(&time, NULL);
    errno = before;
}

/* One write of any kind: offset < 0 writes at the descriptor's own place. `durable` as by O_DSYNC. */
static ssize_t write_pieces(int fd, const struct iovec *pieces, int count, off_t offset, int durable)
{
    pthread_mutex_lock(&mutex);
    struct tracked *file = &table[fd];
    off_t at = offset;
    if (at < 0) {
        struct stat status;
        if (file->flags & O_APPEND)
            at = fstat(fd, &status) ? 0 : status.st_size;
        else
            at = lseek(fd, 0, SEEK_CUR);
    } else if (file->flags & O_APPEND) {
        die("a write at an offset of a file opened with O_APPEND", "");
    }
    durable = (durable || (file->flags & (O_DSYNC | O_SYNC))) && !lying;
    int fails = durable && fails_now();
    durable = durable && !fails;
    uint64_t of = append(WRITE, durable ? SYNCED : 0, file->file, at, 0, pieces, count);
    ssize_t result = offset < 0 ? syscall(SYS_writev, fd, pieces, count)
                                : syscall(SYS_pwritev2, fd, pieces, count, offset, 0L, 0);
    done(of, result, 0);
    if (durable) { /* a kill while it is slow finds it done, which a disk may have managed as well */
        pthread_mutex_unlock(&mutex);
        be_slow();
        return result;
    }
    if (fails) {
        append(SYNC, SYNC_LOST, file->file, 0, 0, NULL, 0);
        errno = EIO;
        result = -1;
    }
    pthread_mutex_unlock(&mutex);
    return result;
}

ssize_t write(int fd, const void *data, size_t length)
{
    if (!follows(fd))
        return syscall(SYS_write, fd, data, length);
    struct iovec piece = {(void *)data, length};
    return write_pieces(fd, &piece, 1, -1, 0);
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset)
{
    if (!follows(fd))
        return syscall(SYS_pwrite64, fd, data, length, offset);
    struct iovec piece = {(void *)data, length};
    return write_pieces(fd, &piece, 1, offset, 0);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off_t offset) { return pwrite(fd, data, length, offset); }

ssize_t writev(int fd, const struct iovec *pieces, int count)
{
    return follows(fd) ? write_pieces(fd, pieces, count, -1, 0) : syscall(SYS_writev, fd, pieces, count);
}

ssize_t pwritev2(int fd, const struct iovec *pieces, int count, off_t offset, int flags)
{
    if (!follows(fd))
        return syscall(SYS_pwritev2, fd, pieces, count, offset, 0L, flags);
    if (flags & RWF_APPEND)
        die("pwritev2 with RWF_APPEND", "");
    return write_pieces(fd, pieces, count, offset, flags & (RWF_DSYNC | RWF_SYNC));
}

ssize_t pwritev64v2(int fd, const struct iovec *p, int n, off_t at, int flags) { return pwritev2(fd, p, n, at, flags); }
ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t at) { return pwritev2(fd, pieces, count, at, 0); }
ssize_t pwritev64(int fd, const struct iovec *pieces, int count, off_t at) { return pwritev2(fd, pieces, count, at, 0); }

ssize_t sendfile(int out, int in, off_t *offset, size_t count)
{
    if (!follows(out))
        return syscall(SYS_sendfile, out, in, offset, count);
    errno = EINVAL;
    return -1;
}

ssize_t sendfile64(int out, int in, off_t *offset, size_t count) { return sendfile(out, in, offset, count); }

ssize_t copy_file_range(int in, off_t *in_at, int out, off_t *out_at, size_t length, unsigned flags)
{
    if (!follows(out))
        return syscall(SYS_copy_file_range, in, in_at, out, out_at, length, flags);
    errno = EINVAL;
    return -1;
}

ssize_t splice(int in, off_t *in_at, int out, off_t *out_at, size_t length, unsigned flags)
{
    if (!follows(out))
        return syscall(SYS_splice, in, in_at, out, out_at, length, flags);
    errno = EINVAL;
    return -1;
}

int ftruncate(int fd, off_t length)
{
    if (!follows(fd))
        return (int)syscall(SYS_ftruncate, fd, length);
    pthread_mutex_lock(&mutex);
    uint64_t of = append(TRUNCATE, 0, table[fd].file, length, 0, NULL, 0);
    int result = (int)syscall(SYS_ftruncate, fd, length);
    done(of, result, 0);
    pthread_mutex_unlock(&mutex);
    return result;
}

int ftruncate64(int fd, off_t length) { return ftruncate(fd, length); }

int truncate(const char *path, off_t length)
{
    int fd = open_file(AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int result = ftruncate(fd, length);
    int before = errno;
    close(fd);
    errno = before;
    return result;
}

int truncate64(const char *path, off_t length) { return truncate(path, length); }

int fallocate(int fd, int mode, off_t offset, off_t length)
{
    if (!follows(fd) || (mode & FALLOC_FL_KEEP_SIZE && !(mode & ~FALLOC_FL_KEEP_SIZE)))
        return (int)syscall(SYS_fallocate, fd, mode, offset, length);
    if (mode)
        die("fallocate that changes contents", "");
    pthread_mutex_lock(&mutex);
    uint64_t of = append(ALLOCATE, 0, table[fd].file, offset, length, NULL, 0);
    int result = (int)syscall(SYS_fallocate, fd, mode, offset, length);
    done(of, result, 0);
    pthread_mutex_unlock(&mutex);
    return result;
}

int fallocate64(int fd, int mode, off_t offset, off_t length) { return fallocate(fd, mode, offset, length); }

int posix_fallocate(int fd, off_t offset, off_t length)
{
    int before = errno;
    int result = fallocate(fd, 0, offset, length) ? errno : 0;
    errno = before;
    return result;
}

int posix_fallocate64(int fd, off_t offset, off_t length) { return posix_fallocate(fd, offset, length); }

static void *map(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    if (follows(fd) && (protection & PROT_WRITE) && (flags & MAP_TYPE) != MAP_PRIVATE) {
        char path[PATH_MAX] = "";
        path_of(fd, path);
        die("a shared writable mapping", path);
    }
    return (void *)syscall(SYS_mmap, address, length, protection, flags, fd, offset);
}

void *mmap(void *at, size_t length, int prot, int flags, int fd, off_t off) { return map(at, length, prot, flags, fd, off); }
void *mmap64(void *at, size_t length, int prot, int flags, int fd, off_t off) { return map(at, length, prot, flags, fd, off); }

/* ---- making durable -------------------------------------------------------------------------------- */

static int sync_file(int fd, long call)
{
    if (!follows(fd))
        return (int)syscall(call, fd);
    if (lying)
        return 0;
    pthread_mutex_lock(&mutex);
    uint32_t file = table[fd].file;
    if (fails_now()) {
        append(SYNC, SYNC_LOST, file, 0, 0, NULL, 0);
        pthread_mutex_unlock(&mutex);
        errno = EIO;
        return -1;
    }
    uint64_t of = append(SYNC, 0, file, 0, 0, NULL, 0);
    pthread_mutex_unlock(&mutex); /* others go on writing meanwhile, as they would */
    be_slow();
    int result = (int)syscall(call, fd);
    pthread_mutex_lock(&mutex);
    done(of, result, 0);
    pthread_mutex_unlock(&mutex);
    return result;
}

int fsync(int fd) { return sync_file(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_file(fd, SYS_fdatasync); }

/* ---- names ----------------------------------------------------------------------------------------- */

/* Journal a change of names around the call that makes it. */
#define NAMED(kind, data, length, call)                                                                      \
    pthread_mutex_lock(&mutex);                                                                              \
    uint64_t of = append_bytes(kind, 0, 0, 0, 0, data, length);                                              \
    int result = (int)(call);                                                                                \
    done(of, result, 0);                                                                                     \
    pthread_mutex_unlock(&mutex);                                                                            \
    return result;

static int rename_file(int from_at, const char *from, int to_at, const char *to, unsigned flags)
{
    char paths[PATH_MAX * 2], target[PATH_MAX];
    int source_ours = resolve(from_at, from, 0, paths) && is_ours(paths);
    int target_ours = resolve(to_at, to, 0, target) && is_ours(target);
    if (!source_ours && !target_ours)
        return (int)syscall(SYS_renameat2, from_at, from, to_at, to, flags);
    if (source_ours != target_ours || (flags & ~1u)) /* 1: RENAME_NOREPLACE */
        die("a rename across the directory's edge, or an exchange", target);
    size_t length = strlen(paths);
    strcpy(paths + length + 1, target);
    NAMED(RENAME, paths, length + 1 + strlen(target), syscall(SYS_renameat2, from_at, from, to_at, to, flags))
}

int rename(const char *from, const char *to) { return rename_file(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int fa, const char *from, int ta, const char *to) { return rename_file(fa, from, ta, to, 0); }
int renameat2(int fa, const char *from, int ta, const char *to, unsigned flags)
{
    return rename_file(fa, from, ta, to, flags);
}

int unlinkat(int at, const char *path, int flags)
{
    char canonical[PATH_MAX];
    if (!resolve(at, path, 0, canonical) || !is_ours(canonical))
        return (int)syscall(SYS_unlinkat, at, path, flags);
    NAMED(flags & AT_REMOVEDIR ? RMDIR : UNLINK, canonical, strlen(canonical),
          syscall(SYS_unlinkat, at, path, flags))
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int remove(const char *path)
{
    int result = unlink(path);
    return result < 0 && errno == EISDIR ? rmdir(path) : result;
}

int mkdirat(int at, const char *path, mode_t mode)
{
    char canonical[PATH_MAX];
    if (!resolve(at, path, 0, canonical) || !is_ours(canonical))
        return (int)syscall(SYS_mkdirat, at, path, mode);
    NAMED(MKDIR, canonical, strlen(canonical), syscall(SYS_mkdirat, at, path, mode))
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int linkat(int from_at, const char *from, int to_at, const char *to, int flags)
{
    char canonical[PATH_MAX];
    if (resolve(to_at, to, 0, canonical) && is_ours(canonical))
        die("a hard link", canonical);
    return (int)syscall(SYS_linkat, from_at, from, to_at, to, flags);
}

int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int symlinkat(const char *text, int at, const char *path)
{
    char canonical[PATH_MAX];
    if (resolve(at, path, 0, canonical) && is_ours(canonical))
        die("a symbolic link", canonical);
    return (int)syscall(SYS_symlinkat, text, at, path);
}

int symlink(const char *text, const char *path) { return symlinkat(text, AT_FDCWD, path); }

/* ---- stdio, which writes behind our back ------------------------------------------------------------ */

static FILE *open_stream(const char *name, const char *path, const char *mode)
{
    char canonical[PATH_MAX];
    FILE *(*real)(const char *, const char *) = (FILE * (*)(const char *, const char *)) dlsym(RTLD_NEXT, name);
    if (strpbrk(mode, "wa+") && resolve(AT_FDCWD, path, 1, canonical) && is_ours(canonical))
        die("writing by stdio", canonical);
    return real(path, mode);
}

FILE *fopen(const char *path, const char *mode) { return open_stream("fopen", path, mode); }
FILE *fopen64(const char *path, const char *mode) { return open_stream("fopen64", path, mode); }

FILE *fdopen(int fd, const char *mode)
{
    FILE *(*real)(int, const char *) = (FILE * (*)(int, const char *)) dlsym(RTLD_NEXT, "fdopen");
    if (follows(fd) && strpbrk(mode, "wa+"))
        die("writing by stdio", "");
    return real(fd, mode);
}

int fclose(FILE *stream)
{
    int (*real)(FILE *) = (int (*)(FILE *))dlsym(RTLD_NEXT, "fclose");
    forget(fileno(stream));
    return real(stream);
}
