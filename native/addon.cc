/**
 * The native side of src/shm, which alone may load it: what Node cannot do by itself, one thin layer over the system
 * calls. Files are opened, named and explained in TypeScript and come here as descriptors. Every argument is checked by
 * name; a wrong one is an error with a code. Node-API 8, so one binary serves every Node from 20 on; also fit for
 * worker threads.
 */
#include <napi.h>

#include "bell.h"
#include "mapping.h"
#include "pulse.h"
#include "system.h"

namespace millrace {

static Napi::Object Initialize(Napi::Env env, Napi::Object exports) {
  exports.Set("Mapping", Mapping::Define(env));
  exports.Set("Pulse", Pulse::Define(env));
  exports.Set("Bell", Bell::Define(env));
  DefineSystem(env, exports);
  return exports;
}

NODE_API_MODULE(millrace, Initialize)

}  // namespace millrace
