/** The fence of a source under a real systemd, in a container with units like those of public bug reports. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { SystemdHost } from "../machines/systemd-host.ts";
import { runTool } from "../testing/run-tool.ts";

const KEEPER = join(import.meta.dirname, "../../agent/fence/fence-keeper.ts");
const SYSTEMCTL = join(import.meta.dirname, "../../agent/hypervisor/qemu/service/systemctl.ts");
const LISTED = ["db.service", "web.service", "address.service"];
const RUN = "ExecStart=/bin/sleep infinity";
const UNITS: Record<string, string> = {
  // Only groups its clusters, as Debian's postgresql.service does.
  "db.service":
    "[Unit]\nWants=db@main.service\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true",
  "db@.service": `[Unit]\nPartOf=db.service\n[Service]\nRestart=always\n${RUN}`,
  // A stop of the database stops it, too.
  "app.service": `[Unit]\nRequires=db.service\nAfter=db.service\n[Service]\n${RUN}`,
  "web.socket": "[Socket]\nListenStream=/run/web.sock",
  "web.service": `[Service]\n${RUN}`,
  "address.service":
    "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=ip address replace 203.0.113.7/32 dev lo\nExecStop=ip address delete 203.0.113.7/32 dev lo",
  // An administrator's edit that forgets the conditions of all files before it.
  "web.service.d/override.conf": "[Unit]\nConditionPathExists=",
};
const STARTED = [
  "db.service",
  "db@main.service",
  "app.service",
  "web.socket",
  "web.service",
  "address.service",
];

let folder: string;
let host: SystemdHost;
const on = (...command: string[]) => {
  const [program = "", ...words] = [...host.enter, ...command];
  return runTool(program, ...words);
};
const shell = (line: string) => on("sh", "-c", line);

/** Calls the agent's own code there, as an agent that has just started would. */
async function fence(call: string): Promise<Record<string, unknown>> {
  const script = `
    import { FenceKeeper } from ${JSON.stringify(KEEPER)};
    import { localSystemctl } from ${JSON.stringify(SYSTEMCTL)};
    const keeper = new FenceKeeper({ dataDir: "/var/lib/fence-test", systemctl: localSystemctl, now: () => new Date() });
    console.log(JSON.stringify((await keeper.${call}) ?? {}));`;
  return JSON.parse(await on(process.execPath, "--input-type=module", "-e", script));
}
const set = (fields: object, listed: readonly string[] = LISTED) =>
  fence(
    `set(${JSON.stringify({ term: 1, lasting: true, mustBeUp: false, reason: "a test", ...fields })}, ${JSON.stringify(listed)})`,
  );
const states = async () =>
  Object.fromEntries(
    await Promise.all(
      STARTED.map(async (unit) => [unit, (await shell(`systemctl is-active ${unit} || true`)).trim()]),
    ),
  );
const all = (state: string) => Object.fromEntries(STARTED.map((unit) => [unit, state]));

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "causeway-fence-host-"));
  host = await SystemdHost.start(folder);
}, 120_000);
afterAll(async () => {
  // The container has this computer's network.
  await shell("systemctl stop address.service");
  await host?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

beforeEach(async () => {
  await shell(
    "rm -rf /var/lib/fence-test /etc/causeway/fenced /run/causeway/fenced; mkdir -p /var/lib/fence-test",
  );
  for (const [name, text] of Object.entries(UNITS)) {
    const path = `/etc/systemd/system/${name}`;
    await shell(`mkdir -p $(dirname ${path}); printf '%b\\n' '${text.replaceAll("\n", "\\n")}' > ${path}`);
  }
  await shell(`systemctl daemon-reload; systemctl reset-failed; systemctl start ${STARTED.join(" ")}`);
  expect(await states()).toEqual(all("active"));
});

const tryToStart = () => shell(`systemctl start ${STARTED.join(" ")} || true`);

test("while it is fenced, nothing that is listed runs or can be started, its parts, sockets and dependents included", async () => {
  expect(await set({ isUp: true, lasting: false })).toMatchObject({
    isUp: true,
    lasting: false,
    unstopped: [],
  });
  await tryToStart();
  const { "app.service": dependent, ...others } = await states();
  expect(others).toEqual({
    ...others,
    ...Object.fromEntries(Object.keys(others).map((unit) => [unit, "inactive"])),
  });
  expect(dependent).toBeDefined();
  expect(await shell("ls /etc/causeway/fenced /etc/systemd/system/*/zzz* 2>/dev/null || true")).toBe("");
  expect(await shell("ip -brief address show lo")).not.toContain("203.0.113.7");
});

test("a fence that lasts is in /etc, and the way back starts everything that ran", async () => {
  await set({ isUp: true, lasting: false });
  expect(await set({ isUp: true, mustBeUp: true })).toMatchObject({ isUp: true, lasting: true });
  expect(await shell("cat /etc/causeway/fenced")).toBe("1\n");
  await tryToStart();
  expect(await shell("systemctl is-active db@main.service || true")).toBe("inactive\n");
  await set({ isUp: false });
  expect(await states()).toEqual(all("active"));
  expect(await shell("ip -brief address show lo")).toContain("203.0.113.7");
});

test("a service whose processes outlive its stop is named, and is not quiet until they have ended", async () => {
  const line = "sleep 600 & echo $$! >/run/left.pid; exec sleep 600";
  const unit = `[Service]\nKillMode=process\nExecStart=/bin/sh -c "${line}"`;
  const path = "/etc/systemd/system/left.service";
  await shell(`printf '%s\n' '${unit}' > ${path}; systemctl daemon-reload; systemctl start left.service`);
  const quiet = { isUp: true, lasting: false };
  try {
    await expect(set(quiet, ["left.service"])).rejects.toThrow(
      /left\.service \(it has stopped, but processes/,
    );
    await expect(set({ ...quiet, mustBeUp: true }, [])).rejects.toThrow("FenceInterruptedError");
  } finally {
    await shell("kill $(cat /run/left.pid)");
  }
  expect(await set(quiet, ["left.service"])).toMatchObject({ isUp: true, unstopped: [] });
  await set({ isUp: false }, []);
  expect((await shell("systemctl is-active left.service")).trim()).toBe("active");
  await shell(`systemctl stop left.service; kill $(cat /run/left.pid); rm ${path}`);
});

test("a service that someone started past the fence keeps it from lasting, and the way back names the socket that cannot start beside it", async () => {
  await set({ isUp: true, lasting: false });
  await shell("rm /run/causeway/fenced; systemctl start web.service");
  await expect(set({ isUp: true, mustBeUp: true })).rejects.toThrow("FenceInterruptedError");
  await expect(set({ isUp: false })).rejects.toThrow("web.socket");
  expect(await states()).toEqual({
    ...all("active"),
    "web.socket": expect.stringMatching(/inactive|failed/),
  });
});
