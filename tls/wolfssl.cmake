# The TLS library: the one in WOLFSSL_ROOT, else the pinned one that scripts/wolfssl has built, else
# the system's. Defines the target mx_wolfssl; with the pinned one also mx_wolfssl_system when the
# system has one, so that the tests see both.
set(MX_WOLFSSL_MINIMUM 5.5.4)
set(WOLFSSL_ROOT "" CACHE PATH "Prefix of a wolfSSL of one's own; empty: build/deps/wolfssl if there")
option(MX_SYSTEM_WOLFSSL "Take the system's libwolfssl-dev" OFF)

# mx_check_wolfssl(TARGET NAME): a library without what tls/ needs is refused by name.
function(mx_check_wolfssl target name)
  set(needs
    "TLS 1.3=WOLFSSL_TLS13" "SNI=HAVE_SNI" "session tickets=HAVE_SESSION_TICKET"
    "supported curves=HAVE_SUPPORTED_CURVES" "ECC=HAVE_ECC" "AES-GCM=HAVE_AESGCM"
    "ChaCha20=HAVE_CHACHA" "Poly1305=HAVE_POLY1305" "OpenSSL extra=OPENSSL_EXTRA"
    "encrypted keys=WOLFSSL_ENCRYPTED_KEYS" "CRL=HAVE_CRL")
  set(text "#include <wolfssl/options.h>\n#include <wolfssl/ssl.h>\n#include <wolfssl/version.h>\n")
  foreach(need IN LISTS needs)
    string(REGEX MATCH "^(.*)=(.*)$" _ "${need}")
    string(APPEND text "#ifndef ${CMAKE_MATCH_2}\n#pragma message(\"mx_lacks: ${CMAKE_MATCH_1};\")\n#endif\n")
  endforeach()
  string(APPEND text
    "#ifdef WOLFSSL_EARLY_DATA\n#pragma message(\"mx_early;\")\n#endif\n"
    "#define MX_TEXT_(x) #x\n#define MX_TEXT(x) MX_TEXT_(x)\n"
    "#pragma message(\"mx_version: \" LIBWOLFSSL_VERSION_STRING \";\")\n"
    "#if defined(WOLFSSL_AESNI) || defined(WOLFSSL_ARMASM)\n#pragma message(\"mx_asm;\")\n#endif\n"
    "int main(void) { return wolfSSL_Init() != WOLFSSL_SUCCESS; }\n")
  file(WRITE ${CMAKE_BINARY_DIR}/wolfssl-check/${target}.c "${text}")
  # Not cached: the library may be another one than at the last configuration.
  try_compile(is_usable ${CMAKE_BINARY_DIR}/wolfssl-check ${CMAKE_BINARY_DIR}/wolfssl-check/${target}.c
    LINK_LIBRARIES ${target} OUTPUT_VARIABLE output)
  unset(is_usable CACHE)
  string(REGEX MATCH "mx_version: ([0-9.]+)" _ "${output}")
  set(version ${CMAKE_MATCH_1})
  if(NOT version)
    message(FATAL_ERROR "${name}: no wolfSSL that compiles and links:\n${output}")
  endif()
  if(version VERSION_LESS MX_WOLFSSL_MINIMUM)
    message(FATAL_ERROR "${name}: wolfSSL ${version} is too old, ${MX_WOLFSSL_MINIMUM} is the oldest one")
  endif()
  string(REGEX MATCHALL "mx_lacks: [A-Za-z0-9. -]+" lacks "${output}")
  list(TRANSFORM lacks REPLACE "mx_lacks: " "")
  list(REMOVE_DUPLICATES lacks)
  if(lacks)
    list(JOIN lacks ", " lacks)
    message(FATAL_ERROR "${name}: wolfSSL ${version} was built without ${lacks}")
  endif()
  set(speed "NOT accelerated (scripts/wolfssl builds one that is)")
  if(output MATCHES "mx_asm;")
    set(speed "accelerated")
  endif()
  message(STATUS "wolfSSL ${version}, ${name}, ${speed}")
endfunction()

# The headers in PREFIX and one static or shared library of it.
function(mx_wolfssl_of_prefix target prefix)
  find_library(library NAMES libwolfssl.a wolfssl PATHS ${prefix}/lib NO_DEFAULT_PATH NO_CACHE)
  if(NOT library OR NOT EXISTS ${prefix}/include/wolfssl/options.h)
    message(FATAL_ERROR "WOLFSSL_ROOT: no wolfSSL with headers in ${prefix}")
  endif()
  add_library(${target} INTERFACE IMPORTED GLOBAL)
  target_include_directories(${target} INTERFACE ${prefix}/include)
  target_link_libraries(${target} INTERFACE ${library} m Threads::Threads)
  mx_check_wolfssl(${target} ${prefix})
endfunction()

function(mx_wolfssl_of_system target is_required)
  pkg_check_modules(SYSTEM_WOLFSSL QUIET IMPORTED_TARGET wolfssl>=${MX_WOLFSSL_MINIMUM})
  if(SYSTEM_WOLFSSL_FOUND)
    add_library(${target} INTERFACE IMPORTED GLOBAL)
    target_link_libraries(${target} INTERFACE PkgConfig::SYSTEM_WOLFSSL Threads::Threads)
    mx_check_wolfssl(${target} "the system's")
  elseif(is_required)
    message(FATAL_ERROR "no wolfSSL: run scripts/build, which gets one, or install libwolfssl-dev, "
      "or give -DWOLFSSL_ROOT=PREFIX")
  endif()
endfunction()

if(WOLFSSL_ROOT)
  mx_wolfssl_of_prefix(mx_wolfssl ${WOLFSSL_ROOT})
elseif(NOT MX_SYSTEM_WOLFSSL AND EXISTS ${PROJECT_SOURCE_DIR}/build/deps/wolfssl/recipe)
  mx_wolfssl_of_prefix(mx_wolfssl ${PROJECT_SOURCE_DIR}/build/deps/wolfssl)
  mx_wolfssl_of_system(mx_wolfssl_system FALSE)
else()
  mx_wolfssl_of_system(mx_wolfssl TRUE)
endif()
