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

LIB_SOURCES := $(sort $(wildcard format/*.c reader/*.c reader/*/*.c writer/*.c writer/*/*.c cow/*.c cow/*/*.c))
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

.PHONY: clean
clean:
	rm -rf build
