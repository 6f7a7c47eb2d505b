# SPDX-License-Identifier: Apache-2.0
#
# How assay is built, tested and installed: this file and nothing else. Everything that is made
# lies below build/, each variant in a folder of its own; `make help` lists the targets.
#
#   VARIANT    dev      -O1 -g, the default
#              release  -O2, hardened; the default of install, uninstall and bench
#              asan     address and undefined behaviour sanitizers
#              tsan     thread sanitizer
#              cov      coverage counters for gcov
#              clang    dev, compiled by clang
#              fuzz     by clang, for libFuzzer
#   BUILDDIR   where the variant goes (build/$(VARIANT))
#   CC, CLANG  the C compiler (gcc), and the clang of the variants that need one
#   CFLAGS     optimisation and debugging flags, instead of the variant's
#   CPPFLAGS, LDFLAGS  added to ours
#   V=1        show whole commands;   W=error  warnings are errors
#   SETUP=no   do not look for Debian packages before building
#   DESTDIR, PREFIX, BINDIR, LIBDIR, INCLUDEDIR, MANDIR, SYSCONFDIR, STATEDIR, UNITDIR, RULESDIR
#              where install puts things
#   SUITE      what check-unit and check-asan run: base/span, base, base/span/test_name
#   NAME       which one fuzz, bench, campaign and soak run
#   MINUTES    how long each fuzz target (1) and the soak (2) runs
#   SEED, COUNT  of a campaign: what its faults follow from (1), how many rounds it has (200, and
#              cyrus and root 1000 faults, ext4-check 1200)

VERSION := 0.1.0

# The layers and their ranks, lowest first. The layer check reads the same list.
LAYERS := base:0 io:1 digest:1 format:2 state:2 verify:3 replica:3 service:4 cli:5

# ---- Settings -----------------------------------------------------------------------------------

ifneq ($(filter install uninstall bench,$(MAKECMDGOALS)),)
VARIANT ?= release
endif
VARIANT ?= dev
BUILDDIR ?= build/$(VARIANT)

CLANG ?= $(firstword $(notdir $(foreach c,clang-14 clang,$(shell command -v $c))) clang)
ifneq ($(filter clang fuzz,$(VARIANT)),)
CC = $(CLANG)
else ifeq ($(origin CC),default)
CC = gcc
endif

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
SYSCONFDIR ?= /etc
STATEDIR ?= /var/lib/assay
pkg_dir = $(or $(shell pkg-config --variable=$2 $1 2>/dev/null),$3)
UNITDIR ?= $(call pkg_dir,systemd,systemdsystemunitdir,/lib/systemd/system)
RULESDIR ?= $(call pkg_dir,udev,udevdir,/lib/udev)/rules.d

INSTALL ?= install

# ---- Flags --------------------------------------------------------------------------------------

sanitize_address := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

CFLAGS_dev := -O1 -g
CFLAGS_clang := -O1 -g
CFLAGS_release := -O2 -g
CFLAGS_asan := -O1 -g
CFLAGS_tsan := -O1 -g
CFLAGS_cov := -O0 -g
CFLAGS_fuzz := -O1 -g
CFLAGS ?= $(CFLAGS_$(VARIANT))

variant_flags_release := -D_FORTIFY_SOURCE=2
variant_flags_asan := $(sanitize_address)
variant_flags_tsan := -fsanitize=thread
variant_flags_cov := --coverage
variant_flags_fuzz := -fsanitize=fuzzer-no-link $(sanitize_address)

variant_link_dev := -Wl,--no-undefined
variant_link_clang := -Wl,--no-undefined
variant_link_release := -Wl,--no-undefined -Wl,-z,relro -Wl,-z,now
variant_link_asan := $(sanitize_address)
variant_link_tsan := -fsanitize=thread
variant_link_cov := --coverage
variant_link_fuzz := -fsanitize=fuzzer $(sanitize_address)

ifeq ($(CFLAGS_$(VARIANT)),)
$(error VARIANT=$(VARIANT) is none of: dev release asan tsan cov clang fuzz)
endif

