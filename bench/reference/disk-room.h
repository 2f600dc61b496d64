/* How long the files of a recorded disk may be, all together: MILLRACE_DISK_ROOM of recorded-disk.c. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Lengths of all files together, kept by the processes on the disk, and how long they may be, set from outside. */
struct room {
  int64_t used;
  int64_t limit;
};

static struct room* room;

/* NULL: there is room for everything. */
static void map_room(const char* path) {
  if (path == NULL) return;
  int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
  void* mapped = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *room, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (mapped == MAP_FAILED) abort();
  syscall(SYS_close, file);
  room = mapped;
}

/* Takes room for so many bytes more, or gives it back for fewer; -1 when there is too little. */
static int take_room(off_t more) {
  if (room == NULL || more == 0) return 0;
  int64_t used = __atomic_add_fetch(&room->used, more, __ATOMIC_SEQ_CST);
  if (more < 0 || used <= __atomic_load_n(&room->limit, __ATOMIC_SEQ_CST)) return 0;
  __atomic_sub_fetch(&room->used, more, __ATOMIC_SEQ_CST);
  errno = ENOSPC;
  return -1;
}

static int64_t room_left(void) {
  int64_t left = __atomic_load_n(&room->limit, __ATOMIC_SEQ_CST) - __atomic_load_n(&room->used, __ATOMIC_SEQ_CST);
  return left < 0 ? 0 : left;
}

/* What removing a name gives back: the length of a file that has no other. */
static off_t bytes_at(const char* path) {
  struct stat found;
  return lstat(path, &found) == 0 && S_ISREG(found.st_mode) && found.st_nlink == 1 ? found.st_size : 0;
}

static off_t bytes_of(int file) {
  struct stat found;
  return fstat(file, &found) == 0 ? found.st_size : 0;
}

static off_t growth(int file, off_t end) {
  off_t more = end - bytes_of(file);
  return more > 0 ? more : 0;
}
