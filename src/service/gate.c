/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread a rule and a deadline for all. A thread writes into a rule of its own and hands it
 * over under the lock; after the deadline nothing is taken any more. The case is shared by
 * reference count, so that a thread which hangs in the kernel can outlive the verdict.
 */
#include "service/gate.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "service/gate_rules.h"

struct gate_session {
	struct gate_case c;
	pthread_mutex_t lock;
	pthread_cond_t answered;
	unsigned refs;
	unsigned nr_answers;
	bool closed; /* the deadline has passed: answers come too late */
	bool has_answer[GATE_RULE_COUNT_];
	struct gate_rule answers[GATE_RULE_COUNT_];
};

struct gate_thread {
	struct gate_session *session;
	enum gate_rule_id id;
};

static const struct {
	const char *name;
	void (*run)(const struct gate_case *c, struct gate_rule *rule);
} rules[GATE_RULE_COUNT_] = {
	[GATE_ROLE] = { "role", gate_rule_role },
	[GATE_FRESH] = { "fresh", gate_rule_fresh },
	[GATE_COMPLETE] = { "complete", gate_rule_complete },
	[GATE_INTACT] = { "intact", gate_rule_intact },
};

const char *gate_rule_name(enum gate_rule_id id)
{
	return id < GATE_RULE_COUNT_ ? rules[id].name : NULL;
}

void rule_say(struct gate_rule *rule, enum assay_result result, const char *code, const char *fmt,
	      ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	if (vsnprintf(text, sizeof(text), fmt, args) < 0)
		text[0] = '\0';
	va_end(args);
	rule->result = result;
	rule->code = code;
	buf_clear(&rule->summary);
	buf_add_str(&rule->summary, text);
}

int gate_list_add(struct gate_list *list, struct span name)
{
	list->total++;
	if (list->nr >= GATE_LIST_MAX)
		return 0;
	if (!list->items) {
		list->items = calloc(GATE_LIST_MAX, sizeof(struct buf));
		if (!list->items)
			return -ENOMEM;
	}
	buf_add_span(&list->items[list->nr], name);
	return buf_error(&list->items[list->nr++]);
}

static void gate_list_fini(struct gate_list *list)
{
	for (size_t i = 0; i < list->nr; i++)
		buf_fini(&list->items[i]);
	free(list->items);
	*list = (struct gate_list){ 0 };
}

void gate_rule_fini(struct gate_rule *rule)
{
	buf_fini(&rule->summary);
	gate_list_fini(&rule->users);
	gate_list_fini(&rule->mailboxes);
	for (size_t i = 0; i < rule->nr_findings; i++) {
		free(rule->findings[i].code);
		free(rule->findings[i].verdict);
		free(rule->findings[i].side);
		buf_fini(&rule->findings[i].mailbox);
		buf_fini(&rule->findings[i].path);
	}
	free(rule->findings);
	*rule = (struct gate_rule){ .id = rule->id };
}

void gate_verdict_fini(struct gate_verdict *verdict)
{
	for (size_t i = 0; i < GATE_RULE_COUNT_; i++)
		gate_rule_fini(&verdict->rules[i]);
}

static void side_fini(struct gate_side *side)
{
	free(side->store);
	free(side->host);
	free(side->imapd_conf);
	free(side->peers);
	free(side->channel);
}

static char *dup_or_null(const char *text, bool *failed)
{
	char *copy = text ? strdup(text) : NULL;

	*failed |= text && !copy;
	return copy;
}

static int side_init(struct gate_side *side, const struct copy *copy)
{
	bool failed = false;

	if (!copy)
		return 0;
	*side = (struct gate_side){
		.is_configured = true,
		.store = dup_or_null(copy->store, &failed),
		.host = dup_or_null(copy->host, &failed),
		.imapd_conf = dup_or_null(copy->imapd_conf, &failed),
		.peers = dup_or_null(copy->peers, &failed),
		.channel = dup_or_null(copy->channel, &failed),
		.role = copy->role,
	};
	return failed ? -ENOMEM : 0;
}

/* Drops one reference; call with the lock held, which is released. */
static void session_unref_unlock(struct gate_session *session)
{
	bool last = --session->refs == 0;

	(void)pthread_mutex_unlock(&session->lock);
	if (!last)
		return;
	side_fini(&session->c.master);
	side_fini(&session->c.replica);
	free(session->c.state_dir);
	for (size_t i = 0; i < GATE_RULE_COUNT_; i++)
		gate_rule_fini(&session->answers[i]);
	(void)pthread_cond_destroy(&session->answered);
	(void)pthread_mutex_destroy(&session->lock);
	free(session);
}