warnings := -Wall -Wextra -Wvla -Wundef -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wconversion -Wno-sign-conversion
dialect := -std=gnu17 -D_GNU_SOURCE -Isrc -Iinclude
house_flags = $(dialect) $(warnings) $(if $(filter error,$(W)),-Werror) \
	-fvisibility=hidden -fstack-protector-strong $(variant_flags_$(VARIANT))
all_cflags = $(house_flags) $(CPPFLAGS) $(CFLAGS)
all_ldflags = -Wl,--as-needed $(variant_link_$(VARIANT)) $(LDFLAGS)

LIBS := -luring -lext2fs -lcom_err -lblkid -lmount -lcrypto -lIPSec_MB -lz -lxxhash -lsqlite3 \
	-ljansson -linih -lpthread
CLI_LIBS := -lsmartcols
TEST_LIBS := -lcunit -lm

# ---- Files --------------------------------------------------------------------------------------

layer_names := $(foreach l,$(LAYERS),$(firstword $(subst :, ,$l)))
sources_of = $(sort $(wildcard $(foreach l,$1,src/$l/*.c src/$l/*/*.c)))
objects_of = $(patsubst %.c,$(BUILDDIR)/obj/%.o,$1)

lib_srcs := $(call sources_of,$(filter-out cli,$(layer_names)))
cli_srcs := $(call sources_of,cli)
support_srcs := $(sort $(wildcard tests/support/*.c))
suite_srcs := $(sort $(wildcard tests/unit/*/test_*.c tests/unit/*/*/test_*.c))
bench_srcs := $(sort $(wildcard tests/bench/*.c))
campaign_names := scan resume cyrus ext4-check root
fuzz_srcs := $(sort $(wildcard tests/fuzz/fuzz_*.c))
fuzz_names := $(patsubst tests/fuzz/fuzz_%.c,%,$(fuzz_srcs))

static_lib := $(BUILDDIR)/libassay.a
shared_lib := $(BUILDDIR)/libassay.so.0
# Nothing when the tree has no program yet, so that the library can be built and tested before it.
assay := $(if $(wildcard src/cli/main.c),$(BUILDDIR)/assay)
unit := $(BUILDDIR)/tests/unit
bench_programs := $(patsubst tests/bench/%.c,$(BUILDDIR)/tests/%,$(bench_srcs))
campaign_programs := $(addprefix $(BUILDDIR)/tests/campaign-,$(campaign_names))
fuzz_replays := $(addprefix $(BUILDDIR)/fuzz-replay/,$(fuzz_names))
fuzz_targets := $(addprefix $(BUILDDIR)/targets/,$(fuzz_names))

man_pages := $(if $(shell command -v scdoc),$(patsubst docs/man/%.scd,build/man/%,\
	$(sort $(wildcard docs/man/*.scd))))
units := $(patsubst systemd/%.in,$(BUILDDIR)/systemd/%,$(wildcard systemd/*.in)) \
	$(filter-out %.in %.md,$(wildcard systemd/*.*))

# ---- Programs and libraries ---------------------------------------------------------------------

.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDARY:

.PHONY: all
all: $(static_lib) $(shared_lib) $(assay) $(man_pages) ## build libraries, program and man pages

.PHONY: everything
everything: all $(unit) $(bench_programs) $(campaign_programs) \
		$(fuzz_replays) ## build all that, and every test program

silent := $(findstring s,$(firstword -$(MAKEFLAGS)))
Q := $(if $(V),,@)
say = $(if $(V)$(silent),,@printf '  %-8s%s\n' $1 '$(2:$(CURDIR)/%=%)')

# A file that changes exactly when its text does: what hangs on it is made again then and only then.
define text_file
@mkdir -p $(@D)
@printf '%s\n' $1 >$@.new; if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
endef

.PHONY: FORCE
$(BUILDDIR)/flags: FORCE
	$(call text_file,'$(CC) $(VERSION)' '$(subst ','\'',$(all_cflags))')
$(BUILDDIR)/link-flags: FORCE
	$(call text_file,'$(CC)' '$(subst ','\'',$(all_cflags) $(all_ldflags))' \
		'$(LIBS) $(CLI_LIBS) $(TEST_LIBS)')
$(BUILDDIR)/sources: FORCE
	$(call text_file,$(lib_srcs) - $(cli_srcs) - $(support_srcs) - $(suite_srcs))

# Packages are looked for once, and again whenever the list of them changes.
build/setup/%: tests/setup.sh
	@mkdir -p $(@D)
	@bash tests/setup.sh $* && touch $@
needs = $(if $(filter no,$(SETUP)),,build/setup/$1)

$(BUILDDIR)/obj/src/%.o: code_model = -fPIC
$(BUILDDIR)/obj/src/cli/%.o: code_model = -fPIE
$(BUILDDIR)/obj/tests/%.o: code_model = -fPIE -Itests -Itests/unit

$(BUILDDIR)/obj/%.o: %.c $(BUILDDIR)/flags | $(call needs,build)
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(all_cflags) $(code_model) -DASSAY_VERSION='"$(VERSION)"' -MMD -MP -c -o $@ $<

$(BUILDDIR)/obj/tests/unit/%.o: | $(call needs,test)

$(static_lib): $(call objects_of,$(lib_srcs)) $(BUILDDIR)/sources
	$(call say,AR,$@)
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $(filter %.o,$^)

$(shared_lib): $(call objects_of,$(lib_srcs)) src/libassay.map $(BUILDDIR)/sources \
		$(BUILDDIR)/link-flags
	$(call say,LINK,$@)
	$(Q)$(CC) $(all_cflags) -shared -Wl,-soname,$(notdir $@) \
		-Wl,--version-script=src/libassay.map $(all_ldflags) -o $@ $(filter %.o,$^) $(LIBS)

define link_program
$(call say,LINK,$@)
@mkdir -p $(@D)
$(Q)$(CC) $(all_cflags) -pie $(all_ldflags) -o $@ $(filter %.o,$^) $(filter %.a,$^) $1 $(LIBS)
endef

.PHONY: assay
assay: $(assay) ## build the program alone
	@test -n '$(assay)' || { echo 'assay: src/cli/main.c is missing' >&2; exit 1; }

ifneq ($(assay),)
$(assay): $(call objects_of,$(cli_srcs)) $(static_lib) $(BUILDDIR)/sources $(BUILDDIR)/link-flags
	$(call link_program,$(CLI_LIBS))
endif

build/man/%: docs/man/%.scd
	$(call say,SCDOC,$@)
	@mkdir -p $(@D)
	$(Q)scdoc <$< >$@

$(BUILDDIR)/systemd/%: systemd/%.in Makefile
	@mkdir -p $(@D)
	$(Q)sed -e 's|@BINDIR@|$(BINDIR)|g' -e 's|@SYSCONFDIR@|$(SYSCONFDIR)|g' \
		-e 's|@STATEDIR@|$(STATEDIR)|g' -e 's|@VERSION@|$(VERSION)|g' $< >$@

# ---- Test programs ------------------------------------------------------------------------------

# One line a suite. Each test file defines exactly one; a file that does not would silently not run.
$(BUILDDIR)/suites.inc: $(suite_srcs) $(BUILDDIR)/sources
	@mkdir -p $(@D)
	@for f in $(suite_srcs); do \
		n=$$(grep -c '^const struct test_suite suite_[a-z0-9_]*' $$f); \
		[ "$$n" = 1 ] || { echo "$$f: defines $$n suites instead of one" >&2; exit 1; }; \
	done
	@grep -ho '^const struct test_suite suite_[a-z0-9_]*' $(suite_srcs) /dev/null | \
		sed 's/.* \(.*\)/SUITE(\1)/' >$@

$(BUILDDIR)/obj/tests/unit/main.o: code_model += -I$(BUILDDIR)
$(BUILDDIR)/obj/tests/unit/main.o: $(BUILDDIR)/suites.inc

$(unit): $(call objects_of,tests/unit/main.c $(suite_srcs) $(support_srcs)) $(static_lib) \
		$(BUILDDIR)/sources $(BUILDDIR)/link-flags
	$(call link_program,$(TEST_LIBS))

$(bench_programs): $(BUILDDIR)/tests/%: $(BUILDDIR)/obj/tests/bench/%.o \
		$(call objects_of,$(support_srcs)) $(static_lib) $(BUILDDIR)/link-flags
	$(call link_program,-lm)

# A campaign is NAME.c, what of NAME_*.c there is, and the command line that all have.
campaign_objects = $(call objects_of,tests/campaign/arguments.c \
	$(sort $(wildcard tests/campaign/$1.c tests/campaign/$1_*.c)))
.SECONDEXPANSION:
$(campaign_programs): $(BUILDDIR)/tests/campaign-%: $$(call campaign_objects,$$*) \
		$(call objects_of,$(support_srcs)) $(static_lib) $(BUILDDIR)/link-flags
	$(call link_program,-lm)

$(fuzz_replays): $(BUILDDIR)/fuzz-replay/%: $(BUILDDIR)/obj/tests/fuzz/fuzz_%.o \
		$(BUILDDIR)/obj/tests/fuzz/replay.o $(static_lib) $(BUILDDIR)/link-flags
	$(link_program)

$(fuzz_targets): $(BUILDDIR)/targets/%: $(BUILDDIR)/obj/tests/fuzz/fuzz_%.o $(static_lib) \
		$(BUILDDIR)/link-flags
	$(link_program)

.PHONY: fuzz-targets
fuzz-targets: $(fuzz_targets)

# ---- Checks -------------------------------------------------------------------------------------

# What the scripts that test the program find it by.
program_env = ASSAY=$(abspath $(BUILDDIR)/assay) MKSPOOL=$(abspath $(BUILDDIR)/tests/mkspool)
# Another variant, in its own folder wherever this one is.
variant = $(MAKE) --no-print-directory VARIANT=$1 BUILDDIR=build/$1

.PHONY: check
check: $(call needs,test) ## run every test; the last line counts them
	@W=error bash tests/run-checks.sh

.PHONY: check-unit
check-unit: $(unit) ## run the unit tests (SUITE=base/span for some of them)
	@$(unit) $(SUITE)

.PHONY: check-asan
check-asan: ## run the unit tests with the sanitizers
	@$(call variant,asan) check-unit

.PHONY: check-cli
check-cli: $(assay) $(bench_programs) $(call needs,test) ## run the scripts that test each command
	@$(program_env) W='$(W)' bash tests/run-checks.sh cli

.PHONY: check-live
check-live: assay $(call needs,test) ## test against a live Cyrus pair
	@$(program_env) bash tests/lab/test-live.sh

.PHONY: check-agree
check-agree: assay $(call needs,test) ## what Cyrus's own tools say of damage, assay says too
	@$(program_env) bash tests/lab/agree.sh

.PHONY: check-fuzz
check-fuzz: check-replay check-fuzz-short ## replay the corpus with sanitizers, fuzz briefly

.PHONY: check-replay
check-replay:
	@$(call variant,asan) replay

.PHONY: replay
replay: $(fuzz_replays)
	@test -n '$(fuzz_names)' || { echo 'not ok replay: there is no fuzz target'; exit 1; }
	@r=0; for n in $(fuzz_names); do \
		$(BUILDDIR)/fuzz-replay/$$n $$n tests/fuzz/corpus/$$n || r=1; \
	done; exit $$r

.PHONY: check-fuzz-short
check-fuzz-short:
	@$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=$(or $(FUZZ_SECONDS),3) SEED=$(or $(SEED),1)

.PHONY: check-campaign
check-campaign: ## a short campaign with a fixed seed
	@$(MAKE) --no-print-directory campaign NAME= SEED=1 COUNT=$(COUNT) campaign_length=short

.PHONY: check-layers
check-layers: ## includes point down only; files and functions are short
	@LAYERS='$(LAYERS)' bash tests/run-checks.sh --layers

.PHONY: check-headers
check-headers: ## each header compiles alone, the public one in C and C++
	@CC='$(CC)' CLANG='$(CLANG)' DIALECT='$(dialect)' WARNINGS='$(warnings)' \
		bash tests/check-headers.sh

.PHONY: check-symbols
check-symbols: $(shared_lib) ## the library exports assay_* and nothing else
	@bash tests/check-symbols.sh $(shared_lib)

.PHONY: check-install
check-install: ## install below build/, look, uninstall, nothing is left
	@CC='$(CC)' bash tests/check-install.sh

.PHONY: check-man
check-man: $(assay) $(call needs,test) ## man pages are well-formed, each command has one
	@ASSAY='$(assay)' bash tests/check-man.sh

.PHONY: check-docs
check-docs: ## the documents name every file, finding and reason code that there is
	@bash tests/check-docs.sh

.PHONY: lint
lint: ## what clang-tidy, cppcheck and shellcheck advise
	-@command -v clang-tidy-14 >/dev/null && \
		clang-tidy-14 --quiet $(lib_srcs) $(cli_srcs) -- $(dialect) -DASSAY_VERSION='"0"'
	-@command -v cppcheck >/dev/null && \
		cppcheck --quiet --enable=warning,portability,performance --std=c11 --language=c \
		--suppress=arithOperationsOnVoidPointer --inline-suppr -D_GNU_SOURCE \
		-Isrc -Iinclude $(lib_srcs) $(cli_srcs)
	-@command -v shellcheck >/dev/null && \
		find .ci tests -name '*.sh' -o -path .ci/run | xargs shellcheck -x

# ---- Proofs -------------------------------------------------------------------------------------

.PHONY: demo
demo: assay $(call needs,demo) ## see a stale and a damaged replica, and what the gate says
	@$(program_env) bash tests/demo.sh

.PHONY: bench
bench: assay $(bench_programs) ## measure against peers (NAME=n for one)
	@$(program_env) bash tests/bench/run.sh $(NAME)

# How many rounds, or single faults, without COUNT; and in `make check`.
campaign_full_scan := 200
campaign_full_resume := 200
campaign_full_cyrus := 1000
campaign_full_ext4-check := 1200
campaign_full_root := 1000
campaign_short_scan := 20
campaign_short_resume := 20
campaign_short_cyrus := 60
campaign_short_ext4-check := 90
campaign_short_root := 60
campaign_length = full
campaign_count = $(or $(COUNT),$(campaign_$(campaign_length)_$1))
campaign_run = $(if $(NAME),$(filter $(campaign_names),$(NAME)),$(campaign_names))

.PHONY: campaign
campaign: $(campaign_programs) ## inject COUNT rounds of faults, by SEED (NAME=n for one kind)
	@test -n '$(strip $(campaign_run))' || \
		{ echo 'campaign: there is no campaign $(NAME)' >&2; exit 1; }
	@dir=$$(mktemp -d) || exit 1; trap 'rm -rf "$$dir"' EXIT; trap 'exit 130' INT TERM HUP; \
	run() { \
		mkdir "$$dir/$$1" && $(BUILDDIR)/tests/campaign-$$1 "$$dir/$$1" \
			--seed '$(or $(SEED),1)' --count "$$2" || failed=1; \
	}; failed=0; \
	$(foreach n,$(campaign_run),run $n '$(call campaign_count,$n)';) exit $$failed

.PHONY: soak
soak: assay $(call needs,test) ## keep a live pair busy and scan it for MINUTES
	@$(program_env) bash tests/soak.sh '$(or $(NAME),churn)' '$(or $(MINUTES),2)' '$(SEED)'

# With SEED the working corpus is fresh, so that two runs do the same.
fuzz_run = $(if $(NAME),$(filter $(fuzz_names),$(NAME)),$(fuzz_names))
fuzz_seconds = $(or $(FUZZ_SECONDS),$$((60 * $(or $(MINUTES),1))))
fuzz_corpus = build/fuzz/corpus$(if $(SEED),-seed-$(SEED))

.PHONY: fuzz
fuzz: $(call needs,test) ## fuzz each parser for MINUTES (NAME=n for one)
	@test -n '$(strip $(fuzz_run))' || { echo 'fuzz: there is no target $(NAME)' >&2; exit 1; }
	@test $(fuzz_seconds) -gt 0 || { echo 'fuzz: MINUTES must be 1 or more' >&2; exit 1; }
	@$(call variant,fuzz) fuzz-targets
	@rm -f build/fuzz/result; failed=0; \
	for n in $(fuzz_run); do \
		$(if $(SEED),rm -rf $(fuzz_corpus)/$$n;) \
		mkdir -p $(fuzz_corpus)/$$n build/fuzz/crash/$$n; \
		log=build/fuzz/$$n.log; status=0; \
		build/fuzz/targets/$$n -max_total_time=$(fuzz_seconds) -timeout=10 \
			-rss_limit_mb=2048 -print_final_stats=1 $(if $(SEED),-seed=$(SEED)) \
			$$(test -e tests/fuzz/$$n.dict && echo -dict=tests/fuzz/$$n.dict) \
			-artifact_prefix=build/fuzz/crash/$$n/ $(fuzz_corpus)/$$n \
			$$(find tests/fuzz/corpus/$$n -maxdepth 0 2>/dev/null) >$$log 2>&1 || \
			status=$$?; \
		runs=$$(sed -n 's/^stat::number_of_executed_units: *//p' $$log); \
		[ $$status = 0 ] || { failed=1; tail -n 40 $$log; }; \
		[ "$${runs:-0}" -gt 0 ] || failed=1; \
		echo "fuzz $$n runs=$${runs:-0} crashes=$$((status != 0))" >>build/fuzz/result; \
	done; \
	cat build/fuzz/result; exit $$failed

# ---- Installing ---------------------------------------------------------------------------------

# from:to:mode, for install and uninstall alike.
installed = $(addsuffix :$(BINDIR)/assay:755,$(assay)) \
	$(static_lib):$(LIBDIR)/libassay.a:644 \
	$(shared_lib):$(LIBDIR)/libassay.so.0:644 \
	$(BUILDDIR)/libassay.pc:$(LIBDIR)/pkgconfig/libassay.pc:644 \
	$(addsuffix :$(INCLUDEDIR)/assay.h:644,$(wildcard include/assay.h)) \
	$(foreach m,$(man_pages),$m:$(MANDIR)/man$(patsubst .%,%,$(suffix $m))/$(notdir $m):644) \
	$(foreach u,$(units),$u:$(UNITDIR)/$(notdir $u):644) \
	$(foreach u,$(wildcard udev/*.rules),$u:$(RULESDIR)/$(notdir $u):644)

$(BUILDDIR)/libassay.pc: FORCE
	$(call text_file,'Name: libassay' 'Description: Verify Cyrus stores and gate failover' \
		'Version: $(VERSION)' 'Cflags: -I$(INCLUDEDIR)' 'Libs: -L$(LIBDIR) -lassay' \
		'Libs.private: $(LIBS)')

.PHONY: install
install: all $(units) $(BUILDDIR)/libassay.pc ## install below DESTDIR and PREFIX
	@set -e; for i in $(installed); do \
		from=$${i%%:*}; rest=$${i#*:}; \
		$(if $(silent),,echo "  INSTALL $(DESTDIR)$${rest%:*}";) \
		$(INSTALL) -D -m $${rest##*:} "$$from" "$(DESTDIR)$${rest%:*}"; \
	done
	@ln -sf libassay.so.0 "$(DESTDIR)$(LIBDIR)/libassay.so"

.PHONY: uninstall
uninstall: ## remove what install put there
	@for i in $(installed); do rest=$${i#*:}; rm -f "$(DESTDIR)$${rest%:*}"; done
	@rm -f "$(DESTDIR)$(LIBDIR)/libassay.so"

# ---- The rest -----------------------------------------------------------------------------------

.PHONY: setup
setup: ## install the Debian packages that building and testing need
	@mkdir -p build/setup
	@bash tests/setup.sh build demo test
	@touch build/setup/build build/setup/demo build/setup/test

.PHONY: dist
dist: ## pack the sources into build/assay-VERSION.tar.gz
	@mkdir -p build
	@tar --exclude-vcs --exclude=./build --sort=name --owner=0 --group=0 --numeric-owner \
		--transform='s,^\.,assay-$(VERSION),' -czf build/assay-$(VERSION).tar.gz .
	@echo build/assay-$(VERSION).tar.gz

.PHONY: clean
clean: ## remove build/
	rm -rf build

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#=]*## \(.*\)/  \1\t\2/p' Makefile | expand -t 18

-include $(shell find $(BUILDDIR)/obj -name '*.d' 2>/dev/null)
