/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ceilings are kept as times: each read moves the time when its ceiling is used up to now by what
 * it costs, and that time never lags more than the burst behind the clock.
 *
 * Politeness rests on one fact: with nothing of ours under way, the books of the disk show others
 * and nobody else. So it looks at them in pauses. As long as nobody is there, a pause is a probe of
 * a few ms, every 0.2 s at most; and from one probe to the next the disk must not have read more
 * bytes than this process, or somebody waits behind our reads and is gone in each probe. Where
 * somebody is, it turns around: pauses are the rule, and our reads come in turns, small and one
 * behind the other.
 *
 * How long a turn may be follows from what politeness promises, a 99th percentile. A read of theirs
 * that meets one of ours is late; if more than 1 in 100 are, the percentile is that of late reads,
 * and well below that it moves already, because the natural tail is pushed across it. So the share
 * of time starts at 1 in 400. Larger shares are for disks that serve both at once, and have to be
 * earned: while ours is under way, others must end as many requests as in the pauses, and as
 * quickly. Who asks by the clock ends as many on a slower disk, so it shows in the time alone; but
 * the time is known in ms only, and what it holds of ours is not all the disk's. The share grows by
 * addition, and is halved when a comparison fails.
 */
#include "io/throttle.h"

#include "base/clock.h"

#define THROTTLE_BURST_NS (100 * NS_PER_MS) /* of either ceiling */
#define THROTTLE_PIECE_NS (50 * NS_PER_MS)  /* of the ceiling of bytes, in one read */

/* A disk counts a request a moment after the reader has it: so long before the books are ours. */
#define THROTTLE_SETTLE_NS (NS_PER_MS / 5)
#define THROTTLE_LOOK_NS (NS_PER_MS / 2) /* between two looks in a probe */
#define THROTTLE_PROBE_NS (3 * NS_PER_MS)
#define THROTTLE_FULL_MIN_NS (10 * NS_PER_MS) /* between probes, the first; doubles */
#define THROTTLE_FULL_MAX_NS (200 * NS_PER_MS)
#define THROTTLE_HOLD_MIN_NS (100 * NS_PER_MS) /* nobody for so long, and it is full speed again */
#define THROTTLE_HOLD_MAX_NS (1600 * NS_PER_MS)
#define THROTTLE_RETURN_NS NS_PER_S /* others who return so soon lengthen the hold */
#define THROTTLE_WAIT_NS NS_PER_MS  /* until a read of ours has ended */
#define THROTTLE_PAUSE_LOOK_NS (10 * NS_PER_MS)

#define THROTTLE_TURN_NS (2 * NS_PER_MS) /* at least: the books count in ms */
#define THROTTLE_CYCLE_NS (100 * NS_PER_MS)
#define THROTTLE_EVIDENCE_NS (50 * NS_PER_MS) /* of reading, before a comparison counts */
#define THROTTLE_SEEK_NS (4 * NS_PER_MS)

enum {
	THROTTLE_ALIGN = 4096,
	THROTTLE_SMALL = 128 << 10, /* bytes, in a turn */
	THROTTLE_SEEKING = 1 << 20, /* the same where the way there costs more than the bytes */
	THROTTLE_FLOOR = 1 << 20,   /* bytes/s, for which politeness gives way ... */
	THROTTLE_FLOOR_PAUSES = 49, /* ... up to 1 in 50 of the time */
	THROTTLE_BLIND_PAUSES = 9,  /* 1 in 10 */
	THROTTLE_EVIDENCE_OPS = 50,
	THROTTLE_SIGNS = 2,		/* of others, in some probes; one may be a stray */
	THROTTLE_SIGN_BYTES = 16 << 10, /* as much as one request in a probe */
	THROTTLE_LATE_MAX = 1 << 20,	/* bytes of ours, by other ways, under way at a probe */
	THROTTLE_RAMP_MAX = 5,
	THROTTLE_DEPTH_FIRST = 4, /* at full speed, before the first probe; doubles */
};

