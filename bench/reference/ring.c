/*
 * The reference for bus-throughput: the same ring as src/bus, in C. The same layout (its words 128 bytes apart, a frame
 * header of 8 bytes, padding at the end), the same cached remote positions, checks and counters, and the same orders of
 * memory: before a position is stored the other side's parked word says how. Two pinned processes, one writes, one
 * reads.
 *
 *   ring CPU_A CPU_B CAPACITY BYTES BATCH SEGMENTS FRAMES
 *
 * Sends SEGMENTS times FRAMES frames of BYTES, published and released in batches of BATCH. Between two segments goes a
 * mark that carries the writer's count of involuntary context switches; the reader takes the time there. A segment
 * counts when neither process had such a switch during it; the first two never do. Prints one line of JSON. Ends with 1
 * when a system call fails, a frame is wrong or the other process ends.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
  HEADER_BYTES = 4096,
  MAGIC = 0x4843524d,
  TAP_NONE = 0,
  PARKED = 1,
  SPINNING = 2,
  PRODUCER_PARKED = 384,
  CONSUMER_PARKED = 512,
  PUBLISHED = 640,
  FRAMES_LOW = 768,
  FRAMES_HIGH = 772,
  LAPS = 776,
  REFUSALS_COUNTER = 784,
  RELEASED = 896,
  READ = 1024,
  TAP_STATE = 1152,
  FRAME_HEADER_BYTES = 8,
  PADDING_TYPE = -1,
  INSUFFICIENT_CAPACITY = -1,
  FRAME_TOO_LARGE = -2,
  NO_FRAME = -1,
  DATA = 1,
  MARK = 2,
  WARM_UP_SEGMENTS = 2,
  FIELDS_BYTES_MAX = 256,
};

typedef struct {
  uint8_t* memory;
  int32_t capacity;
  int32_t mask;
  int32_t frame_bytes_max;
  int32_t position;
  int32_t published;
  int32_t released; /* as last loaded */
  int32_t limit;    /* up to where the ring may be written */
  int32_t frames_committed;
  int32_t claim_start;
  int32_t claim_bytes; /* -1 when there is no claim */
} Producer;

typedef struct {
  uint8_t* memory;
  int32_t capacity;
  int32_t mask;
  int32_t frame_bytes_max;
  int32_t read;
  int32_t released;
  int32_t tail; /* the published position as last loaded */
  int32_t length;
  int32_t type;
  int32_t end_position;
} Consumer;

static void die(const char* fact) {
  fprintf(stderr, "ring: %s\n", fact);
  exit(1);
}

static inline void check(int claim, const char* fact) {
  if (__builtin_expect(!claim, 0)) die(fact);
}

static inline int32_t distance(int32_t from, int32_t to) { return (int32_t)((uint32_t)to - (uint32_t)from); }

static inline int32_t plus(int32_t position, int32_t bytes) { return (int32_t)((uint32_t)position + (uint32_t)bytes); }

static inline int32_t frame_bytes(int32_t payload) { return (payload + FRAME_HEADER_BYTES + 7) & -8; }

static inline int32_t* word_at(uint8_t* memory, int32_t offset) { return (int32_t*)(memory + offset); }

static inline double* double_at(uint8_t* memory, int32_t offset) { return (double*)(memory + offset); }

static inline _Atomic int32_t* shared(uint8_t* memory, int32_t offset) { return (_Atomic int32_t*)(memory + offset); }

/* To a peer that spins and never sleeps nothing but order is owed. To another one the store is sequentially consistent,
 * so that the look whether it sleeps is not early. Here the peers are awake: they might sleep and never do. */
static inline void store_position(uint8_t* memory, int32_t word, int32_t position, int32_t parked) {
  if (*word_at(memory, parked) == SPINNING) {
    atomic_store_explicit(shared(memory, word), position, memory_order_release);
  } else {
    atomic_store(shared(memory, word), position);
    check(atomic_load(shared(memory, parked)) != PARKED, "nobody sleeps in this program");
  }
  check(*word_at(memory, 0) == MAGIC, "the channel is given up");
}

static void look_for_room(Producer* p) {
  int32_t released = atomic_load(shared(p->memory, RELEASED));
  check(distance(p->released, released) >= 0 && distance(released, p->published) >= 0,
        "the released position is impossible");
  check((released & 7) == 0, "the released position is impossible");
  p->released = released;
  check(atomic_load(shared(p->memory, TAP_STATE)) == TAP_NONE, "nobody taps in this program");
  p->limit = plus(released, p->capacity);
}

