/* Goal: only hashes that can be checked, and at a bounded cost, are accepted; each refusal says
 * why. Method: tables of entries; crypt(3) itself is asked whether it knows what we accept. */
#include "config/password.h"

#include <criterion/criterion.h>
#include <crypt.h>

#define ROWS(table) (sizeof(table) / sizeof *(table))
#define SALT22      "WXEQefDWlQitKed887QI2u"
#define BCRYPT31    "xG2bcKb8pSOKwqitMTgHQ7beOqp6VwW"
#define D43         "hPXhEz.C0seM1vaj9588fw6GYAx33VWSfNrm4obfAA."
#define D86                                                                                        \
    "$v9zIbWhsLdThdVCr6.uv3/9bTakAG4sMwWhO5OYUplniQNMpO3iKCloOo//9wDE90.HxwrFZXtRXn6DS21F0d1"
#define KEY32 "FRF+F2O1ycVxMoH8sXyGhZ/2OMzMbNv8c0jf9YAFmIw="
#define KEY64                                                                                      \
    "pzdAe8jaGNxXnNW1BGVLhtoe+KEdBcXT2Kt2yKEwcJo5VmYVvS5n2nNRxyUtNRPV0uKmLhe/KWLuHnLgCZrdyA=="
#define KEY16 "AAECAwQFBgcICQoLDA0ODw=="

static const struct {
    const char *entry;
    enum mx_password_kind kind;
    uint32_t iterations, key_octets;
    bool can_scram, is_weak;
} good[] = {
    {"$y$j9T$/IgOJ02FUBDtw4M5irrm70$" D43,             MX_PASSWORD_CRYPT,  0,       0,  false, false},
    {"$y$jBT$/IgOJ02FUBDtw4M5irrm70$" D43,             MX_PASSWORD_CRYPT,  0,       0,  false, false},
    {"$gy$j9T$d8I6M.MrRebG27kAiJVMU.$" D43,            MX_PASSWORD_CRYPT,  0,       0,  false, false},
    {"$7$CU..../....NEM1x4xIdZGEP/BeoKjdD1$" D43,      MX_PASSWORD_CRYPT,  0,       0,  false, false},
    {"$2b$05$" SALT22 BCRYPT31,                        MX_PASSWORD_CRYPT,  0,       0,  false, false},
    {"$2a$14$" SALT22 BCRYPT31,                        MX_PASSWORD_CRYPT,  0,       0,  false, false},
    {"$2y$04$" SALT22 BCRYPT31,                        MX_PASSWORD_CRYPT,  0,       0,  false, false},
    {"$6$zagZb19du6oaJqSr" D86,                        MX_PASSWORD_CRYPT,  0,       0,  false, false},
    {"$6$rounds=1000000$z" D86,                        MX_PASSWORD_CRYPT,  0,       0,  false, false},
    {"$5$bsLIZoncG1TeUUYB$" D43,                       MX_PASSWORD_CRYPT,  0,       0,  false, false},
    {"$1$BbuQ9/2J$dqJxR1WhEDapIfqH3i98Y/",             MX_PASSWORD_CRYPT,  0,       0,  false, true },
    {"{PBKDF2-SHA512}" KEY64,                          MX_PASSWORD_PBKDF2, 1000,    64, false, false},
    {"{PBKDF2-SHA512-5}" KEY64,                        MX_PASSWORD_PBKDF2, 5,       64, false, false},
    {"{PBKDF2-SHA512-1000000-512}" KEY64,              MX_PASSWORD_PBKDF2, 1000000, 64, false, false},
    {"{PBKDF2-SHA512-1000-128}" KEY16,                 MX_PASSWORD_PBKDF2, 1000,    16, false, false},
    {"{SCRAM-SHA-256}4096:" KEY16 ":" KEY32 ":" KEY32, MX_PASSWORD_SCRAM,  4096,    0,  true,  false},
    {"{SCRAM-SHA-256}1:AA==:" KEY32 ":" KEY32,         MX_PASSWORD_SCRAM,  1,       0,  true,  true },
    {"{PLAIN}a:b}c #d",                                MX_PASSWORD_PLAIN,  0,       0,  true,  false},
    {"{PLAIN} ",                                       MX_PASSWORD_PLAIN,  0,       0,  true,  false},
    {"{PLAIN}gr\xc3\xbcn",                             MX_PASSWORD_PLAIN,  0,       0,  false, false},
};

