#pragma once

#include <napi.h>

namespace millrace {

/**
 * new Bell(fd, onRing): watches a FIFO, opened O_RDWR | O_NONBLOCK, on the event loop. However many bytes have arrived,
 * they are drained first and then onRing() is called once, so a ring that comes while it looks around is not lost but
 * leads to another call. Owns the fd from here on. Keeps the loop alive unless unref() was called. Rings until close()
 * or the end of its thread, also when it is forgotten.
 */
class Bell : public Napi::ObjectWrap<Bell> {
 public:
  static Napi::Function Define(Napi::Env env);

  explicit Bell(const Napi::CallbackInfo& info);
  ~Bell() override;

 private:
  struct Watch;

  void KeepAlive(const Napi::CallbackInfo& info);
  void LetGo(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  /** Null once closed. Frees itself, since libuv needs it a turn longer than this object may live. */
  Watch* watch_ = nullptr;
};

}  // namespace millrace
