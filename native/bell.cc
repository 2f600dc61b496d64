#include "bell.h"

#include <fcntl.h>
#include <unistd.h>
#include <uv.h>

#include <cerrno>
#include <memory>

#include "arguments.h"
#include "failure.h"

namespace millrace {

struct Bell::Watch {
  Watch(Napi::Env environment, Napi::Function callback)
      : env(environment), context(environment, "millrace:bell"), on_ring(Napi::Persistent(callback)) {}

  void Ring();
  /** Ends the watch, from close() or because the environment ends. Only the first call counts. */
  void End();
  void Drain() const;

  uv_poll_t poll;
  int fd = -1;
  Bell* owner = nullptr;
  napi_async_cleanup_hook_handle cleanup_hook = nullptr;
  const Napi::Env env;
  Napi::AsyncContext context;
  Napi::FunctionReference on_ring;
};

void Bell::Watch::Drain() const {
  char rings[512];
  for (;;) {
    const ssize_t count = read(fd, rings, sizeof rings);
    if (count == static_cast<ssize_t>(sizeof rings)) continue;
    if (count < 0 && errno == EINTR) continue;
    return;
  }
}

void Bell::Watch::Ring() {
  Drain();
  Napi::HandleScope scope(env);
  // Not through the C++ wrapper, which ends the process if it cannot make an exception of a failure: so it is while a
  // worker is terminated.
  const napi_status status = napi_make_callback(env, context, env.Global(), on_ring.Value(), 0, nullptr, nullptr);
  napi_value error;
  if (status == napi_pending_exception && napi_get_and_clear_last_exception(env, &error) == napi_ok) {
    // What a throwing event listener leads to: uncaughtException.
    napi_fatal_exception(env, error);
  }
}

void Bell::Watch::End() {
  if (fd < 0) return;
  if (owner != nullptr) owner->watch_ = nullptr;
  uv_poll_stop(&poll);
  close(fd);
  fd = -1;
  on_ring.Reset();
  uv_close(reinterpret_cast<uv_handle_t*>(&poll), [](uv_handle_t* handle) {
    auto* watch = static_cast<Watch*>(handle->data);
    const napi_async_cleanup_hook_handle cleanup_hook = watch->cleanup_hook;
    {
      Napi::HandleScope scope(watch->env);
      delete watch;
    }
    // Last, since the environment may go away once nobody waits for it.
    napi_remove_async_cleanup_hook(cleanup_hook);
  });
}

Napi::Function Bell::Define(Napi::Env env) {
  return DefineClass(env, "Bell",
                     {InstanceMethod<&Bell::KeepAlive>("ref"), InstanceMethod<&Bell::LetGo>("unref"),
                      InstanceMethod<&Bell::Close>("close")});
}

Bell::Bell(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Bell>(info) {
  const int fd = FileDescriptor(info, 0);
  Napi::Function on_ring = Callback(info, 1, "onRing");
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0) throw SystemFailure(info.Env(), errno, "fcntl");
  if ((flags & O_NONBLOCK) == 0) throw ArgumentFailure(info.Env(), "fd", "open with O_NONBLOCK");

  uv_loop_t* loop = nullptr;
  if (napi_get_uv_event_loop(info.Env(), &loop) != napi_ok) throw Napi::Error::New(info.Env());
  auto watch = std::make_unique<Watch>(info.Env(), on_ring);
  const int status = uv_poll_init(loop, &watch->poll, fd);
  if (status != 0) throw SystemFailure(info.Env(), -status, "uv_poll_init");

  // From here on libuv knows the handle: nothing below can fail.
  watch_ = watch.release();
  watch_->poll.data = watch_;
  watch_->fd = fd;
  watch_->owner = this;
  uv_poll_start(&watch_->poll, UV_READABLE, [](uv_poll_t* poll, int, int) { static_cast<Watch*>(poll->data)->Ring(); });
  napi_add_async_cleanup_hook(
      info.Env(), [](napi_async_cleanup_hook_handle, void* data) { static_cast<Watch*>(data)->End(); }, watch_,
      &watch_->cleanup_hook);
  Ref();
}

Bell::~Bell() {
  if (watch_ != nullptr) watch_->owner = nullptr;
}

void Bell::KeepAlive(const Napi::CallbackInfo& info) {
  if (watch_ == nullptr) throw ClosedFailure(info.Env(), "bell");
  uv_ref(reinterpret_cast<uv_handle_t*>(&watch_->poll));
}

void Bell::LetGo(const Napi::CallbackInfo& info) {
  if (watch_ == nullptr) throw ClosedFailure(info.Env(), "bell");
  uv_unref(reinterpret_cast<uv_handle_t*>(&watch_->poll));
}

void Bell::Close(const Napi::CallbackInfo& info) {
  if (watch_ == nullptr) throw ClosedFailure(info.Env(), "bell");
  watch_->End();
  Unref();
}

}  // namespace millrace