static void *gate_thread_run(void *arg)
{
	struct gate_thread *self = arg;
	struct gate_session *session = self->session;
	enum gate_rule_id id = self->id;
	struct gate_rule rule = { .id = id, .result = ASSAY_RESULT_UNKNOWN, .lag_ns = -1 };

	free(self);
	rules[id].run(&session->c, &rule);

	(void)pthread_mutex_lock(&session->lock);
	if (session->closed) {
		gate_rule_fini(&rule);
	} else {
		session->answers[id] = rule;
		session->has_answer[id] = true;
		session->nr_answers++;
		(void)pthread_cond_signal(&session->answered);
	}
	session_unref_unlock(session);
	return NULL;
}

static int session_start(struct gate_session *session, enum gate_rule_id id)
{
	struct gate_thread *self = malloc(sizeof(*self));
	pthread_t thread;

	if (!self)
		return -ENOMEM;
	*self = (struct gate_thread){ session, id };
	(void)pthread_mutex_lock(&session->lock);
	session->refs++;
	(void)pthread_mutex_unlock(&session->lock);
	int r = -pthread_create(&thread, NULL, gate_thread_run, self);
	if (r) {
		free(self);
		(void)pthread_mutex_lock(&session->lock);
		session->refs--;
		(void)pthread_mutex_unlock(&session->lock);
		return r;
	}
	(void)pthread_detach(thread);
	return 0;
}

static struct gate_session *session_new(const struct conf *conf, const struct copy *master,
					const struct copy *replica, const char *state_dir,
					const struct log *log)
{
	struct gate_session *session = calloc(1, sizeof(*session));
	pthread_condattr_t attr;

	if (!session)
		return NULL;
	(void)pthread_mutex_init(&session->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&session->answered, &attr);
	(void)pthread_condattr_destroy(&attr);
	session->refs = 1;
	session->c.policy = conf->policy;
	session->c.log = log ? *log : (struct log){ 0 };
	session->c.state_dir = strdup(state_dir);
	if (!session->c.state_dir || side_init(&session->c.master, master) ||
	    side_init(&session->c.replica, replica)) {
		(void)pthread_mutex_lock(&session->lock);
		session_unref_unlock(session);
		return NULL;
	}
	return session;
}

/* Waits for all answers or the deadline; takes what there is. Call with the lock held. */
static void session_wait(struct gate_session *session, int64_t started_ns,
			 struct gate_verdict *verdict)
{
	int64_t until = started_ns + session->c.policy.gate_deadline_ns;
	struct timespec at = { .tv_sec = until / NS_PER_S, .tv_nsec = until % NS_PER_S };

	while (session->nr_answers < GATE_RULE_COUNT_ &&
	       pthread_cond_timedwait(&session->answered, &session->lock, &at) != ETIMEDOUT)
		;
	session->closed = true;
	for (size_t i = 0; i < GATE_RULE_COUNT_; i++) {
		struct gate_rule *rule = &verdict->rules[i];
		if (session->has_answer[i]) {
			*rule = session->answers[i];
			session->answers[i] = (struct gate_rule){ .id = rule->id };
		} else {
			rule->lag_ns = -1;
			rule_say(rule, ASSAY_RESULT_UNKNOWN, "gate.deadline",
				 "did not answer within the deadline: something it reads hangs");
		}
		rule->id = (enum gate_rule_id)i;
	}
}

/* A permit needs every rule to pass; nothing else leads to one. */
static enum assay_decision decision_of(const struct gate_verdict *verdict)
{
	size_t nr_pass = 0;

	for (size_t i = 0; i < GATE_RULE_COUNT_; i++) {
		if (verdict->rules[i].result == ASSAY_RESULT_FAIL)
			return ASSAY_DENY;
		nr_pass += verdict->rules[i].result == ASSAY_RESULT_PASS;
	}
	return nr_pass == GATE_RULE_COUNT_ ? ASSAY_PERMIT : ASSAY_UNDETERMINED;
}

int gate_decide(const struct conf *conf, const struct copy *master, const struct copy *replica,
		const char *state_dir, const struct log *log, struct gate_verdict *ret_verdict)
{
	struct gate_session *session = session_new(conf, master, replica, state_dir, log);
	int64_t started_ns = clock_mono_ns();
	int r = session ? 0 : -ENOMEM;

	*ret_verdict = (struct gate_verdict){ .decision = ASSAY_UNDETERMINED };
	if (!session)
		return r;
	for (size_t i = 0; r == 0 && i < GATE_RULE_COUNT_; i++)
		r = session_start(session, (enum gate_rule_id)i);
	(void)pthread_mutex_lock(&session->lock);
	if (r == 0)
		session_wait(session, started_ns, ret_verdict);
	session->closed = true;
	session_unref_unlock(session);
	if (r)
		return r;
	ret_verdict->decision = decision_of(ret_verdict);
	ret_verdict->decided_ns = clock_wall_ns();
	ret_verdict->took_ns = clock_mono_ns() - started_ns;
	return 0;
}
