/* Makes every checksum of a changed archive right again, so that what lies behind them is reached.
 */
#ifndef TESTS_UNIT_REPAIR_H
#define TESTS_UNIT_REPAIR_H

#include <stddef.h>
#include <stdint.h>

/* In place; stops where nothing can be made of the bytes. Either format. */
void repair_archive(uint8_t *bytes, size_t size);
/* One head, or the header of one section of a VMAB or VMA, that begins here. */
void repair_head(uint8_t *bytes, size_t size);
void repair_section(uint8_t *bytes, size_t size);

#endif
