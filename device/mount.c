/* Low-level FUSE: nothing changes but by writes that go through the kernel, so it may keep all it
 * has read, and names and sizes for ever. No direct I/O, which breaks shared mappings. */
#define FUSE_USE_VERSION 35

#include "device/mount.h"

#include "base/library.h"
#include "device/mount_file.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse3/fuse_lowlevel.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Of later versions a macro. */
#undef fuse_session_new
struct fuse_session *fuse_session_new(struct fuse_args *, const struct fuse_lowlevel_ops *, size_t,
				      void *);

#define FUNCTIONS(X)                                                                             \
	X(fuse_set_log_func)                                                                     \
	X(fuse_session_new)                                                                      \
	X(fuse_session_mount)                                                                    \
	X(fuse_session_exited)                                                                   \
	X(fuse_session_fd)                                                                       \
	X(fuse_session_receive_buf)                                                              \
	X(fuse_session_process_buf) X(fuse_session_unmount) X(fuse_session_destroy)              \
		X(fuse_opt_add_arg) X(fuse_opt_free_args) X(fuse_req_userdata) X(fuse_reply_err) \
			X(fuse_reply_entry) X(fuse_reply_attr) X(fuse_reply_open)                \
				X(fuse_reply_buf) X(fuse_reply_lseek) X(fuse_reply_statfs)       \
					X(fuse_reply_write) X(fuse_add_direntry)

static struct {
	FUNCTIONS(LIBRARY_MEMBER)
} lib;
static struct library library = LIBRARY(FILE_fuse3, FUNCTIONS, lib);

#define OPTIONS	    ",nosuid,nodev,fsname=vmabak,subtype=vmabak"
#define N_SERVERS   8u
#define FOR_EVER_S  (365.0 * 86400)
#define FIRST_FILE  (FUSE_ROOT_ID + 1)
#define ENTRIES_MAX 65536u

struct mount {
	const struct mount_tree *tree;
	struct fuse_session *session;
	pthread_mutex_t lock;
	bool mounted; /* guarded by lock */
	int wake;     /* an eventfd, readable once it ends */
	atomic_bool ending;
};

/* ---- what the kernel asks ---- */

static const struct mount_tree *tree_of(fuse_req_t request)
{
	return ((struct mount *)lib.fuse_req_userdata(request))->tree;
}

static const struct mount_file *file_of(fuse_req_t request, fuse_ino_t number)
{
	const struct mount_tree *tree = tree_of(request);

	return number >= FIRST_FILE && number - FIRST_FILE < tree->n_files
		       ? &tree->files[number - FIRST_FILE]
		       : NULL;
}

/* NULL: the folder. */
static struct stat attributes(const struct mount_tree *tree, const struct mount_file *file)
{
	struct stat out = {
		.st_ino = file == NULL ? FUSE_ROOT_ID : FIRST_FILE + (ino_t)(file - tree->files),
		.st_mode = file == NULL		 ? S_IFDIR | 0555
			   : file->write == NULL ? S_IFREG | 0444
						 : S_IFREG | 0644,
		.st_nlink = file == NULL ? 2 : 1,
		.st_uid = geteuid(),
		.st_gid = getegid(),
		.st_size = file == NULL ? 0 : (off_t)file->size_bytes,
		.st_blocks = file == NULL ? 0 : (blkcnt_t)((file->size_bytes + 511) / 512),
		.st_blksize = 65536,
	};

	out.st_mtim.tv_sec = tree->time_ns / 1000000000;
	out.st_mtim.tv_nsec = tree->time_ns % 1000000000;
	out.st_ctim = out.st_atim = out.st_mtim;
	return out;
}

static void look_up(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	const struct mount_tree *tree = tree_of(request);
	struct fuse_entry_param entry = {.attr_timeout = FOR_EVER_S, .entry_timeout = FOR_EVER_S};
	size_t i = 0;

	while (i < tree->n_files && strcmp(tree->files[i].name, name) != 0)
		i++;
	if (parent != FUSE_ROOT_ID || i == tree->n_files) {
		lib.fuse_reply_err(request, parent == FUSE_ROOT_ID ? ENOENT : ENOTDIR);
		return;
	}
	entry.ino = FIRST_FILE + i;
	entry.attr = attributes(tree, &tree->files[i]);
	lib.fuse_reply_entry(request, &entry);
}

