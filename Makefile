# vmabak: GNU make, no configure step. "make help" lists what there is.
#
#   make [VARIANT=release|asan|tsan] [CC=...] [CFLAGS=...] [V=1]

VERSION := 0.1.0
VARIANT ?= release
PREFIX  ?= /usr/local
BINDIR  ?= $(PREFIX)/bin
MANDIR  ?= $(PREFIX)/share/man
COMPDIR ?= $(PREFIX)/share/bash-completion/completions
DOCDIR  ?= $(PREFIX)/share/doc/vmabak
DESTDIR ?=

B := build/$(VARIANT)
PKG_CONFIG ?= pkg-config

# What must be there, and what is used when it is.
PACKAGES := libzstd libxxhash libcrypto libarchive zlib jansson
OPTIONAL := libnbd

ifeq ($(VARIANT),release)
VARIANT_FLAGS := -O2
else ifeq ($(VARIANT),asan)
VARIANT_FLAGS := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
else ifeq ($(VARIANT),tsan)
VARIANT_FLAGS := -O1 -fsanitize=thread
else
$(error VARIANT is release, asan or tsan)
endif

HAVE_LIBNBD := $(shell $(PKG_CONFIG) --exists libnbd 2>/dev/null && echo 1)
LIBRARIES   := $(PACKAGES) $(if $(HAVE_LIBNBD),libnbd)

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef
STRICT   := -Wconversion
BASE_CPPFLAGS := -I. -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DVERSION='"$(VERSION)"' \
	$(if $(HAVE_LIBNBD),-DHAVE_LIBNBD=1,-DHAVE_LIBNBD=0)
BASE_CFLAGS = -std=c11 -g -pthread $(WARNINGS) $(VARIANT_FLAGS) \
	$(shell $(PKG_CONFIG) --cflags $(LIBRARIES) 2>/dev/null)
LIBS = $(shell $(PKG_CONFIG) --libs $(LIBRARIES)) -pthread

