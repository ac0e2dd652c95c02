import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { QemuService } from "../hypervisor/qemu/service/qemu-service.ts";
import { keptMachine } from "../hypervisor/testing/kept-machine.ts";
import { ScriptedSystemd } from "../hypervisor/testing/scripted-systemd.ts";
import { chatteringDisk } from "../hypervisor/testing/tiny-guest.ts";
import { LeaseGuard } from "./lease-guard.ts";
import { isMachineStopped, signalMachine } from "./machine-processes.ts";
import { uptimeMs } from "./uptime.ts";

let dir: string;
let uuid: string;
let processes: ChildProcess[];
let calls: string[];
let guard: LeaseGuard;

const machine = () => ({ ownerId: "rcv_1", name: "pine-1", uuid });
const script = () => join(dir, "scripts/rcv_1/guard");
/** What a process does: `S` sleeps, `T` is stopped. */
const stateOf = ({ pid }: ChildProcess) => readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1]?.[0];

/** A process with the words of QEMU that name its machine. */
function aMachine(ofUuid = uuid): ChildProcess {
  const child = spawn("bash", ["-c", "while :; do sleep 1; done", "qemu", "-uuid", ofUuid]);
  processes.push(child);
  return child;
}

/** As systemd starts it. */
function startGuard(): ChildProcess {
  const child = spawn(script());
  processes.push(child);
  return child;
}

beforeEach(() => {
  // A name that a shell would read in another way.
  dir = mkdtempSync(join(tmpdir(), "causeway it's $(x) "));
  uuid = randomUUID();
  processes = [];
  calls = [];
  const systemctl = async (...args: string[]) => {
    calls.push(args.join(" "));
    return "";
  };
  const places = { scriptsDir: join(dir, "scripts"), unitsDir: dir, deadlinesDir: join(dir, "deadlines") };
  guard = new LeaseGuard({ ...places, systemctl });
});
afterEach(() => {
  for (const child of processes) child.kill("SIGKILL");
  rmSync(dir, { recursive: true, force: true });
});

test("a machine runs as long as its lease, and is paused within seconds after it, without any agent", async () => {
  const [own, other] = [aMachine(), aMachine(randomUUID())];
  await guard.install(machine());
  const untilMs = uptimeMs() + 4000;
  await guard.extend(machine(), untilMs);
  startGuard();
  await expect.poll(() => stateOf(own), { timeout: 15_000, interval: 20 }).toBe("T");
  // Rounded down to a second, and at most five seconds late.
  expect(uptimeMs()).toBeGreaterThan(untilMs - 1100);
  expect(uptimeMs()).toBeLessThan(untilMs + 5000);
  expect(stateOf(other)).toBe("S");
  expect(await isMachineStopped(uuid)).toBe(true);
  await signalMachine(uuid, "SIGKILL");
  await expect.poll(() => isMachineStopped(uuid)).toBe(false);
});

test("a machine that someone lets run again without a lease is paused again, and with one it stays on", async () => {
  const own = aMachine();
  await guard.install(machine());
  await guard.extend(machine(), 0);
  startGuard();
  for (let times = 0; times < 2; times++) {
    await expect.poll(() => stateOf(own), { timeout: 10_000 }).toBe("T");
    expect(await signalMachine(uuid, "SIGCONT")).toEqual([own.pid]);
  }
  await guard.extend(machine(), uptimeMs() + 60_000);
  await signalMachine(uuid, "SIGCONT");
  await new Promise((resolve) => setTimeout(resolve, 2500));
  expect(stateOf(own)).toBe("S");
});

test("after a restart of the host there is no deadline, so the machine is paused, also if it was started by hand", async () => {
  await guard.install(machine());
  startGuard();
  const own = aMachine();
  await expect.poll(() => stateOf(own), { timeout: 10_000 }).toBe("T");
});