Test(password, accepted) {
    for (size_t i = 0; i < ROWS(good); i++) {
        struct mx_password entry;
        const char *why = NULL;
        int err = mx_password_parse(mx_span_of(good[i].entry), &entry, &why);
        cr_expect_eq(err, 0, "%s: %s", good[i].entry, why != NULL ? why : "");
        cr_expect_eq(entry.kind, good[i].kind, "%s", good[i].entry);
        cr_expect_eq(entry.iterations, good[i].iterations, "%s", good[i].entry);
        cr_expect_eq(entry.key_octets, good[i].key_octets, "%s", good[i].entry);
        cr_expect_eq(mx_password_can_scram(&entry), good[i].can_scram, "%s", good[i].entry);
        cr_expect_eq(entry.weakness != NULL, good[i].is_weak, "%s", good[i].entry);
        if (entry.kind == MX_PASSWORD_CRYPT) {
            int known = crypt_checksalt(good[i].entry);
            cr_expect(known == CRYPT_SALT_OK || known == CRYPT_SALT_METHOD_LEGACY, "%s",
                      good[i].entry);
        }
    }
}

static const char dear[] = "the hash costs too much time or memory";
static const char cut[] = "the hash is cut off or malformed";
static const char strange[] = "yescrypt with parameters that crypt(3) does not make";