static inline int32_t try_claim(Producer* p, int32_t payload, int32_t type) {
  check(p->claim_bytes < 0, "a producer has one claim at a time");
  if (payload > p->frame_bytes_max) return FRAME_TOO_LARGE;
  check((payload | type) >= 0, "neither the length nor the type of a frame is negative");
  int32_t needed = frame_bytes(payload);
  int32_t left = p->capacity - (p->position & p->mask);
  int32_t skipped = needed > left ? left : 0;
  int32_t start = plus(p->position, skipped);
  if (distance(plus(start, needed), p->limit) < 0) {
    look_for_room(p);
    if (distance(plus(start, needed), p->limit) < 0) {
      *double_at(p->memory, REFUSALS_COUNTER) += 1;
      return INSUFFICIENT_CAPACITY;
    }
  }
  if (skipped > 0) {
    int32_t* header = word_at(p->memory, HEADER_BYTES + (p->position & p->mask));
    header[0] = skipped - FRAME_HEADER_BYTES;
    header[1] = PADDING_TYPE;
  }
  int32_t offset = HEADER_BYTES + (start & p->mask);
  word_at(p->memory, offset)[1] = type;
  p->claim_start = start;
  p->claim_bytes = payload;
  return offset + FRAME_HEADER_BYTES;
}

static inline void commit(Producer* p) {
  check(p->claim_bytes >= 0, "a commit follows a claim");
  *word_at(p->memory, HEADER_BYTES + (p->claim_start & p->mask)) = p->claim_bytes;
  p->position = plus(p->claim_start, frame_bytes(p->claim_bytes));
  p->claim_bytes = -1;
  p->frames_committed++;
}

static inline void publish(Producer* p) {
  if (p->position == p->published) return;
  uint32_t* frames = (uint32_t*)word_at(p->memory, FRAMES_LOW);
  *frames += (uint32_t)p->frames_committed;
  if (*frames < (uint32_t)p->frames_committed) *word_at(p->memory, FRAMES_HIGH) += 1;
  if ((p->published & ~p->position) < 0) *word_at(p->memory, LAPS) += 1;
  p->frames_committed = 0;
  p->published = p->position;
  store_position(p->memory, PUBLISHED, p->position, CONSUMER_PARKED);
}

static inline int look_for_more(Consumer* c) {
  int32_t tail = atomic_load(shared(c->memory, PUBLISHED));
  if (tail == c->tail) return 0;
  check(distance(c->tail, tail) >= 0 && distance(c->released, tail) <= c->capacity && (tail & 7) == 0,
        "the published position is impossible");
  c->tail = tail;
  return 1;
}

/* Where the next frame's payload begins. */
static inline int32_t next(Consumer* c) {
  if (c->read == c->tail && !look_for_more(c)) return NO_FRAME;
  int32_t start = c->read;
  int32_t index = start & c->mask;
  int32_t* header = word_at(c->memory, HEADER_BYTES + index);
  int32_t length = header[0];
  int32_t type = header[1];
  if (type == PADDING_TYPE) {
    check(index != 0 && length == c->capacity - index - FRAME_HEADER_BYTES, "the padding is impossible");
    start = plus(start, length + FRAME_HEADER_BYTES);
    check(distance(start, c->tail) >= 0, "the padding is impossible");
    if (start == c->tail) {
      c->read = start;
      *word_at(c->memory, READ) = start;
      return NO_FRAME;
    }
    index = 0;
    header = word_at(c->memory, HEADER_BYTES);
    length = header[0];
    type = header[1];
  }
  check((length | type | (c->frame_bytes_max - length)) >= 0, "a frame is impossible");
  int32_t end = plus(start, frame_bytes(length));
  check(index + frame_bytes(length) <= c->capacity && distance(end, c->tail) >= 0, "a frame is impossible");
  c->length = length;
  c->type = type;
  c->end_position = end;
  c->read = end;
  *word_at(c->memory, READ) = end;
  return HEADER_BYTES + index + FRAME_HEADER_BYTES;
}

static inline void release(Consumer* c, int32_t position) {
  if (position == c->released) return;
  check(distance(c->released, position) > 0, "a release does not go back");
  check(distance(position, c->read) >= 0, "only what was read is released");
  c->released = position;
  store_position(c->memory, RELEASED, position, PRODUCER_PARKED);
}

static double involuntary_switches(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)usage.ru_nivcsw;
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
  if (sched_setaffinity(0, sizeof set, &set) != 0) {
    perror("sched_setaffinity");
    exit(1);
  }
}

static int32_t claim(Producer* p, int32_t bytes, int32_t type) {
  int32_t offset;
  do offset = try_claim(p, bytes, type);
  while (offset == INSUFFICIENT_CAPACITY);
  check(offset >= 0, "the frame is too large");
  return offset;
}

/* Short payloads, multiples of 32, are fields that all hold the number; in longer ones prepared bytes lie between the
 * first and the last. */
