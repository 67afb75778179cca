/*
 * An allow-list. Elements that it does not know go, with all that is in them, and so does anything
 * left that names a file: QEMU or libvirt would read it, write to it, run it, or give it to another
 * user. What is likely to be in a definition and has a harmless form gets that form.
 *
 * What each rule is against: emulator, bootloader, qemu:commandline run programs; kernel, initrd,
 * acpi, sysinfo's fwcfg give the guest files of the host; serial ports, consoles and their logs,
 * which root's virtlogd writes, append what the guest likes to files; hostdev, filesystem, shmem,
 * nvdimm, other disks give it the host's; scripts of interfaces run as root; seclabel lifts the
 * confinement of QEMU; graphics would listen to the network without the password, which is in no
 * archive; hooks of the host act on metadata.
 */
#include "machine/libvirt/definition_confine.h"

#include "base/text.h"
#include "base/watcher.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOLD_MAX   40u
#define SHOWN_SIZE 100u

static const char domain_parts[] =
	" name uuid genid title description memory maxMemory currentMemory memtune memoryBacking "
	"vcpu vcpus iothreads iothreadids defaultiothread cputune numatune os features cpu clock "
	"on_poweroff on_reboot on_crash on_lockfailure pm perf keywrap launchSecurity sysinfo "
	"devices throttlegroups ";
static const char devices_parts[] =
	" controller disk interface serial parallel console channel input graphics video sound "
	"audio memballoon rng watchdog panic tpm vsock iommu hub crypto redirdev memory ";
static const char os_parts[] = " type firmware loader nvram boot bootmenu bios smbios ";
static const char cputune_parts[] =
	" shares period quota global_period global_quota emulator_period emulator_quota "
	"iothread_period iothread_quota vcpupin emulatorpin iothreadpin ";
static const char disk_parts[] =
	" driver target iotune serial wwn vendor product blockio geometry address boot alias "
	"readonly shareable throttlefilters ";
static const char disk_attributes[] = " device model snapshot ";
/* Of free text, which libvirt and QEMU do not take for the name of a file. */
static const char free_texts[] = " title description clock sysinfo ";

static bool is_in(const char *list, const xmlChar *name)
{
	char word[64];

	return snprintf(word, sizeof(word), " %s ", (const char *)name) < (int)sizeof(word) &&
	       strchr((const char *)name, ' ') == NULL && strstr(list, word) != NULL;
}

void omit(struct omissions *omissions, const char *format, ...)
{
	char text[400];
	va_list arguments;

	if (omissions->n++ >= TOLD_MAX)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	watcher_warn(omissions->watcher, "definition: %s", text);
}

void omissions_end(struct omissions *omissions)
{
	if (omissions->n > TOLD_MAX)
		watcher_warn(omissions->watcher, "definition: %u more parts are left out",
			     omissions->n - TOLD_MAX);
}

/* Or may. */
static bool names_a_file(const char *text)
{
	return text != NULL && strchr(text, '/') != NULL;
}

static const char *show(const char *text, char shown[SHOWN_SIZE])
{
	return escape_text(shown, SHOWN_SIZE, (const uint8_t *)(text == NULL ? "" : text),
			   text == NULL ? 0 : strlen(text));
}

/* ---- what names a file ---- */

static bool attribute_names(const xmlAttr *attribute)
{
	char *value = xml_value(attribute);
	bool result = names_a_file(value);

	free(value);
	return result;
}

/* In its text, if that is not free, or attributes. The parser limits how deep elements are nested.
 */
static bool names_below(const xmlNode *node, bool free_text)
{
	for (const xmlAttr *attribute = node->properties; attribute != NULL;
	     attribute = attribute->next) {
		if (attribute->ns != NULL || attribute_names(attribute))
			return true;
	}
	for (const xmlNode *below = node->children; below != NULL; below = below->next) {
		if (below->type == XML_ELEMENT_NODE) {
			if (below->ns != NULL || names_below(below, free_text))
				return true;
		} else if (below->type == XML_TEXT_NODE || below->type == XML_CDATA_SECTION_NODE) {
			if (!free_text && names_a_file((const char *)below->content))
				return true;
		} else if (below->type != XML_COMMENT_NODE)
			return true;
	}
	return false;
}