static void get_attributes(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info)
{
	const struct mount_file *file = file_of(request, number);
	struct stat found = attributes(tree_of(request), file);

	(void)info;
	if (file == NULL && number != FUSE_ROOT_ID)
		lib.fuse_reply_err(request, ENOENT);
	else
		lib.fuse_reply_attr(request, &found, FOR_EVER_S);
}

/* Entry n has offset n + 1: the folder, the one above, the files. */
static void read_folder(fuse_req_t request, fuse_ino_t number, size_t size, off_t offset,
			struct fuse_file_info *info)
{
	const struct mount_tree *tree = tree_of(request);
	size_t used = 0, room = least(size, ENTRIES_MAX);
	char *to = malloc(room);

	(void)info;
	if (number != FUSE_ROOT_ID || to == NULL) {
		lib.fuse_reply_err(request, to == NULL ? ENOMEM : ENOTDIR);
		free(to);
		return;
	}
	for (uint64_t i = (uint64_t)offset; i < tree->n_files + 2; i++) {
		const struct mount_file *file = i < 2 ? NULL : &tree->files[i - 2];
		struct stat found = attributes(tree, file);
		const char *name = file != NULL ? file->name : i == 0 ? "." : "..";
		size_t n = lib.fuse_add_direntry(request, to + used, room - used, name, &found,
						 (off_t)i + 1);

		if (n > room - used)
			break;
		used += n;
	}
	lib.fuse_reply_buf(request, to, used);
	free(to);
}

/* Times may be set, to no effect; a size only to what it is. */
static void set_attributes(fuse_req_t request, fuse_ino_t number, struct stat *wanted, int which,
			   struct fuse_file_info *info)
{
	const struct mount_file *file = file_of(request, number);
	const int refused = FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID;

	if (file == NULL || file->write == NULL || (which & refused) != 0 ||
	    ((which & FUSE_SET_ATTR_SIZE) != 0 && (uint64_t)wanted->st_size != file->size_bytes))
		lib.fuse_reply_err(request, EPERM);
	else
		get_attributes(request, number, info);
}

static void open_file(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info)
{
	const struct mount_file *file = file_of(request, number);

	if (file == NULL) {
		lib.fuse_reply_err(request, EISDIR);
	} else if ((info->flags & O_ACCMODE) != O_RDONLY && file->write == NULL) {
		lib.fuse_reply_err(request, EROFS);
	} else {
		info->keep_cache = 1;
		lib.fuse_reply_open(request, info);
	}
}

static void read_file(fuse_req_t request, fuse_ino_t number, size_t size, off_t offset,
		      struct fuse_file_info *info)
{
	const struct mount_file *file = file_of(request, number);
	uint64_t at = (uint64_t)offset;
	size_t n = 0;
	char *to;
	int code = 0;

	(void)info;
	if (file == NULL || offset < 0) {
		lib.fuse_reply_err(request, EINVAL);
		return;
	}
	if (at < file->size_bytes)
		n = least(size, file->size_bytes - at);
	to = malloc(n + 1);
	if (to == NULL)
		code = ENOMEM;
	else if (n > 0)
		code = file->read(file->context, at, to, n);
	if (code != 0)
		lib.fuse_reply_err(request, code);
	else
		lib.fuse_reply_buf(request, to, n);
	free(to);
}

static void write_file(fuse_req_t request, fuse_ino_t number, const char *from, size_t n,
		       off_t offset, struct fuse_file_info *info)
{
	const struct mount_file *file = file_of(request, number);
	size_t done = 0;
	int code = EINVAL;

	(void)info;
	if (file != NULL && offset >= 0)
		code = mount_file_write(file, (uint64_t)offset, from, n, &done);
	if (code != 0)
		lib.fuse_reply_err(request, code);
	else
		lib.fuse_reply_write(request, done);
}

static void flush_file(fuse_req_t request, fuse_ino_t number, int data_only,
		       struct fuse_file_info *info)
{
	const struct mount_file *file = file_of(request, number);

