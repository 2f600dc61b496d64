/*
 * A disk that is watched and that can fail: a library to be preloaded (LD_PRELOAD) into a process. It stands between
 * the process and the calls that change files below one directory. The C library's names are the border: LMDB's addon
 * and Node's own file calls both go through them.
 *
 *   MILLRACE_DISK_ROOT  the directory, absolute, without links in it. Nothing happens without it.
 *   MILLRACE_DISK_LOG   every change is appended to this file, in the order in which it takes effect: see struct entry.
 *   MILLRACE_DISK_ACKS  what is written to this file goes into the record too, as an acknowledgement.
 *   MILLRACE_DISK_LATE  1: a sync returns at once, and is carried out when the next one is asked for. The lie that
 *                       must be found.
 *   MILLRACE_DISK_FAIL  while this file is there, a sync counts down the number in it; the one that reaches 0 removes
 *                       the file and fails with EIO. What was not synced is dropped: the old bytes are put back, as if
 *                       the page cache had been.
 *   MILLRACE_DISK_ROOM  this file is struct room, shared by all processes: what would make the files longer than its
 *                       limit fails with ENOSPC before anything is written, and statfs tells what is left of it. Files
 *                       count with their lengths, names nothing; with nothing left no name can be added.
 *
 * A write is recorded before it is carried out and under one lock, so that the order of the record is the order of the
 * writes. A sync is recorded when it begins and when it has returned, without the lock: only writes before its
 * beginning are durable after its return.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "disk-room.h"

enum {
  CREATE = 1,
  MAKE_DIRECTORY,
  WRITE,
  RESIZE,
  RENAME,
  UNLINK,
  SYNC_BEGIN,
  SYNC_END,
  WRITE_DURABLE,
  ACKNOWLEDGE,
};

/* Followed by the two names, relative to the root, and `bytes` bytes of data. Little-endian. */
struct entry {
  uint32_t kind;
  uint32_t is_synchronous;
  uint64_t inode;
  uint64_t offset;
  uint64_t bytes;
  uint64_t id;
  uint32_t name_bytes;
  uint32_t other_name_bytes;
};

#define FILES_MAX 65536

struct open_file {
  uint64_t inode;
  dev_t device;
  int is_synchronous;
  int is_ack;
};

/* What a write replaced, until it is synced. */
struct undo {
  struct undo* before;
  uint64_t inode;
  off_t offset;
  off_t file_bytes;
  size_t bytes;
  char old[];
};

