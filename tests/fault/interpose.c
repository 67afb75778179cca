/*
 * Makes calls of the program fail. Preloaded; what is to fail is said in the environment:
 *
 *   FAULT_CALL   read, malloc, rename, ...: the names in the table below
 *   FAULT_AT     the n-th such call, from the beginning of main
 *   FAULT_HOW    once: that call; ever: that one and all after it; every: each n-th
 *   FAULT_ERRNO  what it fails with; 0: it does half of what was asked, if that is possible
 *   FAULT_MARK   a file that has a byte for each call that was made to fail
 *   FAULT_SHARED a file with a struct fault, which another process changes while the program runs;
 *                then nothing else is needed
 *
 * A close that fails has closed, as in Linux. Programs that the program starts are left alone.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/* The first name is how FAULT_CALL calls it. */
enum call {
	CALL_READ,
	CALL_PREAD,
	CALL_WRITE,
	CALL_PWRITE,
	CALL_WRITEV,
	CALL_FSYNC,
	CALL_FALLOCATE,
	CALL_FTRUNCATE,
	CALL_MMAP,
	CALL_MALLOC,
	CALL_RENAME,
	CALL_CLOSE,
	CALL_OPEN,
	CALL_LSEEK,
	CALL_GETRANDOM,
	CALL_THREAD,
	CALL_ACCEPT,
	CALL_SOCKET,	    /* what else makes a descriptor without a path */
	CALL_INTERRUPTIBLE, /* any that reads or writes */
	N_CALLS,
};

static const char *const names[N_CALLS] = {
	"read",	     "pread",  "write",	 "pwrite", "writev",	    "fsync", "fallocate",
	"ftruncate", "mmap",   "malloc", "rename", "close",	    "open",  "lseek",
	"getrandom", "thread", "accept", "socket", "interruptible",
};

/* sweep_serve.py knows this, too. */
struct fault {
	atomic_int wanted; /* enum call; -1: nothing fails (any more) */
	int error_number;
	int ever, every;
	unsigned long at;
	atomic_ulong n_calls, n_failed;
};

static struct fault own = {.wanted = -1}, *fault = &own;
static long mark = -1;

/* Opened at the beginning: later the program may have given up to open files. */
static void make_mark(void)
{
	if (syscall(SYS_write, mark, "!", (size_t)1) != 1)
		abort();
}

/* Whether this call is one that must fail. */
static bool due(enum call call)
{
	int now = atomic_load(&fault->wanted);
	bool interruptible =
		now == CALL_INTERRUPTIBLE && call <= CALL_FALLOCATE && call != CALL_FSYNC;
	if (now != (int)call && !interruptible)
		return false;
	unsigned long n = atomic_fetch_add(&fault->n_calls, 1) + 1;
	bool hit = fault->every	 ? n % fault->at == 0
		   : fault->ever ? n >= fault->at
				 : n == fault->at;
	if (!hit)
		return false;
	atomic_fetch_add(&fault->n_failed, 1);
	if (mark >= 0)
		make_mark();
	errno = call == CALL_MALLOC ? ENOMEM : fault->error_number;
	return true;
}

static void *next(const char *name)
{
	void *function = dlsym(RTLD_NEXT, name);
	if (function == NULL)
		abort();
	return function;
}

/* Each wrapper finds what it stands before when it is first called. */
#define NEXT(type, name, ...)             \
	static type (*real)(__VA_ARGS__); \
	if (real == NULL)                 \
	*(void **)&real = next(name)

/* ---- calls that move n bytes, and may move fewer ---- */