#define THROTTLE_SHARE_MIN 0.0025
#define THROTTLE_SHARE_MAX 8.0
#define THROTTLE_SHARE_STEP 0.01
#define THROTTLE_BUSY_MAX 0.75 /* a part of the time stays for pauses, to compare with */
#define THROTTLE_RISE_MAX 0.10
#define THROTTLE_SIGNS_FADE 0.875 /* from probe to probe */

void throttle_init(struct throttle *t, const struct throttle_limits *limits, struct load *load)
{
	*t = (struct throttle){
		.load = load,
		.phase = THROTTLE_PROBE,
		.hold_ns = THROTTLE_HOLD_MIN_NS,
		.share = THROTTLE_SHARE_MIN,
		.last = LOAD_SAMPLE_NULL,
	};
	throttle_set(t, limits);
}

void throttle_set(struct throttle *t, const struct throttle_limits *limits)
{
	t->bytes_per_s = limits->bytes_per_s;
	t->ops_per_s = limits->ops_per_s;
	t->polite = limits->polite;
}

/* ---- Ceilings ---- */

/* What `nr` of something cost at `per_s`. */
static int64_t throttle_cost_ns(uint64_t nr, uint64_t per_s)
{
	unsigned __int128 ns = (unsigned __int128)nr * (uint64_t)NS_PER_S / per_s;

	return ns > INT64_MAX / 4 ? INT64_MAX / 4 : (int64_t)ns;
}

/*
 * The wait until `nr` of something may go; brings the ceiling up to now, *ret_cost_ns is what they
 * will cost. A debt is not carried over to another limit: at a low one it may be hours.
 */
static int64_t throttle_ceiling_wait(struct throttle_ceiling *c, uint64_t per_s, int64_t now_ns,
				     uint64_t nr, int64_t *ret_cost_ns)
{
	*ret_cost_ns = 0;
	if (c->per_s != per_s)
		*c = (struct throttle_ceiling){ .per_s = per_s, .due_ns = now_ns };
	if (per_s == 0)
		return 0;
	c->due_ns = max_of(c->due_ns, now_ns - THROTTLE_BURST_NS);
	*ret_cost_ns = throttle_cost_ns(nr, per_s);
	int64_t wait_ns = c->due_ns + min_of(*ret_cost_ns, THROTTLE_BURST_NS) - now_ns;
	return max_of(wait_ns, (int64_t)0);
}

/* ---- What others do ---- */

/* Looks at the books: what passed since t->last was taken. False when they cannot be read. */
static bool throttle_look(const struct throttle *t, struct load_sample *ret_sample,
			  struct load_change *ret_change)
{
	if (!t->load || load_read(t->load, ret_sample))
		return false;
	*ret_change = load_change(&t->last, ret_sample);
	return true;
}

static void throttle_keep(struct throttle *t, const struct load_sample *sample, int64_t now_ns)
{
	t->last = *sample;
	t->last_ns = now_ns;
}

/*
 * Others have something under way, or seem to: a host that waits for I/O a tenth of `ns`. Where
 * this process read something by another way, it may be that.
 */
static bool throttle_sees_others(const struct load_sample *sample, const struct load_change *change,
				 int64_t ns)
{
	return (sample->nr_underway > 0 && change->own_bytes == 0) || change->stalled_ns > ns / 10;
}

/*
 * What others ended. Where this process read something by another way, the edges blur: a read may
 * have been submitted before and ended in between.
 */
static uint64_t throttle_others(const struct load_change *change)
{
	uint64_t nr = change->nr_ended - change->nr_own;
	uint64_t blur = change->own_bytes ? 1 + change->nr_own / 8 : 0;

	return nr > blur ? nr - blur : 0;
}

/*
 * Signs of others while we read ourselves: bytes that the disk read and this process did not. It
 * counts ours when they are submitted, so what is too little now may come late.
 */
static double throttle_signs_in_full(struct throttle *t, const struct load_change *change)
{
	if (change->own_bytes == 0)
		return 0; /* a kernel that does not count it */
	int64_t bytes = t->other_bytes + change->other_bytes;
	t->other_bytes = max_of(min_of(bytes, (int64_t)0), -(int64_t)THROTTLE_LATE_MAX);
	return bytes > 0 ? (double)bytes / THROTTLE_SIGN_BYTES : 0;
}

