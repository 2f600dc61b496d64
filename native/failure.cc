#include "failure.h"

#include <uv.h>

#include <string>

namespace millrace {

Napi::Error SystemFailure(Napi::Env env, int error_number, const char* syscall) {
  const int uv_error = uv_translate_sys_error(error_number);
  Napi::Error failure = Napi::Error::New(env, std::string(syscall) + ": " + uv_strerror(uv_error));
  failure.Set("code", Napi::String::New(env, uv_err_name(uv_error)));
  failure.Set("errno", Napi::Number::New(env, error_number));
  failure.Set("syscall", Napi::String::New(env, syscall));
  return failure;
}

Napi::Error ArgumentFailure(Napi::Env env, const char* name, const char* expected) {
  Napi::Error failure = Napi::TypeError::New(env, std::string(name) + " must be " + expected);
  failure.Set("code", Napi::String::New(env, "ERR_ARGUMENT"));
  failure.Set("argument", Napi::String::New(env, name));
  failure.Set("expected", Napi::String::New(env, expected));
  return failure;
}

Napi::Error ClosedFailure(Napi::Env env, const char* what) {
  Napi::Error failure = Napi::Error::New(env, std::string("the ") + what + " is closed");
  failure.Set("code", Napi::String::New(env, "ERR_SHM_CLOSED"));
  return failure;
}

}  // namespace millrace