#define MOVING(name, type, ...)                                     \
	ssize_t name(int fd, type buffer, size_t n, ##__VA_ARGS__); \
	ssize_t name(int fd, type buffer, size_t n, ##__VA_ARGS__)
#define SHORTEN(call, n)                       \
	if (due(call)) {                       \
		if (fault->error_number != 0)  \
			return -1;             \
		(n) = (n) > 1 ? (n) / 2 : (n); \
	}

MOVING(read, void *)
{
	NEXT(ssize_t, "read", int, void *, size_t);
	SHORTEN(CALL_READ, n);
	return real(fd, buffer, n);
}

MOVING(write, const void *)
{
	NEXT(ssize_t, "write", int, const void *, size_t);
	if (fd != STDERR_FILENO) /* what tells of the failure */
		SHORTEN(CALL_WRITE, n);
	return real(fd, buffer, n);
}

MOVING(pread64, void *, off_t offset)
{
	NEXT(ssize_t, "pread64", int, void *, size_t, off_t);
	SHORTEN(CALL_PREAD, n);
	return real(fd, buffer, n, offset);
}

MOVING(pwrite64, const void *, off_t offset)
{
	NEXT(ssize_t, "pwrite64", int, const void *, size_t, off_t);
	SHORTEN(CALL_PWRITE, n);
	return real(fd, buffer, n, offset);
}

ssize_t writev(int fd, const struct iovec *vector, int n)
{
	NEXT(ssize_t, "writev", int, const struct iovec *, int);
	if (!due(CALL_WRITEV))
		return real(fd, vector, n);
	if (fault->error_number != 0)
		return -1;
	struct iovec half = {vector->iov_base, (vector->iov_len + 1) / 2};
	return real(fd, &half, 1);
}

/* ---- calls that work or fail ---- */

int fsync(int fd)
{
	NEXT(int, "fsync", int);
	return due(CALL_FSYNC) ? -1 : real(fd);
}

int fdatasync(int fd)
{
	NEXT(int, "fdatasync", int);
	return due(CALL_FSYNC) ? -1 : real(fd);
}

int fallocate64(int fd, int mode, off_t offset, off_t n)
{
	NEXT(int, "fallocate64", int, int, off_t, off_t);
	return due(CALL_FALLOCATE) ? -1 : real(fd, mode, offset, n);
}

int ftruncate64(int fd, off_t size)
{
	NEXT(int, "ftruncate64", int, off_t);
	return due(CALL_FTRUNCATE) ? -1 : real(fd, size);
}

void *mmap64(void *address, size_t n, int protection, int flags, int fd, off_t offset)
{
	NEXT(void *, "mmap64", void *, size_t, int, int, int, off_t);
	return due(CALL_MMAP) ? MAP_FAILED : real(address, n, protection, flags, fd, offset);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
	NEXT(int, "renameat", int, const char *, int, const char *);
	return due(CALL_RENAME) ? -1 : real(from_folder, from, to_folder, to);
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
	NEXT(int, "linkat", int, const char *, int, const char *, int);
	return due(CALL_RENAME) ? -1 : real(from_folder, from, to_folder, to, flags);
}

/* renameat2 is called by number. */
long syscall(long number, ...)
{
	NEXT(long, "syscall", long, ...);
	va_list list;
	long a[6];
	va_start(list, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	if (number == SYS_renameat2 && due(CALL_RENAME))
		return -1;
	return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int close(int fd)
{
	NEXT(int, "close", int);
	int result = real(fd);
	return result == 0 && due(CALL_CLOSE) ? -1 : result;
}

int open64(const char *path, int flags, ...)
{
	NEXT(int, "open64", const char *, int, ...);
	va_list list;
	va_start(list, flags);
	int mode = flags & O_CREAT ? va_arg(list, int) : 0;
	va_end(list);
	return due(CALL_OPEN) ? -1 : real(path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...)
{
	NEXT(int, "openat64", int, const char *, int, ...);
	va_list list;
	va_start(list, flags);
	int mode = flags & O_CREAT ? va_arg(list, int) : 0;
	va_end(list);
	return due(CALL_OPEN) ? -1 : real(folder, path, flags, mode);
}

off_t lseek64(int fd, off_t offset, int whence)
{
	NEXT(off_t, "lseek64", int, off_t, int);
	return due(CALL_LSEEK) ? -1 : real(fd, offset, whence);
}

/* With FAULT_RANDOM they are always the same. */
ssize_t getrandom(void *buffer, size_t n, unsigned flags)
{
	NEXT(ssize_t, "getrandom", void *, size_t, unsigned);
	if (due(CALL_GETRANDOM))
		return -1;
	if (getenv("FAULT_RANDOM") == NULL)
		return real(buffer, n, flags);
	memset(buffer, 0x5a, n);
	return (ssize_t)n;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
		   void *context)
{
	NEXT(int, "pthread_create", pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
	return due(CALL_THREAD) ? fault->error_number : real(thread, attributes, run, context);
}

int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
	NEXT(int, "accept4", int, struct sockaddr *, socklen_t *, int);
	return due(CALL_ACCEPT) ? -1 : real(fd, address, length, flags);
}

int socket(int domain, int type, int protocol)
{
	NEXT(int, "socket", int, int, int);
	return due(CALL_SOCKET) ? -1 : real(domain, type, protocol);
}

int socketpair(int domain, int type, int protocol, int ends[2])
{
	NEXT(int, "socketpair", int, int, int, int *);
	return due(CALL_SOCKET) ? -1 : real(domain, type, protocol, ends);
}

int memfd_create(const char *name, unsigned flags)
{
	NEXT(int, "memfd_create", const char *, unsigned);
	return due(CALL_SOCKET) ? -1 : real(name, flags);
}

int eventfd(unsigned count, int flags)
{
	NEXT(int, "eventfd", unsigned, int);
	return due(CALL_SOCKET) ? -1 : real(count, flags);
}

/* ---- memory: strdup, asprintf and the like come to these ----
 *
 * glibc's loader calls them, too, when a thread first uses a variable of which a library keeps one
 * for each thread, and ends the process if it gets nothing. That is left alone right after a large
 * piece of memory was there, which is how the program makes sure of it.
 */

static _Thread_local bool had_room;
static uintptr_t loader_begin, loader_end;

static int find_loader(struct dl_phdr_info *info, size_t size, void *unused)
{
	(void)size;
	(void)unused;
	if (strstr(info->dlpi_name, "/ld-linux") == NULL)
		return 0;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		uintptr_t end =
			info->dlpi_addr + info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz;
		if (info->dlpi_phdr[i].p_type == PT_LOAD && end > loader_end)
			loader_end = end;
	}
	loader_begin = info->dlpi_addr;
	return 1;
}

static bool memory_due(const void *caller, size_t size)
{
	bool loader = (uintptr_t)caller - loader_begin < loader_end - loader_begin;

	if (loader && had_room)
		return false;
	if (!loader)
		had_room = size >= 65536;
	return due(CALL_MALLOC);
}

void *malloc(size_t n)
{
	NEXT(void *, "malloc", size_t);
	return memory_due(__builtin_return_address(0), n) ? NULL : real(n);
}

void *calloc(size_t n, size_t size)
{
	NEXT(void *, "calloc", size_t, size_t);
	return memory_due(__builtin_return_address(0), 0) ? NULL : real(n, size);
}

void *realloc(void *old, size_t n)
{
	NEXT(void *, "realloc", void *, size_t);
	return memory_due(__builtin_return_address(0), 0) ? NULL : real(old, n);
}

void *aligned_alloc(size_t alignment, size_t n)
{
	NEXT(void *, "aligned_alloc", size_t, size_t);
	return due(CALL_MALLOC) ? NULL : real(alignment, n);
}

/* ---- the beginning ---- */

static void share(const char *path)
{
	int fd = (int)syscall(SYS_open, path, O_RDWR | O_CLOEXEC);
	void *memory = mmap(NULL, sizeof *fault, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (fd < 0 || memory == MAP_FAILED)
		abort();
	close(fd);
	fault = memory;
}

static int (*real_main)(int, char **, char **);

static int armed_main(int argc, char **argv, char **environment)
{
	const char *call = getenv("FAULT_CALL"), *how = getenv("FAULT_HOW");
	int found = -1;
	if (getenv("FAULT_MARK") != NULL)
		mark = syscall(SYS_open, getenv("FAULT_MARK"), O_WRONLY | O_CREAT | O_CLOEXEC,
			       0600);
	fault->at = strtoul(getenv("FAULT_AT") != NULL ? getenv("FAULT_AT") : "1", NULL, 10);
	fault->error_number = atoi(getenv("FAULT_ERRNO") != NULL ? getenv("FAULT_ERRNO") : "5");
	fault->ever = how != NULL && strcmp(how, "ever") == 0;
	fault->every = how != NULL && strcmp(how, "every") == 0;
	for (int i = 0; i < N_CALLS && call != NULL; i++)
		if (strcmp(call, names[i]) == 0)
			found = i;
	if (call != NULL && (found < 0 || fault->at == 0))
		abort();
	unsetenv("LD_PRELOAD");
	dl_iterate_phdr(find_loader, NULL);
	atomic_store(&fault->wanted, found);
	if (getenv("FAULT_SHARED") != NULL)
		share(getenv("FAULT_SHARED"));
	return real_main(argc, argv, environment);
}

int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void),
		      void (*fini)(void), void (*rtld_fini)(void), void *stack_end);
int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void),
		      void (*fini)(void), void (*rtld_fini)(void), void *stack_end)
{
	NEXT(int, "__libc_start_main", int (*)(int, char **, char **), int, char **, void (*)(void),
	     void (*)(void), void (*)(void), void *);
	real_main = main;
	return real(armed_main, argc, argv, init, fini, rtld_fini, stack_end);
}