static bool element_names(const xmlNode *node)
{
	return names_below(node, false);
}

/* ---- parts with a harmless form ---- */

/* Those after the first n. */
static void remove_after(xmlNode *node, const char *name, unsigned n)
{
	xmlNode *next;

	for (xmlNode *below = node == NULL ? NULL : node->children; below != NULL; below = next) {
		next = below->next;
		if (xml_is(below, name) && n-- == 0) {
			xml_remove(below);
			n = 0;
		}
	}
}

static void remove_children(xmlNode *node, const char *name)
{
	remove_after(node, name, 0);
}

/* So that there is no second one that libvirt, but not we, would look at. */
static xmlNode *only_child(xmlNode *node, const char *name)
{
	remove_after(node, name, 1);
	return xml_child(node, name);
}

static bool is_blank(const xmlNode *node)
{
	const char *text = (const char *)node->content;

	return node->type == XML_TEXT_NODE && text != NULL && text[strspn(text, " \t\r\n")] == '\0';
}

/* Keeps the children that are in the list. */
static void keep_children(xmlNode *node, const char *list, struct omissions *omissions)
{
	xmlNode *next;
	char shown[SHOWN_SIZE];

	for (xmlNode *below = node->children; below != NULL; below = next) {
		next = below->next;
		if (is_blank(below) || (below->type == XML_ELEMENT_NODE && below->ns == NULL &&
					is_in(list, below->name)))
			continue;
		if (below->type == XML_ELEMENT_NODE && omissions != NULL)
			omit(omissions, "%s%s%s is left out",
			     below->ns == NULL || below->ns->prefix == NULL
				     ? ""
				     : (const char *)below->ns->prefix,
			     below->ns == NULL ? "" : ":", show((const char *)below->name, shown));
		xml_remove(below);
	}
}

/* Those that are in the list, and name no file. */
static void keep_attributes(xmlNode *node, const char *list)
{
	xmlAttr *next;

	for (xmlAttr *attribute = node->properties; attribute != NULL; attribute = next) {
		next = attribute->next;
		if (attribute->ns != NULL || !is_in(list, attribute->name) ||
		    attribute_names(attribute))
			xml_remove_attribute(attribute);
	}
}

/* Packages put firmware there; only root can. */
static bool is_firmware(const char *path)
{
	return path != NULL && strncmp(path, "/usr/share/", 11) == 0 && strstr(path, "/..") == NULL;
}

static void confine_loader(xmlNode *os, struct omissions *omissions)
{
	xmlNode *loader = only_child(os, "loader");
	char *path = xml_content(loader), shown[SHOWN_SIZE];

	if (path != NULL && *path != '\0' &&
	    (!is_firmware(path) || xml_has(loader, "readonly", "no"))) {
		omit(omissions,
		     "firmware %s is left out: it is not below /usr/share, where packages put it",
		     show(path, shown));
		remove_children(os, "loader");
		remove_children(os, "nvram");
	} else if (loader != NULL) {
		keep_attributes(loader, " readonly type secure stateless format ");
		xml_set_content(loader, path == NULL ? "" : path);
	}
	free(path);
}

static void confine_nvram(xmlNode *nvram)
{
	char *template = xml_attribute(nvram, "template");

	if (nvram != NULL) {
		keep_attributes(nvram,
				is_firmware(template) ? " templateFormat format " : " format ");
		xml_set_content(nvram, "");
		if (is_firmware(template))
			xml_set(nvram, "template", template);
	}
	free(template);
}

static void confine_os(xmlNode *os, struct omissions *omissions)
{
	xmlNode *next;
	char shown[SHOWN_SIZE];

	keep_attributes(os, " firmware ");
	keep_children(os, os_parts, omissions);
	confine_loader(os, omissions);
	confine_nvram(only_child(os, "nvram"));
	for (xmlNode *node = os->children; node != NULL; node = next) {
		next = node->next;
		if (node->type != XML_ELEMENT_NODE || xml_is(node, "loader") ||
		    xml_is(node, "nvram") || !element_names(node))
			continue;
		omit(omissions, "%s is left out: it names files",
		     show((const char *)node->name, shown));
		xml_remove(node);
	}
}