static inline void fill(uint8_t* payload, int32_t bytes, double number, const uint8_t* prepared) {
  *double_at(payload, 0) = number;
  if (bytes <= FIELDS_BYTES_MAX) {
    *double_at(payload, 8) = number;
    *double_at(payload, 16) = number;
    for (int32_t at = 24; at < bytes - 8; at += 32) {
      *double_at(payload, at) = number;
      *double_at(payload, at + 8) = number;
      *double_at(payload, at + 16) = number;
      *double_at(payload, at + 24) = number;
    }
  } else {
    memcpy(payload + 8, prepared, (size_t)bytes - 16);
  }
  *double_at(payload, bytes - 8) = number;
}

static void send_mark(Producer* p) {
  int32_t offset = claim(p, 8, MARK);
  *double_at(p->memory, offset) = involuntary_switches();
  commit(p);
  publish(p);
}

static void write_all(Producer* p, int32_t bytes, int32_t batch, int segments, int32_t frames) {
  uint8_t* prepared = malloc((size_t)bytes);
  if (prepared == NULL) die("there is no memory");
  memset(prepared, 0x5a, (size_t)bytes);
  double number = 0;
  for (int segment = 0; segment < segments + WARM_UP_SEGMENTS; segment++) {
    send_mark(p);
    for (int32_t frame = 0; frame < frames; frame += batch) {
      for (int32_t of_batch = 0; of_batch < batch; of_batch++) {
        int32_t offset = claim(p, bytes, DATA);
        fill(p->memory + offset, bytes, number++, prepared);
        commit(p);
      }
      publish(p);
    }
  }
  send_mark(p);
}

/* Answers when the mark was read, and adds both sides' switches up to it. */
static double read_mark(Consumer* c, double* switches) {
  int32_t offset;
  do offset = next(c);
  while (offset == NO_FRAME);
  check(c->type == MARK, "a mark comes between two segments");
  *switches = *double_at(c->memory, offset) + involuntary_switches();
  release(c, c->end_position);
  return now_ns();
}

static void read_all(Consumer* c, int32_t bytes, int32_t batch, int segments, int32_t frames) {
  double counted_ns = 0;
  double expected = 0;
  int counted = 0;
  double switches_before;
  double start = read_mark(c, &switches_before);
  for (int segment = -WARM_UP_SEGMENTS; segment < segments; segment++) {
    for (int32_t frame = 0; frame < frames; frame += batch) {
      for (int32_t of_batch = 0; of_batch < batch; of_batch++) {
        int32_t offset;
        do offset = next(c);
        while (offset == NO_FRAME);
        check(c->length == bytes, "a frame has the wrong length");
        check(*double_at(c->memory, offset) == expected, "a frame is out of order");
        check(*double_at(c->memory, offset + bytes - 8) == expected, "a frame is torn");
        expected++;
      }
      release(c, c->end_position);
    }
    double switches;
    double end = read_mark(c, &switches);
    if (segment >= 0 && switches == switches_before) {
      counted_ns += end - start;
      counted++;
    }
    start = end;
    switches_before = switches;
  }
  printf("{\"framesPerSecond\":%.0f,\"segments\":%d,\"discarded\":%d}\n",
         counted == 0 ? -1.0 : (double)counted * frames / counted_ns * 1e9, segments, segments - counted);
}

int main(int count, char** arguments) {
  if (count != 8) {
    fprintf(stderr, "usage: ring CPU_A CPU_B CAPACITY BYTES BATCH SEGMENTS FRAMES\n");
    return 2;
  }
  int32_t capacity = atoi(arguments[3]);
  int32_t bytes = atoi(arguments[4]);
  int32_t batch = atoi(arguments[5]);
  int segments = atoi(arguments[6]);
  int32_t frames = atoi(arguments[7]);
  uint8_t* memory = mmap(NULL, (size_t)HEADER_BYTES + (size_t)capacity, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED) die("there is no shared memory");
  *word_at(memory, 0) = MAGIC;

  pid_t parent = getpid();
  pid_t child = fork();
  if (child < 0) die("there is no second process");
  alarm(60);
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) return 1;
    pin(atoi(arguments[1]));
    Producer producer = {.memory = memory,
                         .capacity = capacity,
                         .mask = capacity - 1,
                         .frame_bytes_max = capacity / 4 - FRAME_HEADER_BYTES,
                         .claim_bytes = -1};
    write_all(&producer, bytes, batch, segments, frames);
    return 0;
  }
  pin(atoi(arguments[2]));
  Consumer consumer = {.memory = memory,
                       .capacity = capacity,
                       .mask = capacity - 1,
                       .frame_bytes_max = capacity / 4 - FRAME_HEADER_BYTES};
  read_all(&consumer, bytes, batch, segments, frames);
  return 0;
}