test("the guard is a service that starts with the host and again after it was killed, until it is removed", async () => {
  await guard.install(machine());
  const unit = readFileSync(join(dir, "causeway-lease-rcv_1.service"), "utf8");
  expect(unit).toContain("Restart=always");
  expect(unit).toContain("WantedBy=multi-user.target");
  expect(unit).toMatch(/^Before=.*\blibvirt-guests\.service$/m);
  expect(calls).toEqual([
    "daemon-reload",
    "enable causeway-lease-rcv_1.service",
    "restart causeway-lease-rcv_1.service",
  ]);
  await guard.extend(machine(), 1000);
  await guard.remove(machine());
  await guard.remove(machine());
  expect(calls.slice(3)).toEqual(["disable --now causeway-lease-rcv_1.service", "daemon-reload"]);
  expect(existsSync(script())).toBe(false);
  expect(readdirSync(join(dir, "deadlines"))).toEqual([]);
});

test("a guard is on disk, whole, before systemd learns of it", async () => {
  await using folder = await open(dir);
  const sync = vi.spyOn(Object.getPrototypeOf(folder), "sync").mockImplementation(async () => {
    calls.push("to disk");
  });
  await guard.install(machine()).finally(() => sync.mockRestore());
  // Each of the two files, and its name in its folder.
  expect(calls.slice(0, 5)).toEqual(["to disk", "to disk", "to disk", "to disk", "daemon-reload"]);
});

test("two machines of one name, of two hypervisors, each have a guard of their own", async () => {
  const other = { ...machine(), ownerId: "rcv_2", uuid: randomUUID() };
  await guard.install(machine());
  await guard.install(other);
  await guard.remove(machine());
  expect(existsSync(script())).toBe(false);
  expect(readFileSync(join(dir, "causeway-lease-rcv_2.service"), "utf8")).toContain("scripts/rcv_2/guard");
  await guard.remove(other);
  expect(calls.at(-2)).toBe("disable --now causeway-lease-rcv_2.service");
});

// Only root can give QEMU a user of its own.
test.runIf(process.getuid?.() === 0)(
  "a real machine computes nothing while its lease has lapsed, and continues where it was after a renewal",
  async () => {
    const dirs = { unitsDir: join(dir, "units"), runtimeDir: join(dir, "run") };
    for (const folder of Object.values(dirs)) mkdirSync(folder);
    const systemd = new ScriptedSystemd(dirs);
    const keeper = new QemuService({
      ...dirs,
      systemctl: systemd.systemctl,
      scriptsDir: join(dir, "machines"),
    });
    const path = join(dir, "sda.raw");
    writeFileSync(path, chatteringDisk());
    const kept = keptMachine({
      ...{ hypervisor: "qemu", folder: dir, uuid, bootDisk: "sda" },
      disks: [{ name: "sda", path, format: "raw" }],
    });
    await guardedFor(60_000);
    await keeper.define(kept);
    await keeper.start(kept);
    const terminal = await keeper.openConsole(kept);
    let characters = 0;
    terminal.output.on("data", (text: string) => {
      characters += text.length;
    });
    const writesMore = async () => {
      const before = characters;
      await new Promise((resolve) => setTimeout(resolve, 700));
      return characters > before;
    };
    await expect.poll(writesMore, { timeout: 30_000 }).toBe(true);
    await guard.extend(machine(), 0);
    await expect.poll(writesMore, { timeout: 10_000 }).toBe(false);
    expect(await keeper.power(kept)).toBe("on");
    await guard.extend(machine(), uptimeMs() + 60_000);
    expect(await signalMachine(uuid, "SIGCONT")).toEqual([systemd.pid]);
    await expect.poll(writesMore, { timeout: 10_000 }).toBe(true);
    // As an operator ends one whose lease has lapsed.
    await signalMachine(uuid, "SIGKILL");
    await expect.poll(() => keeper.power(kept)).toBe("off");
    terminal.close();
  },
);

async function guardedFor(ms: number): Promise<void> {
  await guard.install(machine());
  await guard.extend(machine(), uptimeMs() + ms);
  startGuard();
}