static void confine_character(xmlNode *node, struct omissions *omissions)
{
	char *type = xml_attribute(node, "type"), shown[SHOWN_SIZE];

	remove_children(node, "source");
	remove_children(node, "log");
	remove_children(node, "protocol");
	xml_unset(node, "tty");
	if (type != NULL && strcmp(type, "pty") != 0 && strcmp(type, "null") != 0 &&
	    strcmp(type, "spicevmc") != 0) {
		omit(omissions, "%s of type %s is a terminal (pty) now", (const char *)node->name,
		     show(type, shown));
		xml_set(node, "type", "pty");
	}
	free(type);
}

/* libvirt chooses the socket of a channel that has none. */
static bool confine_channel(xmlNode *node)
{
	bool stays = xml_has(node, "type", "unix") || xml_has(node, "type", "spicevmc") ||
		     xml_has(node, "type", "qemu-vdagent") || xml_has(node, "type", "pty");

	if (!xml_has(node, "type", "qemu-vdagent"))
		remove_children(node, "source");
	remove_children(node, "log");
	return stays;
}

static bool confine_interface(xmlNode *node)
{
	xmlNode *source = only_child(node, "source");

	remove_children(node, "script");
	remove_children(node, "downscript");
	remove_children(node, "backend");
	remove_children(node, "target"); /* the name of a network device of the host */
	xml_unset(node, "trustGuestRxFilters");
	return (xml_has(node, "type", "network") || xml_has(node, "type", "bridge") ||
		xml_has(node, "type", "user") || xml_has(node, "type", "direct")) &&
	       !xml_has(source, "mode", "passthrough");
}

static bool confine_graphics(xmlNode *node, struct omissions *omissions)
{
	xmlNode *listen = xml_child(node, "listen");
	char *address = xml_attribute(node, "listen");

	if (address == NULL)
		address = xml_attribute(listen, "address");
	if (address != NULL && strncmp(address, "127.", 4) != 0 && strcmp(address, "::1") != 0)
		omit(omissions,
		     "graphics listen to this host alone now: a password, if there was one, is in "
		     "no archive");
	free(address);
	remove_children(node, "listen");
	remove_children(node, "gl");
	keep_attributes(node, " type port autoport tlsPort keymap defaultMode sharePolicy ");
	return xml_has(node, "type", "vnc") || xml_has(node, "type", "spice");
}

/* libvirt's own choice is /dev/urandom. */
static bool confine_rng(xmlNode *node)
{
	xmlNode *backend = only_child(node, "backend");
	char *path = xml_content(backend);
	bool known = path == NULL || *path == '\0' || strcmp(path, "/dev/urandom") == 0 ||
		     strcmp(path, "/dev/random") == 0 || strcmp(path, "/dev/hwrng") == 0;

	free(path);
	if (xml_has(backend, "model", "builtin"))
		return true;
	if (known && xml_has(backend, "model", "random"))
		xml_set_content(backend, "");
	return known && xml_has(backend, "model", "random");
}

/* It stays for the sound devices that name it. */
static void confine_audio(xmlNode *node, struct omissions *omissions)
{
	if (xml_has(node, "type", "none") || xml_has(node, "type", "spice"))
		return;
	omit(omissions, "audio goes nowhere now");
	keep_attributes(node, " id ");
	keep_children(node, " ", NULL);
	xml_set(node, "type", "none");
}

/* Whether its state is in a file or a folder matters: swtpm has a format for each. */
static bool confine_tpm(xmlNode *node)
{
	xmlNode *backend = only_child(node, "backend"), *source = only_child(backend, "source");

	if (xml_has(source, "type", "file"))
		keep_attributes(source, " type ");
	else
		xml_remove(source);
	return xml_has(backend, "type", "emulator");
}

static bool confine_disk(xmlNode *node)
{
	keep_attributes(node, disk_attributes);
	keep_children(node, disk_parts, NULL);
	return xml_child(node, "target") != NULL;
}

