#include "bench/mxload/report.h"

#include <string.h>

#define LLU(value) ((unsigned long long)(value))

static const char *const phase_names[MX_PHASE_COUNT] = {
    "connect", "banner", "hello", "starttls", "tls",   "resumed", "auth",
    "mail",    "rcpt",   "data",  "group",    "final", "message",
};

static const struct {
    const char *name, *text;
} verdicts[] = {
    {"generator-limited", "mxload hardly ever slept: take more --workers or CPUs"                },
    {"server-limited",    "the sessions nearly always waited for the server, mxload had time"    },
    {"disk-limited",      "the sessions nearly always waited for the server, and that for a disk"},
    {"rate-limited",      "the rate was reached, and both sides had time left"                   },
    {"unclear",           "neither mxload, nor the server, nor a rate was the limit all the time"},
};

/* A reply that comes sooner is none that anybody has waited for: it is the way. */
static const double way_ms = 0.3;

/* Whom the server waits for, while everybody waits for it. */
static enum mx_verdict judge_server(const struct mx_evidence *self) {
    if (!self->server.is_known || self->server.busy >= 0.8)
        return MX_VERDICT_SERVER;
    if (self->server.disk >= 0.5 * (1 - self->server.busy)) /* most of its time without work */
        return MX_VERDICT_DISK;
    /* it has time, and so has mxload: there are too few sessions, unless it is late on purpose */
    return self->reply_ms < way_ms ? MX_VERDICT_NONE : MX_VERDICT_SERVER;
}

enum mx_verdict mx_report_judge(const struct mx_evidence *self) {
    if (self->slept < 0.1)
        return MX_VERDICT_GENERATOR;
    if (self->waited >= 0.9)
        return judge_server(self);
    if (self->rate >= 0.98)
        return MX_VERDICT_RATE;
    return MX_VERDICT_NONE;
}

/* Sums of structs that are counters and nothing else. */
static void add(void *to, const void *from, size_t octets) {
    uint64_t *a = to;
    const uint64_t *b = from;
    for (size_t i = 0; i < octets / sizeof *a; i++)
        a[i] += b[i];
}
_Static_assert(sizeof(struct mx_counts) % sizeof(uint64_t) == 0, "counters and nothing else");
_Static_assert(sizeof(struct mx_zerocopies) == 5 * sizeof(uint64_t), "counters and nothing else");

static double ratio(double a, double b) {
    return b > 0 ? a / b : 0;
}

/* Which phase was waited for most, and what the mean reply took. */
static void weigh_phases(struct mx_report *self) {
    double sum_ns = 0, count = 0, most_ns = 0;
    for (unsigned phase = 0; phase < MX_PHASE_MESSAGE; phase++) {
        double phase_ns = (double)self->phases[phase].sum_ns;
        sum_ns += phase_ns;
        count += (double)self->phases[phase].count;
        if (phase_ns > most_ns) {
            most_ns = phase_ns;
            self->longest = (enum mx_phase)phase;
        }
    }
    self->longest_share = ratio(most_ns, sum_ns);
    self->evidence.reply_ms = 1e-6 * ratio(sum_ns, count);
}

void mx_report_init(struct mx_report *self, struct mx_load *const *loads, uint32_t count,
                    const struct mx_peer *peer, double cpu_s) {
    *self = (struct mx_report){.plan = loads[0]->plan, .shared = loads[0]->shared, .cpu_s = cpu_s};
    self->has_zerocopy = true;
    uint64_t first_ns = UINT64_MAX, last_ns = 0;
    double wall = 0, slept = 0, delayed = 0, waited = 0, sessions = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct mx_load *load = loads[i];
        add(&self->counts, &load->counts, sizeof self->counts);
        add(&self->zerocopies, &load->zerocopies, sizeof self->zerocopies);
        self->has_zerocopy &= load->has_zerocopy;
        if (self->tls_facts == NULL && load->counts.tls_handshakes > 0)
            self->tls_facts = &load->tls_facts;
        for (unsigned phase = 0; phase < MX_PHASE_COUNT; phase++)
            mx_histogram_merge(&self->phases[phase], &load->phases[phase]);
        if (load->first_ns > 0 && load->first_ns < first_ns)
            first_ns = load->first_ns;
        if (load->last_ns > last_ns)
            last_ns = load->last_ns;
        uint64_t busy_ns = load->cpu_ns + load->delay_ns;
        wall += (double)load->wall_ns;
        delayed += (double)load->delay_ns;
        slept += load->wall_ns > busy_ns ? (double)(load->wall_ns - busy_ns) : 0;
        waited += (double)load->waited_ns;
        sessions += (double)load->client_count * (double)load->wall_ns;
    }
    if (last_ns > first_ns)
        self->elapsed_s = 1e-9 * (double)(last_ns - first_ns);
    self->delayed_share = ratio(delayed, wall);
    self->messages_s = ratio((double)self->counts.accepted, self->elapsed_s);
    self->mb_s = ratio(1e-6 * (double)self->counts.octets, self->elapsed_s);
    self->cpu_us = ratio(1e6 * cpu_s, (double)self->counts.accepted);
    self->server_name = peer->name;
    self->evidence = (struct mx_evidence){
        .slept = ratio(slept, wall),
        .waited = ratio(waited, sessions),
        .rate = ratio(self->messages_s, self->plan->rate),
        .server = mx_peer_usage(peer),
    };
    weigh_phases(self);
    self->verdict = mx_report_judge(&self->evidence);
}

