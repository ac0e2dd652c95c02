/** Which commands without data leave a disk as it is: the eBPF programs' own table, compiled here. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { tool, toolOutput } from "../filesystems/testing/test-image.ts";

const HEADER = join(import.meta.dirname, "native/commands.h");
const PROGRAM = `
#include <stdlib.h>
#include <string.h>
#include "${HEADER}"
int main(int count, char **arguments)
{
	__u8 command[COMMAND_BYTES] = {};
	for (int i = 2; i < count; i++)
		command[i - 2] = strtoul(arguments[i], 0, 16);
	return !(*arguments[1] == 'n' ? nvme_only_asks(command[0]) : scsi_only_asks(command));
}`;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "commands-"));
  writeFileSync(join(folder, "main.c"), PROGRAM);
  tool("gcc", "-Wall", "-Werror", "-o", join(folder, "main"), join(folder, "main.c"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const onlyAsks = (kind: "scsi" | "nvme", command: string) =>
  toolOutput(join(folder, "main"), kind, ...command.split(" ")).status === 0;

const ata16 = (command: string) => `85 06 20 00 00 00 00 00 00 00 00 00 00 00 ${command} 00`;
const ata12 = (command: string) => `a1 06 20 00 00 00 00 00 00 ${command} 00 00`;

test.each<["scsi" | "nvme", string, string]>([
  ["scsi", "TEST UNIT READY, as a program that polls sends it", "00 00 00 00 00 00"],
  ["scsi", "SYNCHRONIZE CACHE", "35 00 00 00 00 00 00 00 00 00"],
  ["scsi", "START STOP UNIT", "1b 00 00 00 01 00"],
  ["scsi", "CHECK POWER MODE, as smartd sends it", ata16("e5")],
  ["scsi", "SMART RETURN STATUS, as smartd sends it", ata16("b0")],
  ["scsi", "CHECK POWER MODE, as hdparm sends it to old bridges", ata12("e5")],
  ["nvme", "FLUSH", "00"],
  ["nvme", "VERIFY", "0c"],
])("%s: %s leaves the disk as it is", (kind, _, command) => {
  expect(onlyAsks(kind, command)).toBe(true);
});

test.each<["scsi" | "nvme", string, string]>([
  ["scsi", "FORMAT UNIT", "04 00 00 00 00 00"],
  ["scsi", "WRITE SAME (16) without a buffer", "93 09 00 00 00 00 00 00 00 00 00 00 ff ff 00 00"],
  ["scsi", "SANITIZE", "48 03 00 00 00 00 00 00 00 00"],
  ["scsi", "ATA SANITIZE DEVICE", ata16("b4")],
  ["scsi", "ATA ZERO EXT", ata16("44")],
  ["scsi", "ATA WRITE UNCORRECTABLE EXT", ata16("45")],
  ["scsi", "ATA SECURITY ERASE PREPARE", ata12("f3")],
  ["scsi", "a command that is not known", "c1 00 00 00 00 00"],
  ["nvme", "WRITE ZEROES", "08"],
  ["nvme", "WRITE UNCORRECTABLE", "04"],
  ["nvme", "a command of a vendor", "c0"],
])("%s: %s may change the disk", (kind, _, command) => {
  expect(onlyAsks(kind, command)).toBe(false);
});
