#pragma once

#include <napi.h>

#include <memory>

namespace millrace {

/**
 * new Pulse(mapping, offset, periodMs): a thread that adds 1 to the int32 at `offset`, at once and then every
 * `periodMs`, with a release store, whatever the event loop does. It stands still only while the operating system does
 * not schedule the process. It does not catch up on beats missed meanwhile. Beats until stop() or the end of the
 * process, also when this object is forgotten; the memory stays mapped for as long, even if the mapping is closed.
 */
class Pulse : public Napi::ObjectWrap<Pulse> {
 public:
  static Napi::Function Define(Napi::Env env);

  explicit Pulse(const Napi::CallbackInfo& info);

 private:
  class Thread;

  void Stop(const Napi::CallbackInfo& info);

  std::unique_ptr<Thread, void (*)(Thread*)> thread_;
};

}  // namespace millrace