bool mx_report_is_good(const struct mx_report *self) {
    const struct mx_counts *counts = &self->counts;
    bool is_whole =
        self->plan->messages == UINT64_MAX || self->plan->duration_s > 0
            ? !self->shared->is_interrupted && !self->shared->has_reason && counts->started > 0
            : counts->started == self->plan->messages;
    return is_whole && counts->accepted == counts->started && counts->recipients_refused == 0;
}

/* ---- the table ---- */

static void print_time(FILE *to, uint64_t ns) {
    if (ns < 1000000)
        fprintf(to, " %7.1f us", 1e-3 * (double)ns);
    else if (ns < 1000000000)
        fprintf(to, " %7.2f ms", 1e-6 * (double)ns);
    else
        fprintf(to, " %7.2f s ", 1e-9 * (double)ns);
}

static void print_phases(const struct mx_report *self, FILE *to) {
    fprintf(to, "\n%-8s %10s %10s %10s %10s %10s %10s\n", "phase", "count", "p50", "p90", "p99",
            "p99.9", "max");
    for (unsigned phase = 0; phase < MX_PHASE_COUNT; phase++) {
        const struct mx_histogram *histogram = &self->phases[phase];
        if (histogram->count == 0)
            continue;
        fprintf(to, "%-8s %10llu", phase_names[phase], (unsigned long long)histogram->count);
        print_time(to, mx_histogram_percentile(histogram, 50));
        print_time(to, mx_histogram_percentile(histogram, 90));
        print_time(to, mx_histogram_percentile(histogram, 99));
        print_time(to, mx_histogram_percentile(histogram, 99.9));
        print_time(to, histogram->max_ns);
        fputc('\n', to);
    }
}

static void print_codes(const struct mx_report *self, FILE *to, const char *quote,
                        const char *between) {
    const char *before = "";
    for (unsigned code = 400; code < 600; code++) {
        if (self->counts.codes[code] == 0)
            continue;
        fprintf(to, "%s%s%u%s:%llu", before, quote, code, quote, LLU(self->counts.codes[code]));
        before = between;
    }
}

static void print_evidence(const struct mx_report *self, FILE *to) {
    const struct mx_evidence *evidence = &self->evidence;
    const struct mx_peer_usage *server = &evidence->server;
    fprintf(to, "generator    %.2f us CPU a message, slept %.1f %% of the time\n", self->cpu_us,
            100 * evidence->slept);
    fprintf(to, "sessions     waited for replies %.1f %% of the time, mostly %s (%.0f %%)\n",
            100 * evidence->waited, phase_names[self->longest], 100 * self->longest_share);
    if (server->is_known)
        fprintf(to,
                "server       %s: %.2f us CPU a message, busy %.1f %% (%.1f %% without a CPU), "
                "waited for a disk %.1f %% of the time\n",
                self->server_name, ratio(1e6 * server->cpu_s, (double)self->counts.accepted),
                100 * server->busy, 100 * server->delayed, 100 * server->disk);
}

