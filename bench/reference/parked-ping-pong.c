/*
 * The reference for bus-wake: two pinned processes pass a frame of 32 bytes back and forth through two rings in shared
 * memory and sleep while they wait, by the protocol of the bus: set the own parked word, look once more, wait for the
 * own FIFO in epoll_wait; the other side stores its position and writes one byte to the FIFO when the word is set.
 *
 *   parked-ping-pong CPU_A CPU_B TRIPS FOLDER
 *
 * Every trip is timed by itself; the next begins when the one before it has ended. Prints one line of JSON. Ends with 1
 * when a system call fails, an answer is wrong or the other process ends. FOLDER is where the two FIFOs are made.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { CAPACITY = 64 * 1024, PAYLOAD = 32, FRAME = 40, WARM_UP_TRIPS = 100, STOP = 3, LOOK_AGAIN_MS = 100 };

typedef struct {
  _Alignas(128) _Atomic uint32_t published;
  _Alignas(128) _Atomic uint32_t released;
  _Alignas(4096) uint8_t bytes[CAPACITY];
} Ring;

typedef struct {
  _Alignas(128) _Atomic uint32_t parked[2 * 32]; /* one per process, 128 bytes apart */
  Ring rings[2];
} Court;

/* One of the two processes: it writes to one ring, reads the other, and sleeps on a bell of its own. */
typedef struct {
  Ring* out;
  Ring* in;
  _Atomic uint32_t* parked;
  _Atomic uint32_t* peer_parked;
  int bell;
  int peer_bell;
  int epoll;
  uint32_t written;
  uint32_t read;
  unsigned long sleeps;
} End;

static void fail(const char* what) {
  perror(what);
  exit(1);
}

static double now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void pin(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) fail("sched_setaffinity");
}

static int open_bell(const char* folder, int number) {
  char path[4096];
  snprintf(path, sizeof path, "%s/bell.%d", folder, number);
  if (mkfifo(path, 0600) != 0) fail("mkfifo");
  int bell = open(path, O_RDWR | O_NONBLOCK);
  if (bell < 0) fail("open");
  return bell;
}

static void open_end(End* end, Court* court, const int* bells, int number) {
  *end = (End){.out = &court->rings[number], .in = &court->rings[1 - number]};
  end->parked = &court->parked[number * 32];
  end->peer_parked = &court->parked[(1 - number) * 32];
  end->bell = bells[number];
  end->peer_bell = bells[1 - number];
  end->epoll = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN};
  if (end->epoll < 0 || epoll_ctl(end->epoll, EPOLL_CTL_ADD, end->bell, &event) != 0) fail("epoll");
}

/* Also after a release, as on the bus: the word decides. */
static void ring_if_parked(End* end) {
  static const char one = 0;
  if (atomic_load(end->peer_parked) == 0) return;
  if (atomic_exchange(end->peer_parked, 0) == 0) return;
  if (write(end->peer_bell, &one, 1) != 1) fail("write");
}

static void send_frame(End* end, int32_t type, const uint8_t* payload) {
  if (CAPACITY - (end->written - atomic_load(&end->out->released)) < FRAME) fail("no room");
  uint32_t index = end->written % (CAPACITY / FRAME * FRAME);
  int32_t header[2] = {PAYLOAD, type};
  memcpy(end->out->bytes + index, header, sizeof header);
  memcpy(end->out->bytes + index + sizeof header, payload, PAYLOAD);
  end->written += FRAME;
  atomic_store(&end->out->published, end->written);
  ring_if_parked(end);
}

/* Sleeps until a frame has come and answers where it lies. */
static const uint8_t* wait_for_frame(End* end) {
  while (atomic_load(&end->in->published) == end->read) {
    atomic_store(end->parked, 1);
    if (atomic_load(&end->in->published) == end->read) {
      struct epoll_event event;
      char rings[512];
      end->sleeps++;
      int count = epoll_wait(end->epoll, &event, 1, LOOK_AGAIN_MS);
      if (count < 0) fail("epoll_wait");
      if (count == 1 && read(end->bell, rings, sizeof rings) < 0) fail("read");
    }
    atomic_store(end->parked, 0);
  }
  return end->in->bytes + end->read % (CAPACITY / FRAME * FRAME);
}

static void release_frame(End* end) {
  end->read += FRAME;
  atomic_store(&end->in->released, end->read);
}

static int pong(End* end) {
  for (;;) {
    const uint8_t* frame = wait_for_frame(end);
    int32_t header[2];
    uint8_t payload[PAYLOAD];
    memcpy(header, frame, sizeof header);
    memcpy(payload, frame + sizeof header, PAYLOAD);
    if (header[1] == STOP) return 0;
    send_frame(end, header[1], payload);
    release_frame(end);
  }
}

static void ping(End* end, uint64_t number) {
  uint8_t payload[PAYLOAD];
  memset(payload, (int)number, PAYLOAD);
  memcpy(payload, &number, sizeof number);
  send_frame(end, 1, payload);
  const uint8_t* frame = wait_for_frame(end);
  if (memcmp(frame + 8, payload, PAYLOAD) != 0) fail("a wrong answer");
  release_frame(end);
}

static int ascending(const void* left, const void* right) {
  float a = *(const float*)left;
  float b = *(const float*)right;
  return (a > b) - (a < b);
}

int main(int count, char** arguments) {
  if (count != 5) {
    fprintf(stderr, "usage: parked-ping-pong CPU_A CPU_B TRIPS FOLDER\n");
    return 2;
  }
  int trips = atoi(arguments[3]);
  Court* court = mmap(NULL, sizeof(Court), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  float* timed = calloc((size_t)trips, sizeof(float));
  if (court == MAP_FAILED || timed == NULL) fail("memory");
  int bells[2] = {open_bell(arguments[4], 0), open_bell(arguments[4], 1)};
  End end;

  signal(SIGCHLD, SIG_IGN);
  pid_t child = fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pin(atoi(arguments[2]));
    open_end(&end, court, bells, 1);
    return pong(&end);
  }
  pin(atoi(arguments[1]));
  alarm(60);
  open_end(&end, court, bells, 0);
  for (int trip = 0; trip < WARM_UP_TRIPS; trip++) ping(&end, (uint64_t)trip);
  unsigned long sleeps = end.sleeps;
  for (int trip = 0; trip < trips; trip++) {
    double before = now_ns();
    ping(&end, (uint64_t)trip);
    timed[trip] = (float)((now_ns() - before) / 1000);
  }
  sleeps = end.sleeps - sleeps;
  send_frame(&end, STOP, (const uint8_t[PAYLOAD]){0});

  qsort(timed, (size_t)trips, sizeof(float), ascending);
  printf("{\"p50Us\":%.3f,\"p99Us\":%.3f,\"trips\":%d,\"parks\":%lu}\n", timed[trips / 2], timed[trips * 99 / 100],
         trips, sleeps);
  return 0;
}