LIB_SOURCES := $(sort $(wildcard base/*.c format/*.c reader/*.c reader/*/*.c writer/*.c writer/*/*.c cow/*.c cow/*/*.c))
CLI_SOURCES := $(sort $(wildcard cli/*.c))
UNIT_SOURCES := $(sort $(wildcard tests/unit/*.c))
LIB_OBJECTS  := $(LIB_SOURCES:%.c=$(B)/%.o)
CLI_OBJECTS  := $(CLI_SOURCES:%.c=$(B)/%.o)
UNIT_OBJECTS := $(UNIT_SOURCES:%.c=$(B)/%.o)

# The parts between the bytes of an archive and a verified cluster.
AUDIT_SOURCES := format/common.c format/checksum.c format/parse.c format/vmab_parse.c \
	format/vma1_parse.c reader/reader.c reader/extent.c
AUDIT_HEADERS := format/common.h format/format.h format/bytes.h format/layout.h reader/reader.h

Q := $(if $(V),,@)

.PHONY: all
all: $(B)/vmabak

$(B)/vmabak: $(CLI_OBJECTS) $(B)/libvmabak.a
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(BASE_CFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(B)/libvmabak.a: $(LIB_OBJECTS)
	@$(if $(V),,echo "  AR    $@")
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(B)/format/%.o $(B)/reader/%.o: BASE_CFLAGS += $(STRICT)

$(B)/%.o: %.c Makefile
	@mkdir -p $(@D)
	@$(if $(V),,echo "  CC    $<")
	$(Q)$(CC) $(BASE_CPPFLAGS) $(CPPFLAGS) $(BASE_CFLAGS) -MMD -MP $(CFLAGS) -c -o $@ $<

$(B)/unit: $(UNIT_OBJECTS) $(B)/libvmabak.a
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(BASE_CFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS) $$($(PKG_CONFIG) --libs cunit)

-include $(LIB_OBJECTS:.o=.d) $(CLI_OBJECTS:.o=.d) $(UNIT_OBJECTS:.o=.d)

# ---- tests ----

# Installing comes first, then make anew: what pkg-config finds is decided when make starts.
.PHONY: check
check:
	tests/install-dependencies.sh
	$(MAKE) check-installed

.PHONY: check-installed
check-installed:
	@tests/run.sh $(if $(VECTORS),--vectors "$(VECTORS)")

.PHONY: unit
unit: $(B)/unit
	$(B)/unit

# Arrows between the folders point one way: CONTRIBUTING.md.
.PHONY: arrows
arrows:
	@tests/arrows.sh

# Lines between the bytes of an archive and a verified cluster, blank lines and comments not
# counted, declarations in public headers neither. That nothing else is needed is shown by linking.
.PHONY: audit-size
audit-size: $(B)/libvmabak.a
	@tests/audit-size.sh $(B) $(AUDIT_SOURCES)

.PHONY: demo
demo:
	tests/install-dependencies.sh
	$(MAKE) all
	tests/demo.sh $(B)/vmabak

.PHONY: bench
bench: all
	tests/bench/bench.sh $(B)/vmabak

.PHONY: profile
profile: all
	tests/bench/profile.sh $(B)/vmabak

# ---- installing ----

MAN_PAGES := $(sort $(wildcard man/*.1 man/*.5))

EXAMPLES := $(sort $(wildcard examples/*))

.PHONY: install
install: $(B)/vmabak
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(MANDIR)/man5 \
		$(DESTDIR)$(COMPDIR) $(DESTDIR)$(DOCDIR)/examples
	install -m 755 $(B)/vmabak $(DESTDIR)$(BINDIR)/vmabak
	install -m 644 $(filter %.1,$(MAN_PAGES)) $(DESTDIR)$(MANDIR)/man1
	install -m 644 $(filter %.5,$(MAN_PAGES)) $(DESTDIR)$(MANDIR)/man5
	install -m 644 README.md LICENSE spec/vmab.md spec/vma1.md $(DESTDIR)$(DOCDIR)
	install -m 755 spec/restore.py $(DESTDIR)$(DOCDIR)
	install -m 644 $(EXAMPLES) $(DESTDIR)$(DOCDIR)/examples
	$(B)/vmabak completion bash > $(DESTDIR)$(COMPDIR)/vmabak

# Takes away what install put there, and those folders that are empty then.
.PHONY: uninstall
uninstall:
	rm -f $(DESTDIR)$(BINDIR)/vmabak $(DESTDIR)$(COMPDIR)/vmabak
	rm -f $(patsubst man/%.1,$(DESTDIR)$(MANDIR)/man1/%.1,$(filter %.1,$(MAN_PAGES)))
	rm -f $(patsubst man/%.5,$(DESTDIR)$(MANDIR)/man5/%.5,$(filter %.5,$(MAN_PAGES)))
	rm -f $(addprefix $(DESTDIR)$(DOCDIR)/,README.md LICENSE vmab.md vma1.md restore.py $(EXAMPLES))
	for folder in $(BINDIR) $(MANDIR)/man1 $(MANDIR)/man5 $(COMPDIR) $(DOCDIR)/examples; do \
		folder="$(DESTDIR)$$folder"; \
		while [ "$$folder" != "$(DESTDIR)" ] && rmdir "$$folder" 2>/dev/null; do \
			folder=$$(dirname "$$folder"); \
		done; \
	done; true

.PHONY: clean
clean:
	rm -rf build

.PHONY: help
help:
	@echo "make               build $(B)/vmabak"
	@echo "make check         install what is missing, build, run every test"
	@echo "make demo          install what is missing, build, back up and restore real drives"
	@echo "make bench         compare the speed with other tools that are installed"
	@echo "make profile       where the time goes"
	@echo "make unit          the unit tests alone"
	@echo "make audit-size    lines of code between archive bytes and verified clusters"
	@echo "make install uninstall   DESTDIR= PREFIX="
	@echo "VARIANT=release|asan|tsan, CC=, CFLAGS=, V=1"
