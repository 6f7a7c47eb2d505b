/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Output: the one place that knows how findings and verdicts look, for people and as JSON. JSON
 * objects carry "schema_version", keys are snake_case, and bytes that are not UTF-8 stand escaped
 * under their key and whole under KEY_base64.
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <jansson.h>
#include <stdio.h>

#include "base/span.h"
#include "service/gate.h"
#include "service/status.h"
#include "state/state.h"

#define OUTPUT_SCHEMA_VERSION 1

/* An object with "type" and "schema_version". Never NULL: exits the program when out of memory. */
json_t *output_object(const char *type);

void output_set_int(json_t *object, const char *key, int64_t value);
void output_set_bool(json_t *object, const char *key, bool value);
void output_set_str(json_t *object, const char *key, const char *value); /* NULL: JSON null */
void output_set_bytes(json_t *object, const char *key, struct span value);
void output_set_time(json_t *object, const char *key, int64_t wall_ns); /* 0: JSON null */
void output_set(json_t *object, const char *key, json_t *value);	/* takes `value` */

/* Prints one line and frees the object. */
void output_line(json_t *object);

json_t *output_finding(const struct finding *finding);
void output_print_finding(FILE *to, const struct finding *finding);

json_t *output_gate(const char *store, const char *host, const struct gate_verdict *verdict);
void output_print_gate(FILE *to, const char *store, const char *host,
		       const struct gate_verdict *verdict);

/* ---- output_status.c ---- */

json_t *output_status(const struct status *status, const struct copy_status *copy);

/* A table of all copies. -ENOMEM, or -EIO when it could not be written. */
int output_print_status(FILE *to, const struct status *status) must_check;

/* What a Nagios plugin exits with, in the order of its numbers. */
enum nagios {
	NAGIOS_OK,
	NAGIOS_WARNING,
	NAGIOS_CRITICAL,
	NAGIOS_UNKNOWN,
};

/* One line for all copies, with performance data. */
enum nagios output_print_nagios(FILE *to, const struct status *status);

/* The line of a plugin that could not tell. */
enum nagios output_nagios_unknown(FILE *to, const char *fmt, ...) printf_like(2, 3);

#endif