static void print_zerocopies(const struct mx_report *self, FILE *to) {
    const struct mx_zerocopies *counts = &self->zerocopies;
    if (counts->sent == 0)
        return;
    fprintf(to,
            "zero copy    %llu bodies, %.1f MB; %llu of them the kernel copied all the same%s\n",
            LLU(counts->sent), 1e-6 * (double)counts->octets, LLU(counts->copied),
            self->has_zerocopy ? "" : ": off since then");
    if (counts->failed > 0)
        fprintf(to, "             %llu could not be sent so, and were sent with a copy\n",
                LLU(counts->failed));
}

static void print_tls(const struct mx_report *self, FILE *to) {
    const struct mx_counts *counts = &self->counts;
    if (!self->plan->is_tls && !self->plan->is_starttls)
        return;
    fprintf(to, "TLS          %s%s%s: %llu handshakes, %llu of them resumed, %llu failed\n",
            self->tls_facts != NULL ? self->tls_facts->version : "none",
            self->tls_facts != NULL ? " " : "",
            self->tls_facts != NULL ? self->tls_facts->cipher : "", LLU(counts->tls_handshakes),
            LLU(counts->tls_resumed), LLU(counts->tls_failed));
}

void mx_report_print(const struct mx_report *self, FILE *to) {
    const struct mx_counts *counts = &self->counts;
    uint64_t bad = counts->refused_4xx + counts->refused_5xx + counts->unknown;
    fprintf(to, "run %s to %s: %u sessions, %u workers%s%s%s%s\n", self->plan->run,
            self->plan->target, self->plan->sessions, self->plan->workers,
            self->plan->is_lmtp ? ", LMTP" : "", self->plan->is_pipelined ? ", pipelined" : "",
            self->plan->is_bdat ? ", BDAT" : "", self->plan->keeps_open ? "" : ", reconnecting");
    fprintf(to, "messages     %llu accepted, %llu not (4xx %llu, 5xx %llu, unknown %llu)\n",
            LLU(counts->accepted), LLU(bad), LLU(counts->refused_4xx), LLU(counts->refused_5xx),
            LLU(counts->unknown));
    if (counts->recipients_refused > 0)
        fprintf(to, "recipients   %llu refused\n", LLU(counts->recipients_refused));
    fprintf(to, "connections  %llu, %llu failed, %llu lost\n", LLU(counts->connections),
            LLU(counts->connections_failed), LLU(counts->connections_lost));
    print_tls(self, to);
    fputs("bad replies  ", to);
    print_codes(self, to, "", " ");
    fputs("\n", to);
    fprintf(to, "rate         %.0f messages/s, %.1f MB/s in %.3f s\n", self->messages_s, self->mb_s,
            self->elapsed_s);
    print_evidence(self, to);
    print_zerocopies(self, to);
    print_phases(self, to);
    if (self->shared->has_reason)
        fprintf(to, "\nended early: %s (-A goes on)\n", self->shared->reason);
    if (self->shared->is_interrupted)
        fputs("\ninterrupted\n", to);
    fprintf(to, "\nverdict: %s - %s\n", verdicts[self->verdict].name, verdicts[self->verdict].text);
}

/* ---- JSON ---- */

static void print_string(FILE *to, const char *text) {
    fputc('"', to);
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < ' ' || c >= 0x7f)
            fprintf(to, "\\u%04x", c); /* Latin-1, as good as any when it is no UTF-8 */
        else if (c == '"' || c == '\\')
            fprintf(to, "\\%c", c);
        else
            fputc(c, to);
    }
    fputc('"', to);
}

static void print_json_phases(const struct mx_report *self, FILE *to) {
    const char *before = "";
    for (unsigned phase = 0; phase < MX_PHASE_COUNT; phase++) {
        const struct mx_histogram *histogram = &self->phases[phase];
        if (histogram->count == 0)
            continue;
        fprintf(to,
                "%s\"%s\":{\"count\":%llu,\"mean_ns\":%.0f,\"p50_ns\":%llu,\"p90_ns\":%llu,"
                "\"p99_ns\":%llu,\"p999_ns\":%llu,\"max_ns\":%llu}",
                before, phase_names[phase], LLU(histogram->count),
                (double)histogram->sum_ns / (double)histogram->count,
                LLU(mx_histogram_percentile(histogram, 50)),
                LLU(mx_histogram_percentile(histogram, 90)),
                LLU(mx_histogram_percentile(histogram, 99)),
                LLU(mx_histogram_percentile(histogram, 99.9)), LLU(histogram->max_ns));
        before = ",";
    }
}