/* Whether it may stay; what names no file by an attribute of its kind may do so by another. */
static bool confine_device(xmlNode *node, struct omissions *omissions)
{
	if (xml_is(node, "serial") || xml_is(node, "parallel") || xml_is(node, "console")) {
		confine_character(node, omissions);
		return true;
	}
	if (xml_is(node, "channel"))
		return confine_channel(node);
	if (xml_is(node, "interface"))
		return confine_interface(node);
	if (xml_is(node, "graphics"))
		return confine_graphics(node, omissions);
	if (xml_is(node, "rng"))
		return confine_rng(node);
	if (xml_is(node, "tpm"))
		return confine_tpm(node);
	if (xml_is(node, "disk"))
		return confine_disk(node);
	if (xml_is(node, "input"))
		return !xml_has(node, "type", "passthrough") && !xml_has(node, "type", "evdev");
	if (xml_is(node, "memory"))
		return xml_has(node, "model", "dimm");
	if (xml_is(node, "redirdev"))
		return xml_has(node, "type", "spicevmc");
	if (xml_is(node, "audio"))
		confine_audio(node, omissions);
	return true;
}

static void confine_devices(xmlNode *devices, struct omissions *omissions)
{
	xmlNode *next;
	char *emulator, shown[SHOWN_SIZE], kind[SHOWN_SIZE];

	emulator = xml_content(xml_child(devices, "emulator"));
	if (emulator != NULL && strncmp(emulator, "/usr/bin/", 9) != 0 &&
	    strncmp(emulator, "/usr/libexec/", 13) != 0)
		omit(omissions, "emulator %s is left out: it is this host's QEMU now",
		     show(emulator, shown));
	free(emulator);
	remove_children(devices, "emulator");
	keep_children(devices, devices_parts, omissions);
	for (xmlNode *node = devices->children; node != NULL; node = next) {
		char *type = xml_attribute(node, "type");

		next = node->next;
		if (node->type == XML_ELEMENT_NODE) {
			remove_children(node, "seclabel");
			if (!confine_device(node, omissions) || element_names(node)) {
				omit(omissions, "%s%s%s is left out",
				     show((const char *)node->name, kind),
				     type == NULL ? "" : " of type ", show(type, shown));
				xml_remove(node);
			}
		}
		free(type);
	}
}

/* Of a part that is neither the devices nor what the machine boots. */
static bool names_files(xmlNode *node)
{
	if (xml_is(node, "sysinfo")) /* fwcfg reads files */
		return !xml_has(node, "type", "smbios");
	if (xml_is(node, "launchSecurity")) /* keys in base64; a socket is an attribute */
		return names_below(node, true);
	return !is_in(free_texts, node->name) && element_names(node);
}

/* What libvirt and virt-install put into any domain, and is of no effect. */
static void remove_usual(xmlNode *domain)
{
	static const char libosinfo[] = "http://libosinfo.org/";
	xmlNode *metadata = only_child(domain, "metadata");
	xmlNode *resource = only_child(domain, "resource");
	char *partition = xml_content(xml_child(resource, "partition"));
	xmlNode *found = metadata == NULL ? NULL : xml_element(metadata->children);

	if (found == NULL ||
	    (found->ns != NULL && xml_element(found->next) == NULL &&
	     strncmp((const char *)found->ns->href, libosinfo, sizeof(libosinfo) - 1) == 0))
		xml_remove(metadata);
	if (partition != NULL && strcmp(partition, "/machine") == 0)
		xml_remove(resource);
	free(partition);
}

void definition_confine(xmlNode *domain, struct omissions *omissions)
{
	xmlNode *next;
	char shown[SHOWN_SIZE];

	only_child(domain, "devices");
	only_child(domain, "os");
	only_child(domain, "name");
	only_child(domain, "uuid");
	if (xml_child(domain, "seclabel") != NULL)
		omit(omissions, "seclabel is left out: it is what this host's libvirt chooses now");
	remove_children(domain, "seclabel");
	keep_attributes(domain, " type ");
	remove_usual(domain);
	keep_children(domain, domain_parts, omissions);
	for (xmlNode *node = domain->children; node != NULL; node = next) {
		next = node->next;
		if (xml_is(node, "devices"))
			confine_devices(node, omissions);
		else if (xml_is(node, "os"))
			confine_os(node, omissions);
		else if (xml_is(node, "cputune"))
			keep_children(node, cputune_parts, omissions);
		else if (node->type == XML_ELEMENT_NODE && names_files(node)) {
			omit(omissions, "%s is left out: it names files",
			     show((const char *)node->name, shown));
			xml_remove(node);
		}
	}
}