static void throttle_forget_tallies(struct throttle *t)
{
	t->without = t->with = (struct throttle_tally){ 0, 0, 0 };
	t->with_ns = 0;
}

static void throttle_enter_full(struct throttle *t, int64_t now_ns)
{
	int64_t period_ns = THROTTLE_FULL_MIN_NS << min_of(t->ramp, (unsigned)THROTTLE_RAMP_MAX);

	t->phase = THROTTLE_FULL;
	t->until_ns = now_ns + min_of(period_ns, THROTTLE_FULL_MAX_NS);
}

static void throttle_enter_pause(struct throttle *t, int64_t now_ns, int64_t next_turn_ns)
{
	t->phase = THROTTLE_PAUSE;
	t->until_ns = now_ns + THROTTLE_SETTLE_NS;
	t->turn_ns = next_turn_ns;
	t->settled = false;
}

/* Others appeared while we read at full speed, or were there from the beginning. */
static void throttle_give_way(struct throttle *t, int64_t now_ns)
{
	bool soon = t->full_since_ns && now_ns - t->full_since_ns < THROTTLE_RETURN_NS;

	t->hold_ns = soon ? min_of(t->hold_ns * 2, THROTTLE_HOLD_MAX_NS) : THROTTLE_HOLD_MIN_NS;
	t->full_since_ns = 0;
	t->ramp = 0;
	t->signs = 0;
	t->share = max_of(t->share / 2, THROTTLE_SHARE_MIN);
	t->turn_ops = 0;
	t->seen_ns = now_ns;
	throttle_forget_tallies(t);
	throttle_enter_pause(t, now_ns, now_ns + THROTTLE_CYCLE_NS);
}

/* ---- Nobody there, as far as we know ---- */

static int64_t throttle_admit_full(const struct throttle *t, unsigned in_flight)
{
	if (t->ramp > THROTTLE_RAMP_MAX)
		return 0;
	return in_flight < (unsigned)THROTTLE_DEPTH_FIRST << t->ramp ? 0 : THROTTLE_WAIT_NS;
}

static void throttle_enter_probe(struct throttle *t)
{
	t->phase = THROTTLE_PROBE;
	t->until_ns = 0;
	t->settled = false;
}

/* A probe in which nothing of ours is under way. */
static int64_t throttle_admit_probe(struct throttle *t, int64_t now_ns)
{
	struct load_sample sample;
	struct load_change change;

	if (t->until_ns == 0)
		t->until_ns = now_ns + THROTTLE_SETTLE_NS;
	if (now_ns < t->until_ns)
		return t->until_ns - now_ns;
	if (!throttle_look(t, &sample, &change)) {
		throttle_give_way(t, now_ns);
		return THROTTLE_LOOK_NS;
	}
	double signs = t->signs;
	if (!t->settled) {
		t->settled = true;
		throttle_keep(t, &sample, now_ns);
		t->signs = signs += throttle_signs_in_full(t, &change);
		t->probe_seen = 0;
	} else {
		t->probe_seen += throttle_sees_others(&sample, &change, now_ns - t->last_ns);
		signs += (double)max_of(throttle_others(&change), (uint64_t)t->probe_seen);
	}
	if (signs >= THROTTLE_SIGNS) {
		throttle_give_way(t, now_ns);
		return THROTTLE_SETTLE_NS;
	}
	if (now_ns - t->last_ns < THROTTLE_PROBE_NS)
		return THROTTLE_LOOK_NS;
	t->signs = signs * THROTTLE_SIGNS_FADE;
	if (!t->full_since_ns)
		t->full_since_ns = now_ns;
	t->ramp += t->ramp <= THROTTLE_RAMP_MAX;
	throttle_enter_full(t, now_ns);
	return 0;
}

/* ---- Somebody there ---- */

