#include "pulse.h"

#include <sys/prctl.h>
#include <uv.h>

#include <cstdint>
#include <utility>

#include "arguments.h"
#include "failure.h"
#include "mapping.h"

namespace millrace {

namespace {

constexpr uint64_t kNanosecondsPerMs = 1000000;
constexpr int64_t kPeriodMsMax = 60000;

}  // namespace

/** libuv's threads rather than the C library's, so that a binary built against a new glibc loads on the oldest that
 * Node supports. */
class Pulse::Thread {
 public:
  Thread(Counted<Region> region, size_t offset, uint64_t period_ms)
      : region_(std::move(region)),
        word_(reinterpret_cast<int32_t*>(static_cast<char*>(region_->address()) + offset)),
        period_(period_ms * kNanosecondsPerMs) {
    uv_mutex_init(&mutex_);
    uv_cond_init(&stop_asked_);
  }

  ~Thread() {
    uv_cond_destroy(&stop_asked_);
    uv_mutex_destroy(&mutex_);
  }

  int Start() {
    return uv_thread_create(
        &thread_, [](void* self) { static_cast<Thread*>(self)->Run(); }, this);
  }

  void StopAndJoin() {
    uv_mutex_lock(&mutex_);
    is_stopping_ = true;
    uv_cond_signal(&stop_asked_);
    uv_mutex_unlock(&mutex_);
    uv_thread_join(&thread_);
  }

 private:
  void Run() {
    prctl(PR_SET_NAME, "millrace-pulse");
    uv_mutex_lock(&mutex_);
    uint64_t due = uv_hrtime();
    while (!is_stopping_) {
      const uint64_t now = uv_hrtime();
      if (now < due) {
        uv_cond_timedwait(&stop_asked_, &mutex_, due - now);
        continue;
      }
      // SYNC pulse: the watcher reads the word with Atomics.load.
      __atomic_fetch_add(word_, 1, __ATOMIC_RELEASE);
      due = now + period_;
    }
    uv_mutex_unlock(&mutex_);
  }

  const Counted<Region> region_;
  int32_t* const word_;
  const uint64_t period_;
  uv_thread_t thread_;
  uv_mutex_t mutex_;
  uv_cond_t stop_asked_;
  bool is_stopping_ = false;
};

Napi::Function Pulse::Define(Napi::Env env) {
  return DefineClass(env, "Pulse", {InstanceMethod<&Pulse::Stop>("stop")});
}

Pulse::Pulse(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<Pulse>(info), thread_(nullptr, [](Thread* thread) {
        thread->StopAndJoin();
        delete thread;
      }) {
  Counted<Region> region = Mapping::RegionOf(info, 0, "mapping");
  if (!region->is_shared()) throw ArgumentFailure(info.Env(), "mapping", "open for writing");
  const int64_t last_offset = static_cast<int64_t>(region->length()) - static_cast<int64_t>(sizeof(int32_t));
  const int64_t offset = WholeNumber(info, 1, "offset", 0, last_offset);
  if (offset % static_cast<int64_t>(sizeof(int32_t)) != 0) {
    throw ArgumentFailure(info.Env(), "offset", "a multiple of 4");
  }
  const int64_t period_ms = WholeNumber(info, 2, "periodMs", 1, kPeriodMsMax);

  auto thread =
      std::make_unique<Thread>(std::move(region), static_cast<size_t>(offset), static_cast<uint64_t>(period_ms));
  const int status = thread->Start();
  if (status != 0) throw SystemFailure(info.Env(), -status, "pthread_create");
  thread_.reset(thread.release());
  Ref();
}

void Pulse::Stop(const Napi::CallbackInfo& info) {
  if (!thread_) throw ClosedFailure(info.Env(), "pulse");
  thread_.reset();
  Unref();
}

}  // namespace millrace
