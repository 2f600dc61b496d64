{
  # -Werror only for ourselves (compile.mjs sets it in a checkout): a user's newer compiler may know newer warnings.
  'variables': { 'millrace_strict%': 0 },
  'targets': [
    {
      'target_name': 'millrace',
      'sources': ['addon.cc', 'arguments.cc', 'bell.cc', 'failure.cc', 'mapping.cc', 'pulse.cc', 'system.cc'],
      'include_dirs': ['<!(node -p "require(\'node-addon-api\').include_dir")'],
      'defines': ['NAPI_VERSION=8', 'NODE_ADDON_API_CPP_EXCEPTIONS'],
      'cflags_cc!': ['-fno-exceptions'],
      'cflags_cc': ['-std=c++17', '-O2', '-Wall', '-Wextra', '-fvisibility=hidden'],
      'conditions': [['millrace_strict==1', { 'cflags_cc': ['-Werror'] }]],
    },
  ],
}