static struct open_file files[FILES_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char* root;
static size_t root_bytes;
static const char* acks;
static const char* fail_path;
static int is_late;
static int log_file = -1;
static uint64_t next_id;
static struct undo* undone;
static uint64_t late;

#define REAL(name) ((__typeof__(name)*)real(#name))

static void* real(const char* name) {
  void* found = dlsym(RTLD_NEXT, name);
  if (found == NULL) abort();
  return found;
}

static void start(void) {
  root = getenv("MILLRACE_DISK_ROOT");
  if (root == NULL) return;
  root_bytes = strlen(root);
  acks = getenv("MILLRACE_DISK_ACKS");
  fail_path = getenv("MILLRACE_DISK_FAIL");
  const char* said = getenv("MILLRACE_DISK_LATE");
  is_late = said != NULL && said[0] == '1';
  const char* log_path = getenv("MILLRACE_DISK_LOG");
  if (log_path != NULL)
    log_file = (int)syscall(SYS_openat, AT_FDCWD, log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  map_room(getenv("MILLRACE_DISK_ROOM"));
}

/* The path relative to the root, or NULL when it lies elsewhere. */
static const char* below(const char* path) {
  pthread_once(&once, start);
  if (root == NULL || path == NULL || strncmp(path, root, root_bytes) != 0) return NULL;
  if (path[root_bytes] == '\0') return path + root_bytes;
  return path[root_bytes] == '/' ? path + root_bytes + 1 : NULL;
}

static void put(const struct iovec* pieces, int count) {
  size_t total = 0;
  for (int index = 0; index < count; index++) total += pieces[index].iov_len;
  if (syscall(SYS_writev, log_file, pieces, count) != (long)total) abort();
}

/* Under the lock. Answers the id of the entry. */
static uint64_t record(struct entry entry, const char* name, const char* other, const void* data) {
  if (entry.kind != SYNC_END && entry.kind != WRITE_DURABLE) entry.id = ++next_id;
  if (log_file < 0) return entry.id;
  entry.name_bytes = name == NULL ? 0 : (uint32_t)strlen(name);
  entry.other_name_bytes = other == NULL ? 0 : (uint32_t)strlen(other);
  struct iovec pieces[] = {
      {&entry, sizeof entry},
      {(void*)name, entry.name_bytes},
      {(void*)other, entry.other_name_bytes},
      {(void*)data, data == NULL ? 0 : entry.bytes},
  };
  put(pieces, 4);
  return entry.id;
}

/* A descriptor may have been closed past the C library, and given to something else. */
static struct open_file* watched(int file) {
  if (file < 0 || file >= FILES_MAX || files[file].inode == 0) return NULL;
  struct stat found;
  if (fstat(file, &found) == 0 && found.st_ino == files[file].inode && found.st_dev == files[file].device)
    return &files[file];
  files[file].inode = 0;
  return NULL;
}

static int opened(int (*call)(const char*, int, ...), const char* path, int flags, mode_t mode) {
  const char* name = below(path);
  int is_ack = name == NULL && root != NULL && acks != NULL && path != NULL && strcmp(path, acks) == 0;
  if (name == NULL && !is_ack) return call(path, flags, mode);
  pthread_mutex_lock(&lock);
  int is_new = (flags & O_CREAT) != 0 && access(path, F_OK) != 0;
  int is_refused = is_new && !is_ack && room != NULL && room_left() == 0;
  off_t truncated = (flags & O_TRUNC) != 0 && !is_ack ? bytes_at(path) : 0;
  int file = is_refused ? -1 : call(path, flags, mode);
  int error = is_refused ? ENOSPC : errno;
  if (file >= 0 && file < FILES_MAX) {
    take_room(-truncated);
    struct stat found = {0};
    fstat(file, &found);
    uint64_t inode = found.st_ino;
    files[file] = (struct open_file){
        .inode = inode, .device = found.st_dev, .is_synchronous = (flags & O_DSYNC) != 0, .is_ack = is_ack};
    if (is_new && !is_ack) record((struct entry){.kind = CREATE, .inode = inode}, name, NULL, NULL);
    if ((flags & O_TRUNC) != 0 && !is_new && !is_ack)
      record((struct entry){.kind = RESIZE, .inode = inode}, NULL, NULL, NULL);
  }
  pthread_mutex_unlock(&lock);
  errno = error;
  return file;
}

#define MODE_OF(flags, mode)                                        \
  mode_t mode = 0;                                                  \
  if (((flags)&O_CREAT) != 0 || ((flags)&O_TMPFILE) == O_TMPFILE) { \
    va_list arguments;                                              \
    va_start(arguments, flags);                                     \
    mode = (mode_t)va_arg(arguments, int);                          \
    va_end(arguments);                                              \
  }

int open(const char* path, int flags, ...) {
  MODE_OF(flags, mode)
  return opened(REAL(open), path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  MODE_OF(flags, mode)
  return opened(REAL(open64), path, flags, mode);
}

int openat(int directory, const char* path, int flags, ...) {
  MODE_OF(flags, mode)
  if (below(path) == NULL) return REAL(openat)(directory, path, flags, mode);
  return opened(REAL(open), path, flags, mode);
}

int openat64(int directory, const char* path, int flags, ...) {
  MODE_OF(flags, mode)
  if (below(path) == NULL) return REAL(openat64)(directory, path, flags, mode);
  return opened(REAL(open64), path, flags, mode);
}

int close(int file) {
  if (file >= 0 && file < FILES_MAX) files[file].inode = 0;
  return REAL(close)(file);
}

/* Remembers what a write is about to replace, where a failing sync will want it back. */
static void remember(int file, uint64_t inode, off_t offset, size_t bytes) {
  if (fail_path == NULL) return;
  struct undo* undo = malloc(sizeof *undo + bytes);
  if (undo == NULL) abort();
  *undo = (struct undo){.before = undone, .inode = inode, .offset = offset, .file_bytes = bytes_of(file)};
  /* The descriptor may be one for writing only. */
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  int reader = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  long got = reader < 0 ? 0 : syscall(SYS_pread64, reader, undo->old, bytes, offset);
  if (reader >= 0) syscall(SYS_close, reader);
  undo->bytes = got > 0 ? (size_t)got : 0;
  undone = undo;
}

/* Under the lock: forgets what a file's sync made durable, or puts the old bytes back. */
static void settle(uint64_t inode, int file, int is_lost) {
  struct undo** link = &undone;
  while (*link != NULL) {
    struct undo* undo = *link;
    if (undo->inode != inode) {
      link = &undo->before;
      continue;
    }
    if (is_lost) {
      if (undo->bytes > 0 && syscall(SYS_pwrite64, file, undo->old, undo->bytes, undo->offset) < 0) abort();
      if (syscall(SYS_ftruncate, file, undo->file_bytes) < 0) abort();
    }
    *link = undo->before;
    free(undo);
  }
}

/* Whether this sync is the one that fails. */
static int fails(void) {
  if (fail_path == NULL) return 0;
  int file = (int)syscall(SYS_openat, AT_FDCWD, fail_path, O_RDWR | O_CLOEXEC, 0);
  if (file < 0) return 0;
  char text[32] = "";
  long got = syscall(SYS_read, file, text, sizeof text - 1);
  long left = got > 0 ? strtol(text, NULL, 10) - 1 : 0;
  int length = snprintf(text, sizeof text, "%ld\n", left);
  syscall(SYS_ftruncate, file, 0);
  syscall(SYS_pwrite64, file, text, length, 0);
  syscall(SYS_close, file);
  if (left > 0) return 0;
  syscall(SYS_unlinkat, AT_FDCWD, fail_path, 0);
  return 1;
}

static ssize_t written(int file, const struct iovec* pieces, int count, off_t offset) {
  pthread_once(&once, start);
  struct open_file* open_file = watched(file);
  if (open_file == NULL)
    return offset < 0 ? syscall(SYS_writev, file, pieces, count) : syscall(SYS_pwritev, file, pieces, count, offset, 0);
  size_t total = 0;
  for (int index = 0; index < count; index++) total += pieces[index].iov_len;
  pthread_mutex_lock(&lock);
  off_t at = offset;
  if (at < 0) at = (fcntl(file, F_GETFL) & O_APPEND) != 0 ? bytes_of(file) : lseek(file, 0, SEEK_CUR);
  char* whole = malloc(total + 1);
  if (whole == NULL) abort();
  size_t end = 0;
  for (int index = 0; index < count; index++) {
    memcpy(whole + end, pieces[index].iov_base, pieces[index].iov_len);
    end += pieces[index].iov_len;
  }
  uint64_t id = 0;
  ssize_t result = -1;
  int error = 0;
  if (open_file->is_ack) {
    record((struct entry){.kind = ACKNOWLEDGE, .bytes = total}, NULL, NULL, whole);
    result = (ssize_t)total;
  } else if (open_file->is_synchronous && fails()) {
    error = EIO;
  } else if (take_room(growth(file, at + (off_t)total)) != 0) {
    error = errno;
  } else {
    uint64_t inode = open_file->inode;
    if (!open_file->is_synchronous) remember(file, inode, at, total);
    struct entry entry = {.kind = WRITE,
                          .is_synchronous = (uint32_t)open_file->is_synchronous,
                          .inode = inode,
                          .offset = (uint64_t)at,
                          .bytes = total};
    id = record(entry, NULL, NULL, whole);
    result = offset < 0 ? syscall(SYS_write, file, whole, total) : syscall(SYS_pwrite64, file, whole, total, offset);
    error = errno;
    if (result != (ssize_t)total) abort();
    if (open_file->is_synchronous) record((struct entry){.kind = WRITE_DURABLE, .id = id}, NULL, NULL, NULL);
  }
  pthread_mutex_unlock(&lock);
  free(whole);
  errno = error;
  return result;
}

ssize_t write(int file, const void* bytes, size_t count) {
  struct iovec piece = {(void*)bytes, count};
  if (watched(file) == NULL) return syscall(SYS_write, file, bytes, count);
  return written(file, &piece, 1, -1);
}

ssize_t pwrite(int file, const void* bytes, size_t count, off_t offset) {
  struct iovec piece = {(void*)bytes, count};
  if (watched(file) == NULL) return syscall(SYS_pwrite64, file, bytes, count, offset);
  return written(file, &piece, 1, offset);
}

ssize_t pwrite64(int file, const void* bytes, size_t count, off64_t offset) {
  return pwrite(file, bytes, count, offset);
}

ssize_t writev(int file, const struct iovec* pieces, int count) { return written(file, pieces, count, -1); }

ssize_t pwritev(int file, const struct iovec* pieces, int count, off_t offset) {
  return written(file, pieces, count, offset);
}

ssize_t pwritev64(int file, const struct iovec* pieces, int count, off64_t offset) {
  return written(file, pieces, count, offset);
}

static int resized(int file, off_t bytes) {
  if (watched(file) == NULL) return (int)syscall(SYS_ftruncate, file, bytes);
  pthread_mutex_lock(&lock);
  int result = take_room(bytes - bytes_of(file));
  if (result == 0) {
    record((struct entry){.kind = RESIZE, .inode = files[file].inode, .offset = (uint64_t)bytes}, NULL, NULL, NULL);
    result = (int)syscall(SYS_ftruncate, file, bytes);
  }
  int error = errno;
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}

int ftruncate(int file, off_t bytes) { return resized(file, bytes); }

int ftruncate64(int file, off64_t bytes) { return resized(file, bytes); }

/* Answers an error number, as the C library's does. */
int posix_fallocate(int file, off_t offset, off_t bytes) {
  if (watched(file) == NULL) return REAL(posix_fallocate)(file, offset, bytes);
  pthread_mutex_lock(&lock);
  off_t more = growth(file, offset + bytes);
  int error = take_room(more) == 0 ? 0 : ENOSPC;
  if (error == 0) {
    error = REAL(posix_fallocate)(file, offset, bytes);
    if (error != 0)
      take_room(-more);
    else if (more > 0)
      record((struct entry){.kind = RESIZE, .inode = files[file].inode, .offset = (uint64_t)(offset + bytes)}, NULL,
             NULL, NULL);
  }
  pthread_mutex_unlock(&lock);
  return error;
}

int posix_fallocate64(int file, off64_t offset, off64_t bytes) { return posix_fallocate(file, offset, bytes); }

static int synced(int file, int number) {
  if (watched(file) == NULL) return (int)syscall(number, file);
  uint64_t inode = files[file].inode;
  pthread_mutex_lock(&lock);
  if (fails()) {
    settle(inode, file, 1);
    pthread_mutex_unlock(&lock);
    errno = EIO;
    return -1;
  }
  if (is_late) {
    if (late != 0) record((struct entry){.kind = SYNC_END, .id = late}, NULL, NULL, NULL);
    late = record((struct entry){.kind = SYNC_BEGIN, .inode = inode}, NULL, NULL, NULL);
    pthread_mutex_unlock(&lock);
    return 0;
  }
  uint64_t id = record((struct entry){.kind = SYNC_BEGIN, .inode = inode}, NULL, NULL, NULL);
  pthread_mutex_unlock(&lock);
  int result = (int)syscall(number, file);
  int error = errno;
  pthread_mutex_lock(&lock);
  if (result == 0) {
    settle(inode, file, 0);
    record((struct entry){.kind = SYNC_END, .id = id}, NULL, NULL, NULL);
  }
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}

int fsync(int file) { return synced(file, SYS_fsync); }

int fdatasync(int file) { return synced(file, SYS_fdatasync); }

/* What a successful call records, and the room of the file that lost its last name by it. */
static int named(int result, struct entry entry, const char* name, const char* other, off_t freed) {
  int error = errno;
  if (result == 0) {
    record(entry, name, other, NULL);
    take_room(-freed);
  }
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}

int rename(const char* from, const char* to) {
  const char* old = below(from);
  const char* now = below(to);
  if (old == NULL || now == NULL) return REAL(rename)(from, to);
  pthread_mutex_lock(&lock);
  off_t freed = bytes_at(to);
  return named(REAL(rename)(from, to), (struct entry){.kind = RENAME}, old, now, freed);
}

int unlink(const char* path) {
  const char* name = below(path);
  if (name == NULL) return REAL(unlink)(path);
  pthread_mutex_lock(&lock);
  off_t freed = bytes_at(path);
  return named(REAL(unlink)(path), (struct entry){.kind = UNLINK}, name, NULL, freed);
}

int rmdir(const char* path) {
  const char* name = below(path);
  if (name == NULL) return REAL(rmdir)(path);
  pthread_mutex_lock(&lock);
  return named(REAL(rmdir)(path), (struct entry){.kind = UNLINK}, name, NULL, 0);
}

/* How newer Nodes remove: what the C library makes of either goes past the two above. */
int remove(const char* path) {
  struct stat found;
  return lstat(path, &found) == 0 && S_ISDIR(found.st_mode) ? rmdir(path) : unlink(path);
}

int unlinkat(int directory, const char* path, int flags) {
  char link[64], own[2 * PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
  ssize_t length = path[0] == '/' || directory == AT_FDCWD ? 0 : readlink(link, own, PATH_MAX);
  if (length < 0) return REAL(unlinkat)(directory, path, flags);
  if (length > 0) snprintf(own + length, PATH_MAX, "/%s", path);
  const char* whole = length == 0 ? path : own;
  return (flags & AT_REMOVEDIR) != 0 ? rmdir(whole) : unlink(whole);
}

int mkdir(const char* path, mode_t mode) {
  const char* name = below(path);
  if (name == NULL) return REAL(mkdir)(path, mode);
  pthread_mutex_lock(&lock);
  int is_refused = room != NULL && room_left() == 0 && access(path, F_OK) != 0;
  int result = is_refused ? -1 : REAL(mkdir)(path, mode);
  int error = is_refused ? ENOSPC : errno;
  struct stat made;
  if (result == 0 && stat(path, &made) == 0)
    record((struct entry){.kind = MAKE_DIRECTORY, .inode = made.st_ino}, name, NULL, NULL);
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}

#define TELL_ROOM(path, into)                             \
  if (result == 0 && below(path) != NULL && room != NULL) \
    (into)->f_bfree = (into)->f_bavail = (uint64_t)room_left() / (uint64_t)(into)->f_bsize;

int statfs(const char* path, struct statfs* into) {
  int result = REAL(statfs)(path, into);
  TELL_ROOM(path, into)
  return result;
}

int statfs64(const char* path, struct statfs64* into) {
  int result = REAL(statfs64)(path, into);
  TELL_ROOM(path, into)
  return result;
}
