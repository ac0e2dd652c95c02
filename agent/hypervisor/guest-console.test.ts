import { expect, test } from "vitest";
import { GuestConsole } from "./guest-console.ts";

const ESC = "\u001b";

function read(chunks: string[], expected?: string): GuestConsole {
  const console = new GuestConsole(expected);
  for (const chunk of chunks) console.append(chunk);
  return console;
}

test("a login prompt means that the system is up, even if it arrives in pieces", () => {
  const console = read(["Debian GNU/Linux 12 web1 ttyS0\r\n\r\n", "web1 lo", "gin: "]);
  expect(console.verdict).toEqual({ kind: "up", reason: "the login prompt appeared" });
  expect(console.stage).toBe("up");
});

test("a message about the last login is not a prompt", () => {
  expect(read(["Last login: Mon Mar  3 10:00:00 on ttyS0\r\n"]).verdict.kind).toBe("undecided");
});

test("with an expected text only that text counts", () => {
  expect(read(["web1 login: "], "database ready").verdict.kind).toBe("undecided");
  expect(read(["web1 login: \r\n", "database ready\r\n"], "database ready").verdict.kind).toBe("up");
});

test("the stages follow the console from the firmware to the services", () => {
  const console = new GuestConsole();
  expect(console.stage).toBe("power-on");
  console.append(`${ESC}c${ESC}[2JSeaBIOS (version 1.16.2)\r\nBooting from Hard Disk...\r\n`);
  expect(console.stage).toBe("firmware");
  console.append(`GRUB loading.\r\n${ESC}[0mWelcome to ${ESC}[04;11H${ESC}[04;12HGRUB!\r\n`);
  expect(console.stage).toBe("boot-loader");
  console.append("[    0.000000] Linux version 6.1.0-28-amd64\r\n");
  expect(console.stage).toBe("kernel");
  console.append(`Welcome to ${ESC}[0;1;31mDebian GNU/Linux 12 (bookworm)${ESC}[0m!\r\n`);
  expect(console.stage).toBe("user-space");
});

test.each([
  ["Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\r\n", "kernel panicked"],
  [
    "Booting from Hard Disk...\r\nBoot failed: not a bootable disk\r\n\r\nNo bootable device.\r\n",
    "nothing to boot",
  ],
  ["BdsDxe: No bootable option or device was found.\r\n", "nothing to boot"],
  [`error: no such device: 8d9c.\r\nEntering rescue mode...\r\ngrub${ESC}[05;06Hrescue> `, "rescue prompt"],
  ["   Minimal BASH-like line editing is supported.\r\ngrub> ", "no configuration"],
  ["ALERT!  UUID=8d9c does not exist.  Dropping to a shell!\r\n(initramfs) ", "root file system"],
  ["You are in emergency mode. After logging in, type journalctl\r\n", "emergency mode"],
])("%j is recognised as a failed boot", (text, reason) => {
  const { verdict } = read([text]);
  expect(verdict).toMatchObject({ kind: "failed", reason: expect.stringContaining(reason) });
});

test("a panic is reported with all of its text, however the text arrives", () => {
  const { verdict } = read(["Kernel panic - not syncing: Atte", "mpted to kill init!\r\n"]);
  expect(verdict).toMatchObject({ kind: "failed", reason: expect.stringContaining("kill init!") });
});

test("the first verdict is final", () => {
  expect(read(["No bootable device.\r\n", "web1 login: "]).verdict.kind).toBe("failed");
});
