#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>
#include <wolfssl/version.h>
#include <wolfssl/wolfcrypt/ecc.h>
#ifdef WOLF_CRYPTO_CB
#include <wolfssl/wolfcrypt/cryptocb.h>
#endif

#include "tls/library.h"
#include "tls/tls_impl.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/random.h>

/* ---- memory: malloc with a bound for each thread ---- */

static _Thread_local int64_t used;
static _Thread_local int64_t bound; /* 0: none */

static void *new_block(size_t octets) {
    if (bound > 0 && (octets > (uint64_t)bound || used > bound - (int64_t)octets))
        return NULL;
    void *block = malloc(octets);
    used += (int64_t)malloc_usable_size(block); /* 0 for NULL */
    return block;
}

static void free_block(void *block) {
    used -= (int64_t)malloc_usable_size(block);
    free(block);
}

static void *new_size_of_block(void *block, size_t octets) {
    if (bound > 0 && (octets > (uint64_t)bound || used > bound - (int64_t)octets))
        return NULL;
    int64_t before = (int64_t)malloc_usable_size(block);
    void *larger = realloc(block, octets);
    if (larger != NULL)
        used += (int64_t)malloc_usable_size(larger) - before;
    return larger;
}

void mx_tls_memory_bound(uint64_t octets) {
    bound = octets > INT64_MAX ? INT64_MAX : (int64_t)octets;
}

int64_t mx_tls_memory_used(void) {
    return used;
}

void mx_tls_memory_forget(int64_t since) {
    used = since;
}

/* ---- random numbers ---- */

int mx_tls_random(void *to, size_t octets) {
    char *at = to;
    while (octets > 0) {
        ssize_t got = getrandom(at, octets, 0);
        if (got < 0 && errno != EINTR)
            return -errno;
        if (got > 0) {
            at += got;
            octets -= (size_t)got;
        }
    }
    return 0;
}

#ifdef WOLF_CRYPTO_CB
/* Old versions open /dev/urandom for each session; a confined thread cannot. */
enum { SEED_DEVICE = 0x6d78 };

static int give_seed(int device, wc_CryptoInfo *info, void *context) {
    (void)device, (void)context;
    if (info->algo_type != WC_ALGO_TYPE_SEED)
        return CRYPTOCB_UNAVAILABLE;
    return mx_tls_random(info->seed.seed, info->seed.sz) == 0 ? 0 : RNG_FAILURE_E;
}

static int register_seed(void) {
    return wc_CryptoCb_RegisterDevice(SEED_DEVICE, give_seed, NULL);
}

int mx_tls_seed_from_getrandom(WOLFSSL_CTX *ctx) {
    return wolfSSL_CTX_SetDevId(ctx, SEED_DEVICE) == WOLFSSL_SUCCESS ? 0 : MX_ETLS;
}
#else
static int register_seed(void) {
    return 0;
}

int mx_tls_seed_from_getrandom(WOLFSSL_CTX *ctx) {
    (void)ctx; /* versions that can do without the device do so by themselves */
    return 0;
}
#endif

/* ---- the library ---- */

struct mx_tls_library mx_tls_library_info(void) {
    struct mx_tls_library info = {.version = wolfSSL_lib_version()};
#if defined(WOLFSSL_AESNI) || defined(WOLFSSL_ARMASM)
    info.is_accelerated = true;
#endif
#ifdef FP_ECC
    info.kept_octets = 14 << 20; /* 16 tables of 256 points */
#endif
    return info;
}

int mx_tls_library_init(void) {
    if (wolfSSL_SetAllocators(new_block, free_block, new_size_of_block) != 0 ||
        wolfSSL_Init() != WOLFSSL_SUCCESS || register_seed() != 0)
        return MX_ETLS;
    return 0;
}

void mx_tls_thread_end(void) {
#ifdef FP_ECC
    wc_ecc_fp_free(); /* its cache is the thread's own */
#endif
    wolfSSL_ERR_clear_error();
#if defined(OPENSSL_EXTRA)
    wolfSSL_ERR_remove_state(0);
#endif
}
