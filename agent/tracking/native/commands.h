/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
 * Commands that programs send to a disk themselves (SG_IO, NVMe passthrough), without data. Many only ask: those that
 * tools for monitoring send every few minutes are here. Whatever is not here may have changed the disk, as WRITE SAME
 * without a buffer, SANITIZE and FORMAT UNIT do. */
#ifndef CAUSEWAY_COMMANDS_H
#define CAUSEWAY_COMMANDS_H

#include <linux/types.h>

#define COMMAND_BYTES 16 /* of a command's start */

static inline __attribute__((always_inline)) int ata_only_asks(__u8 command)
{
	switch (command) {
	case 0x00: /* NOP */
	case 0x27: /* READ NATIVE MAX ADDRESS EXT */
	case 0x40: case 0x42: /* READ VERIFY SECTORS */
	case 0x90: /* EXECUTE DEVICE DIAGNOSTIC */
	case 0x94 ... 0x99: /* power, of old disks */
	case 0xb0: /* SMART */
	case 0xe0 ... 0xe3: case 0xe5: case 0xe6: /* STANDBY, IDLE, CHECK POWER MODE, SLEEP */
	case 0xe7: case 0xea: /* FLUSH CACHE */
	case 0xef: /* SET FEATURES */
	case 0xf5: /* SECURITY FREEZE LOCK */
	case 0xf8: /* READ NATIVE MAX ADDRESS */
		return 1;
	}
	return 0;
}

static inline __attribute__((always_inline)) int scsi_only_asks(const __u8 *command)
{
	switch (command[0]) {
	case 0x00: /* TEST UNIT READY */
	case 0x01: /* REZERO UNIT */
	case 0x03: case 0x12: case 0x1a: case 0x4d: case 0x5a: /* REQUEST SENSE, INQUIRY, MODE SENSE, LOG SENSE of no bytes */
	case 0x0b: case 0x2b: /* SEEK */
	case 0x16: case 0x17: case 0x56: case 0x57: /* RESERVE, RELEASE */
	case 0x1b: /* START STOP UNIT */
	case 0x1d: /* SEND DIAGNOSTIC: a self-test */
	case 0x1e: /* PREVENT ALLOW MEDIUM REMOVAL */
	case 0x2f: case 0x8f: case 0xaf: /* VERIFY */
	case 0x34: case 0x90: /* PRE-FETCH */
	case 0x35: case 0x91: /* SYNCHRONIZE CACHE */
		return 1;
	case 0x85: /* ATA PASS-THROUGH (16) */
		return ata_only_asks(command[14]);
	case 0xa1: /* ATA PASS-THROUGH (12) */
		return ata_only_asks(command[9]);
	}
	return 0;
}

static inline __attribute__((always_inline)) int nvme_only_asks(__u8 opcode)
{
	return opcode == 0x00 /* FLUSH */ || opcode == 0x0c /* VERIFY */;
}

#endif