static const struct {
    const char *entry, *why;
} bad[] = {
    {"$y$jCT$/IgOJ02FUBDtw4M5irrm70$" D43,                     dear                                                         },
    {"$y$j9z$/IgOJ02FUBDtw4M5irrm70$" D43,                     strange                                                      },
    {"$y$jzT$/IgOJ02FUBDtw4M5irrm70$" D43,                     strange                                                      },
    {"$y$k9T$/IgOJ02FUBDtw4M5irrm70$" D43,                     strange                                                      },
    {"$y$j9T.$/IgOJ02FUBDtw4M5irrm70$" D43,                    strange                                                      },
    {"$y$j9T$/IgOJ02FUBDtw4M5irrm70",                          cut                                                          },
    {"$y$j9T$/IgOJ02FUBDtw4M5irrm70$" D43 "x",                 cut                                                          },
    {"$y$j9T$$" D43,                                           cut                                                          },
    {"$y$",                                                    cut                                                          },
    {"$7$DU..../....NEM1x4xIdZGEP/BeoKjdD1$" D43,              dear                                                         },
    {"$7$CU....3....NEM1x4xIdZGEP/BeoKjdD1$" D43,              dear                                                         },
    {"$7$CUzzzz/....NEM1x4xIdZGEP/BeoKjdD1$" D43,              dear                                                         },
    {"$7$zU..../....NEM1x4xIdZGEP/BeoKjdD1$" D43,              dear                                                         },
    {"$7$C...../....NEM1x4xIdZGEP/BeoKjdD1$" D43,              cut                                                          },
    {"$7$CU....",                                              cut                                                          },
    {"$2b$15$" SALT22 BCRYPT31,                                dear                                                         },
    {"$2b$31$" SALT22 BCRYPT31,                                dear                                                         },
    {"$2b$32$" SALT22 BCRYPT31,                                cut                                                          },
    {"$2b$5$" SALT22 BCRYPT31,                                 cut                                                          },
    {"$2b$05$" SALT22,                                         cut                                                          },
    {"$2b$05$" SALT22 BCRYPT31 ".",                            cut                                                          },
    {"$6$rounds=1000001$z" D86,                                dear                                                         },
    {"$6$rounds=999$z" D86,                                    cut                                                          },
    {"$6$rounds=9999999999$z" D86,                             cut                                                          },
    {"$6$rounds=5000" D86,                                     cut                                                          },
    {"$6$0123456789abcdefg" D86,                               cut                                                          },
    {"$5$bsLIZoncG1TeUUYB$" D43 " ",                           cut                                                          },
    {"$1$BbuQ9/2J0$dqJxR1WhEDapIfqH3i98Y/",                    cut                                                          },
    {"{PLAIN}",                                                "behind {PLAIN} there must be a secret of at most 511 octets"},
    {"{PLAIN}a\tb",                                            "the secret behind {PLAIN} holds a control character"        },
    {"{PBKDF2-SHA512" KEY64,                                   NULL                                                         },
    {"{PBKDF2-SHA512-1000" KEY64,                              "'}' is missing behind {PBKDF2-SHA512"                       },
    {"{PBKDF2-SHA512-}" KEY64,
     "the iterations of {PBKDF2-SHA512-ITERATIONS-BITS} must be a number up to 1000000"                                     },
    {"{PBKDF2-SHA512-0}" KEY64,
     "the iterations of {PBKDF2-SHA512-ITERATIONS-BITS} must be a number up to 1000000"                                     },
    {"{PBKDF2-SHA512-1000001-512}" KEY64,
     "the iterations of {PBKDF2-SHA512-ITERATIONS-BITS} must be a number up to 1000000"                                     },
    {"{PBKDF2-SHA512-1000-}" KEY64,
     "the bits of {PBKDF2-SHA512-ITERATIONS-BITS} must be 128 to 4096, a multiple of 8"                                     },
    {"{PBKDF2-SHA512-1000-513}" KEY64,
     "the bits of {PBKDF2-SHA512-ITERATIONS-BITS} must be 128 to 4096, a multiple of 8"                                     },
    {"{PBKDF2-SHA512-1000-4104}" KEY64,
     "the bits of {PBKDF2-SHA512-ITERATIONS-BITS} must be 128 to 4096, a multiple of 8"                                     },
    {"{PBKDF2-SHA512-1000-256}" KEY64,
     "behind {PBKDF2-SHA512...} there must be a key of its bits in base64"                                                  },
    {"{PBKDF2-SHA512}!" KEY64,
     "behind {PBKDF2-SHA512...} there must be a key of its bits in base64"                                                  },
    {"{SCRAM-SHA-256}4096:" KEY16 ":" KEY32,
     "{SCRAM-SHA-256} takes ITERATIONS:SALT:STOREDKEY:SERVERKEY"                                                            },
    {"{SCRAM-SHA-256}0:" KEY16 ":" KEY32 ":" KEY32,
     "the iterations of {SCRAM-SHA-256} must be a number up to 1000000"                                                     },
    {"{SCRAM-SHA-256}4096::" KEY32 ":" KEY32,
     "the salt of {SCRAM-SHA-256} must be 1 to 64 octets in base64"                                                         },
    {"{SCRAM-SHA-256}4096:" KEY64 "AAAA:" KEY32 ":" KEY32,
     "the salt of {SCRAM-SHA-256} must be 1 to 64 octets in base64"                                                         },
    {"{SCRAM-SHA-256}4096:" KEY16 ":" KEY16 ":" KEY32,
     "the keys of {SCRAM-SHA-256} must be 32 octets each in base64"                                                         },
    {"{SCRAM-SHA-256}4096:" KEY16 ":" KEY32 ":" KEY32 ":AAAA",
     "the keys of {SCRAM-SHA-256} must be 32 octets each in base64"                                                         },
    {"",                                                       NULL                                                         },
    {"*",                                                      NULL                                                         },
    {"abJnggxhB/yWI",                                          NULL                                                         },
    {"_J9..rasmBYk8r9AiWNc",                                   NULL                                                         },
    {"$3$$8846f7eaee8fb117ad06bdd830b7586c",                   NULL                                                         },
    {"{plain}secret",                                          NULL                                                         },
    {"{SHA512}x",                                              NULL                                                         },
};

Test(password, refused) {
    for (size_t i = 0; i < ROWS(bad); i++) {
        struct mx_password entry;
        const char *why = NULL;
        int err = mx_password_parse(mx_span_of(bad[i].entry), &entry, &why);
        cr_expect_eq(err, MX_ESYNTAX, "%s", bad[i].entry);
        cr_assert_not_null(why);
        if (bad[i].why != NULL)
            cr_expect_str_eq(why, bad[i].why, "%s: %s", bad[i].entry, why);
        else
            cr_expect_eq(strncmp(why, "unknown hash; ", 14), 0, "%s: %s", bad[i].entry, why);
    }
}

Test(password, longest_secret) {
    char text[7 + MX_PASSWORD_MAX + 1] = "{PLAIN}";
    struct mx_password entry;
    const char *why = NULL;
    memset(text + 7, 'x', sizeof text - 7);
    cr_expect_eq(mx_password_parse((struct mx_span){text, sizeof text - 1}, &entry, &why), 0);
    cr_expect_eq(mx_password_parse((struct mx_span){text, sizeof text}, &entry, &why), MX_ESYNTAX);
}