	(void)data_only, (void)info;
	lib.fuse_reply_err(request, file == NULL || file->write == NULL
					    ? 0
					    : file->flush(file->context));
}

static void allocate(fuse_req_t request, fuse_ino_t number, int mode, off_t offset, off_t n,
		     struct fuse_file_info *info)
{
	const struct mount_file *file = file_of(request, number);
	int code = EINVAL;

	(void)info;
	if (file != NULL && offset >= 0 && n > 0)
		code = mount_file_allocate(file, mode, (uint64_t)offset, (uint64_t)n);
	lib.fuse_reply_err(request, code);
}

static void seek(fuse_req_t request, fuse_ino_t number, off_t offset, int whence,
		 struct fuse_file_info *info)
{
	const struct mount_file *file = file_of(request, number);
	uint64_t at = (uint64_t)offset;
	int code = EINVAL;

	(void)info;
	if (file != NULL && offset >= 0 && (whence == SEEK_DATA || whence == SEEK_HOLE))
		code = mount_file_seek(file, whence == SEEK_HOLE, &at);
	if (code != 0)
		lib.fuse_reply_err(request, code);
	else
		lib.fuse_reply_lseek(request, (off_t)at);
}

static void tell_size(fuse_req_t request, fuse_ino_t number)
{
	const struct mount_tree *tree = tree_of(request);
	struct statvfs found = {.f_bsize = 65536, .f_frsize = 65536, .f_namemax = 255};

	(void)number;
	for (size_t i = 0; i < tree->n_files; i++)
		found.f_blocks += (tree->files[i].size_bytes + 65535) / 65536;
	found.f_files = tree->n_files + 1;
	lib.fuse_reply_statfs(request, &found);
}

static const struct fuse_lowlevel_ops operations = {
	.lookup = look_up,
	.getattr = get_attributes,
	.setattr = set_attributes,
	.readdir = read_folder,
	.open = open_file,
	.read = read_file,
	.write = write_file,
	.fsync = flush_file,
	.fallocate = allocate,
	.lseek = seek,
	.statfs = tell_size,
};

/* ---- mounting ---- */

static pthread_mutex_t said_lock = PTHREAD_MUTEX_INITIALIZER;
static char said[300]; /* the last thing that the library said; guarded by said_lock */

static void take_words(enum fuse_log_level level, const char *format, va_list arguments)
{
	(void)level;
	pthread_mutex_lock(&said_lock);
	vsnprintf(said, sizeof(said), format, arguments);
	said[strcspn(said, "\n")] = '\0';
	pthread_mutex_unlock(&said_lock);
}

static int fail_fuse(const char *folder, struct error *err)
{
	pthread_mutex_lock(&said_lock);
	fail(err, ERR_SYSTEM, "%.300s: cannot be mounted: %s", folder,
	     said[0] != '\0' ? said : "no reason given");
	pthread_mutex_unlock(&said_lock);
	return err->code;
}

int mount_check(const char *folder, struct error *err)
{
	struct stat found;

	if (stat(folder, &found) != 0)
		return fail_system(err, errno, "%.300s", folder);
	if (!S_ISDIR(found.st_mode))
		return fail(err, ERR_USAGE, "%.300s: is not a folder", folder);
	if (access("/dev/fuse", F_OK) != 0)
		return fail(err, ERR_UNSUPPORTED,
			    "there is no /dev/fuse on this system: modprobe fuse, or vmabak "
			    "export");
	return library_load(&library, err);
}

static int add_option(struct fuse_args *to, const char *text, struct error *err)
{
	return lib.fuse_opt_add_arg(to, text) != 0 ? fail_memory(err) : 0;
}

static int begin(struct mount *mount, struct fuse_args *options, struct error *err)
{
	int fd;

	mount->session = lib.fuse_session_new(options, &operations, sizeof(operations), mount);
	mount->mounted = mount->session != NULL &&
			 lib.fuse_session_mount(mount->session, mount->tree->folder) == 0;
	if (!mount->mounted)
		return fail_fuse(mount->tree->folder, err);
	fd = lib.fuse_session_fd(mount->session);
	return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0
		       ? fail_system(err, errno, "/dev/fuse")
		       : 0;
}