/* How much of what others would have done while we read went wrong: the worse of two measures. */
static double throttle_rise(const struct throttle *t)
{
	double per_ns = t->without.nr_ended / t->without.ns;
	double usual_ns = t->without.ended_ns / t->without.nr_ended;
	double meant = per_ns * t->with_ns;
	double fewer = (per_ns * t->with.ns - t->with.nr_ended) / meant;
	double slower = (t->with.ended_ns - t->with.nr_ended * usual_ns) / (usual_ns * meant);

	return usual_ns > 0 ? max_of(fewer, slower) : fewer;
}

/* When both kinds of interval have shown enough, what we allow ourselves. */
static void throttle_judge(struct throttle *t)
{
	if (t->with_ns < (double)THROTTLE_EVIDENCE_NS || t->without.nr_ended <= 0 ||
	    t->without.nr_ended / t->without.ns * t->with_ns < THROTTLE_EVIDENCE_OPS)
		return;
	if (throttle_rise(t) <= THROTTLE_RISE_MAX)
		t->share = min_of(t->share + THROTTLE_SHARE_STEP, THROTTLE_SHARE_MAX);
	else
		t->share = max_of(t->share / 2, THROTTLE_SHARE_MIN);
	throttle_forget_tallies(t);
}

/* The part of the time that turns may take. */
static double throttle_busy(const struct throttle *t)
{
	return min_of(t->share / (1 + (unsigned)t->share), THROTTLE_BUSY_MAX);
}

static void throttle_enter_turn(struct throttle *t, int64_t now_ns)
{
	double ns = throttle_busy(t) * (double)THROTTLE_CYCLE_NS;

	t->phase = THROTTLE_TURN;
	t->depth = 1 + (unsigned)t->share;
	t->turn_ns = now_ns;
	t->until_ns = now_ns + max_of((int64_t)ns, THROTTLE_TURN_NS);
	t->turn_bytes = t->turn_ops = 0;
	t->turn_used_ns = 0;
}

/* The pause that a turn has to be followed by. */
static int64_t throttle_pause_ns(const struct throttle *t, int64_t now_ns)
{
	int64_t used_ns = max_of(t->turn_used_ns / t->depth, (int64_t)1);
	double wanted_ns = (double)used_ns * (1 / throttle_busy(t) - 1);
	int64_t floor_ns = throttle_cost_ns(t->turn_bytes, THROTTLE_FLOOR) - (now_ns - t->turn_ns);

	if (!t->last.has_disk && !t->last.has_pressure)
		return used_ns * THROTTLE_BLIND_PAUSES;
	floor_ns = max_of(floor_ns, used_ns * THROTTLE_FLOOR_PAUSES);
	return wanted_ns < (double)floor_ns ? (int64_t)wanted_ns : floor_ns;
}

static int64_t throttle_admit_turn(struct throttle *t, int64_t now_ns, unsigned in_flight)
{
	if (now_ns < t->until_ns && in_flight < t->depth)
		return 0;
	if (in_flight)
		return THROTTLE_WAIT_NS;
	throttle_enter_pause(t, now_ns, now_ns + throttle_pause_ns(t, now_ns));
	return THROTTLE_SETTLE_NS;
}

/* The first look after a turn: what others did during it is what the books say less ours. */
static void throttle_settle(struct throttle *t, const struct load_change *change, int64_t ns)
{
	/* What else we read meanwhile nobody can tell from theirs: such a turn says nothing. */
	if (t->turn_ops && t->last.has_disk && change->own_bytes <= t->turn_bytes) {
		t->with.nr_ended += (double)change->nr_ended - (double)t->turn_ops;
		t->with.ended_ns += (double)(change->ended_ns - t->turn_used_ns);
		t->with.ns += (double)ns;
		t->with_ns += (double)t->turn_used_ns / t->depth;
	}
	t->turn_ops = 0;
	t->settled = true;
}

/* A look in a pause: others, and only they, did what is in it. */
static void throttle_observe(struct throttle *t, const struct load_sample *sample,
			     const struct load_change *change, int64_t now_ns)
{
	int64_t ns = now_ns - t->last_ns;
	uint64_t nr = throttle_others(change);

	t->without.nr_ended += (double)nr;
	if (nr)
		t->without.ended_ns +=
			(double)change->ended_ns * (double)nr / (double)change->nr_ended;
	t->without.ns += (double)ns;
	if (nr || throttle_sees_others(sample, change, ns))
		t->seen_ns = now_ns;
}

