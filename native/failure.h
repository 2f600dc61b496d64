#pragma once

#include <napi.h>

namespace millrace {

/** A JavaScript Error with `code` ("ENOSPC"), `errno` and `syscall`; the caller adds the path, which native code does
 * not know. */
Napi::Error SystemFailure(Napi::Env env, int error_number, const char* syscall);

/** A JavaScript TypeError with code ERR_ARGUMENT and the argument's name as `argument`. */
Napi::Error ArgumentFailure(Napi::Env env, const char* name, const char* expected);

/** A JavaScript Error with code ERR_SHM_CLOSED: the thing was closed before, and is closed once only. */
Napi::Error ClosedFailure(Napi::Env env, const char* what);

}  // namespace millrace