int mount_open(struct mount **out, const struct mount_tree *tree, struct error *err)
{
	struct fuse_args options = FUSE_ARGS_INIT(0, NULL);
	struct mount *mount;
	int code;

	TRY(library_load(&library, err));
	lib.fuse_set_log_func(take_words);
	mount = calloc(1, sizeof(*mount));
	if (mount == NULL)
		return fail_memory(err);
	pthread_mutex_init(&mount->lock, NULL);
	mount->tree = tree;
	mount->wake = eventfd(0, EFD_CLOEXEC);
	code = mount->wake < 0 ? fail_system(err, errno, "eventfd") : 0;
	if (code == 0)
		code = add_option(&options, "vmabak", err);
	if (code == 0)
		code = add_option(&options, tree->writable ? "-orw" OPTIONS : "-oro" OPTIONS, err);
	if (code == 0)
		code = begin(mount, &options, err);
	lib.fuse_opt_free_args(&options);
	if (code == 0)
		*out = mount;
	else
		mount_close(mount);
	return code;
}

/* -1: there is none. Closed by the caller. */
static int watch(const struct mount *mount)
{
	const int fds[] = {lib.fuse_session_fd(mount->session), mount->wake};
	int watching = epoll_create1(EPOLL_CLOEXEC);

	for (unsigned i = 0; watching >= 0 && i < 2; i++) {
		/* A request wakes one thread, the end all. */
		struct epoll_event event = {.events = i == 0 ? EPOLLIN | EPOLLEXCLUSIVE : EPOLLIN};

		if (epoll_ctl(watching, EPOLL_CTL_ADD, fds[i], &event) != 0) {
			close(watching);
			watching = -1;
		}
	}
	return watching;
}

static void *serve(void *context)
{
	struct mount *mount = context;
	struct fuse_buf request = {0};
	struct epoll_event event;
	int watching = watch(mount), got = -EAGAIN;

	while (watching >= 0 && !atomic_load(&mount->ending) &&
	       !lib.fuse_session_exited(mount->session)) {
		if (got == -EAGAIN)
			epoll_wait(watching, &event, 1, -1);
		if (atomic_load(&mount->ending)) /* what comes next may be closed by now */
			break;
		got = lib.fuse_session_receive_buf(mount->session, &request);
		if (got == -EINTR)
			got = -EAGAIN;
		if (got <= 0 && got != -EAGAIN)
			break;
		if (got > 0)
			lib.fuse_session_process_buf(mount->session, &request);
	}
	free(request.mem);
	if (watching >= 0)
		close(watching);
	return NULL;
}

int mount_serve(struct mount *mount, struct error *err)
{
	pthread_t threads[N_SERVERS];
	unsigned n = 0;
	int sys = 0;

	while (n < N_SERVERS && sys == 0) {
		sys = pthread_create(&threads[n], NULL, serve, mount);
		n += sys == 0;
	}
	if (n == 0)
		return fail_start(err, sys, "cannot start a thread");
	while (n > 0)
		pthread_join(threads[--n], NULL);
	return 0;
}

static void unmount_locked(struct mount *mount)
{
	if (mount->mounted)
		lib.fuse_session_unmount(mount->session);
	mount->mounted = false;
}

void mount_stop(struct mount *mount)
{
	uint64_t one = 1;

	atomic_store(&mount->ending, true);
	if (write(mount->wake, &one, sizeof(one)) < 0)
		return; /* never: it is an eventfd */
}

void mount_end(struct mount *mount)
{
	mount_stop(mount);
	pthread_mutex_lock(&mount->lock);
	unmount_locked(mount);
	pthread_mutex_unlock(&mount->lock);
}

void mount_close(struct mount *mount)
{
	if (mount == NULL)
		return;
	unmount_locked(mount);
	if (mount->session != NULL)
		lib.fuse_session_destroy(mount->session);
	if (mount->wake >= 0)
		close(mount->wake);
	pthread_mutex_destroy(&mount->lock);
	free(mount);
}