/* A pause in which nothing of ours is under way. */
static int64_t throttle_admit_pause(struct throttle *t, int64_t now_ns)
{
	struct load_sample sample;
	struct load_change change;

	if (now_ns < t->until_ns)
		return t->until_ns - now_ns;
	if (!throttle_look(t, &sample, &change)) {
		sample = LOAD_SAMPLE_NULL;
	} else if (!t->settled) {
		throttle_settle(t, &change, now_ns - t->last_ns);
	} else {
		throttle_observe(t, &sample, &change, now_ns);
		if (now_ns - t->seen_ns >= t->hold_ns) {
			throttle_keep(t, &sample, now_ns);
			t->full_since_ns = now_ns;
			throttle_enter_full(t, now_ns);
			return 0;
		}
		throttle_judge(t);
	}
	throttle_keep(t, &sample, now_ns);
	if (now_ns < t->turn_ns)
		return min_of(t->turn_ns - now_ns, THROTTLE_PAUSE_LOOK_NS);
	throttle_enter_turn(t, now_ns);
	return 0;
}

static int64_t throttle_admit_polite(struct throttle *t, int64_t now_ns, unsigned in_flight)
{
	if (t->phase == THROTTLE_FULL && now_ns >= t->until_ns)
		throttle_enter_probe(t);
	if (t->phase == THROTTLE_FULL)
		return throttle_admit_full(t, in_flight);
	if (t->phase == THROTTLE_TURN)
		return throttle_admit_turn(t, now_ns, in_flight);
	if (in_flight)
		return THROTTLE_WAIT_NS;
	return t->phase == THROTTLE_PROBE ? throttle_admit_probe(t, now_ns)
					  : throttle_admit_pause(t, now_ns);
}

/* ---- The reader ---- */

int64_t throttle_admit(struct throttle *t, int64_t now_ns, uint64_t bytes, unsigned in_flight)
{
	int64_t wait_ns = 0, bytes_wait_ns, bytes_ns, ops_wait_ns, ops_ns;

	if (t->polite)
		wait_ns = throttle_admit_polite(t, now_ns, in_flight);
	else if (t->phase != THROTTLE_PROBE)
		throttle_enter_probe(t);
	bytes_wait_ns = throttle_ceiling_wait(&t->bytes, t->bytes_per_s, now_ns, bytes, &bytes_ns);
	ops_wait_ns = throttle_ceiling_wait(&t->ops, t->ops_per_s, now_ns, 1, &ops_ns);
	wait_ns = max_of(wait_ns, max_of(bytes_wait_ns, ops_wait_ns));
	if (wait_ns)
		return wait_ns;
	t->bytes.due_ns += bytes_ns;
	t->ops.due_ns += ops_ns;
	if (t->phase == THROTTLE_TURN) {
		t->turn_bytes += bytes;
		t->turn_ops++;
	}
	return 0;
}

void throttle_done(struct throttle *t, int64_t latency_ns)
{
	if (t->phase != THROTTLE_TURN)
		return;
	t->turn_used_ns += latency_ns;
	t->cost_ns = t->cost_ns ? (t->cost_ns * 7 + latency_ns) / 8 : latency_ns;
}

uint64_t throttle_read_max(const struct throttle *t)
{
	uint64_t max = UINT64_MAX, bytes_per_s = t->bytes_per_s;

	if (t->polite && (t->phase == THROTTLE_PAUSE || t->phase == THROTTLE_TURN))
		max = t->cost_ns > THROTTLE_SEEK_NS ? THROTTLE_SEEKING : THROTTLE_SMALL;
	if (bytes_per_s) {
		uint64_t piece = bytes_per_s / (uint64_t)(NS_PER_S / THROTTLE_PIECE_NS);
		max = min_of(max, max_of(piece / THROTTLE_ALIGN, 1ul) * THROTTLE_ALIGN);
	}
	return max;
}
