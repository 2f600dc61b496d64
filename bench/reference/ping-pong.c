/*
 * The reference for bus-rtt: two pinned processes pass one word of one cache line back and forth, which is the least
 * that a message and its answer can cost between two cores.
 *
 *   ping-pong CPU_A CPU_B TRIPS BATCHES
 *
 * Half of the batches are timed as a whole (their mean has no clock in it), half trip by trip (for percentiles, the
 * clock's own cost taken off). A batch counts when neither process had an involuntary context switch during it. Prints
 * one line of JSON. Ends with 1 when a system call fails or the other process ends.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef struct {
  _Alignas(128) _Atomic uint32_t ball; /* even: the answer to the ping before it */
  _Alignas(128) _Atomic long pong_switches;
} Court;

static long involuntary_switches(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_nivcsw;
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

/* A mark is the first and the last trip of a batch: before it is answered the count of switches is told. */
static void pong(Court* court, uint32_t trips) {
  uint32_t expected = 1;
  for (;;) {
    for (uint32_t trip = 0; trip < trips + 2; trip++) {
      while (atomic_load_explicit(&court->ball, memory_order_acquire) != expected) {
      }
      if (trip == 0 || trip == trips + 1) atomic_store(&court->pong_switches, involuntary_switches());
      atomic_store_explicit(&court->ball, expected + 1, memory_order_release);
      expected += 2;
    }
  }
}

static uint32_t ping(Court* court, uint32_t ball) {
  atomic_store_explicit(&court->ball, ball, memory_order_release);
  while (atomic_load_explicit(&court->ball, memory_order_acquire) != ball + 1) {
  }
  return ball + 2;
}

static int ascending(const void* left, const void* right) {
  float a = *(const float*)left;
  float b = *(const float*)right;
  return (a > b) - (a < b);
}

static double clock_cost_ns(void) {
  const int looks = 100000;
  double start = now_ns();
  double last = start;
  for (int look = 0; look < looks; look++) last = now_ns();
  return (last - start) / looks;
}

int main(int count, char** arguments) {
  if (count != 5) {
    fprintf(stderr, "usage: ping-pong CPU_A CPU_B TRIPS BATCHES\n");
    return 2;
  }
  uint32_t trips = (uint32_t)atoi(arguments[3]);
  int batches = atoi(arguments[4]);
  Court* court = mmap(NULL, sizeof(Court), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  float* timed = calloc((size_t)trips * (size_t)batches, sizeof(float));
  if (court == MAP_FAILED || timed == NULL) return 1;

  signal(SIGCHLD, SIG_IGN);
  pid_t child = fork();
  if (child < 0) return 1;
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pin(atoi(arguments[2]));
    pong(court, trips);
    return 0;
  }
  pin(atoi(arguments[1]));
  alarm(60);

  double clock_ns = clock_cost_ns();
  double mean_sum = 0;
  int mean_count = 0;
  size_t timed_count = 0;
  int discarded = 0;
  uint32_t ball = 1;
  for (int batch = -4; batch < batches; batch++) {
    int is_timed = batch & 1;
    ball = ping(court, ball);
    long switches = involuntary_switches() + atomic_load(&court->pong_switches);
    size_t kept = timed_count;
    double start = now_ns();
    if (is_timed) {
      for (uint32_t trip = 0; trip < trips; trip++) {
        double before = now_ns();
        ball = ping(court, ball);
        if (batch >= 0) timed[timed_count++] = (float)(now_ns() - before - clock_ns);
      }
    } else {
      for (uint32_t trip = 0; trip < trips; trip++) ball = ping(court, ball);
    }
    double elapsed = now_ns() - start;
    ball = ping(court, ball);
    if (batch < 0) continue; /* warming up */
    if (involuntary_switches() + atomic_load(&court->pong_switches) != switches) {
      discarded++;
      timed_count = kept;
    } else if (!is_timed) {
      mean_sum += elapsed / trips;
      mean_count++;
    }
  }
  kill(child, SIGKILL);

  qsort(timed, timed_count, sizeof(float), ascending);
  printf("{\"meanNs\":%.1f,\"p50Ns\":%.1f,\"p99Ns\":%.1f,\"clockNs\":%.1f,\"batches\":%d,\"discarded\":%d}\n",
         mean_count == 0 ? -1.0 : mean_sum / mean_count, timed_count == 0 ? -1.0 : timed[timed_count / 2],
         timed_count == 0 ? -1.0 : timed[timed_count * 99 / 100], clock_ns, batches, discarded);
  return 0;
}