/* Behind the phases. */
static void print_json_server(const struct mx_report *self, FILE *to) {
    const struct mx_peer_usage *server = &self->evidence.server;
    fputs("},\"server\":", to);
    if (!server->is_known) {
        fputs("null", to);
        return;
    }
    fputs("{\"name\":", to);
    print_string(to, self->server_name);
    fprintf(to,
            ",\"processes\":%u,\"cpu_us_message\":%.3f,\"busy_share\":%.4f,"
            "\"delayed_share\":%.4f,\"disk_share\":%.4f}",
            server->processes, ratio(1e6 * server->cpu_s, (double)self->counts.accepted),
            server->busy, server->delayed, server->disk);
}

static void print_json_tls(const struct mx_report *self, FILE *to) {
    const struct mx_counts *counts = &self->counts;
    const struct mx_tls_facts *facts = self->tls_facts;
    fputs(",\"tls\":", to);
    if (!self->plan->is_tls && !self->plan->is_starttls) {
        fputs("null", to);
        return;
    }
    fprintf(to, "{\"mode\":\"%s\",\"version\":", self->plan->is_tls ? "implicit" : "starttls");
    print_string(to, facts != NULL ? facts->version : "");
    fputs(",\"cipher\":", to);
    print_string(to, facts != NULL ? facts->cipher : "");
    fprintf(to, ",\"handshakes\":%llu,\"resumed\":%llu,\"failed\":%llu}",
            LLU(counts->tls_handshakes), LLU(counts->tls_resumed), LLU(counts->tls_failed));
}

void mx_report_print_json(const struct mx_report *self, FILE *to) {
    const struct mx_counts *counts = &self->counts;
    fprintf(to, "{\"run\":\"%s\",\"target\":", self->plan->run);
    print_string(to, self->plan->target);
    fprintf(to, ",\"sessions\":%u,\"workers\":%u,\"seed\":%llu", self->plan->sessions,
            self->plan->workers, LLU(self->plan->seed));
    fprintf(to,
            ",\"messages\":{\"started\":%llu,\"accepted\":%llu,\"refused_4xx\":%llu,"
            "\"refused_5xx\":%llu,\"unknown\":%llu,\"octets\":%llu}",
            LLU(counts->started), LLU(counts->accepted), LLU(counts->refused_4xx),
            LLU(counts->refused_5xx), LLU(counts->unknown), LLU(counts->octets));
    fprintf(to, ",\"recipients\":{\"accepted\":%llu,\"refused\":%llu}", LLU(counts->recipients),
            LLU(counts->recipients_refused));
    fprintf(to, ",\"connections\":{\"opened\":%llu,\"failed\":%llu,\"lost\":%llu}",
            LLU(counts->connections), LLU(counts->connections_failed),
            LLU(counts->connections_lost));
    fputs(",\"codes\":{", to);
    print_codes(self, to, "\"", ",");
    fprintf(to,
            "},\"elapsed_s\":%.6f,\"messages_s\":%.1f,\"mb_s\":%.3f,\"cpu_us_message\":%.3f,"
            "\"slept_share\":%.4f,\"delayed_share\":%.4f,\"waited_share\":%.4f,\"phases\":{",
            self->elapsed_s, self->messages_s, self->mb_s, self->cpu_us, self->evidence.slept,
            self->delayed_share, self->evidence.waited);
    print_json_phases(self, to);
    print_json_server(self, to);
    fprintf(to,
            ",\"zerocopy\":{\"mode\":\"%s\",\"is_on\":%s,\"sent\":%llu,\"octets\":%llu,"
            "\"noticed\":%llu,\"copied\":%llu,\"failed\":%llu}",
            mx_plan_zerocopy_names[self->plan->zerocopy], self->has_zerocopy ? "true" : "false",
            LLU(self->zerocopies.sent), LLU(self->zerocopies.octets), LLU(self->zerocopies.noticed),
            LLU(self->zerocopies.copied), LLU(self->zerocopies.failed));
    print_json_tls(self, to);
    fprintf(to, ",\"interrupted\":%s,\"ended_early\":",
            self->shared->is_interrupted ? "true" : "false");
    if (self->shared->has_reason)
        print_string(to, self->shared->reason);
    else
        fputs("null", to);
    fprintf(to, ",\"verdict\":\"%s\"}\n", verdicts[self->verdict].name);
}
