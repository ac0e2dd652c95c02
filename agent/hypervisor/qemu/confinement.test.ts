import { expect, test } from "vitest";
import { confined } from "./confinement.ts";

const bounds = { addressSpaceBytes: 1000, fileBytes: 500 };
const ALL = (1n << 41n) - 1n;

test("root gives up its user id, its capabilities and its network", () => {
  const command = confined(["qemu"], bounds, { uid: 0, pid: 607, capabilities: ALL }).join(" ");
  expect(command).toMatch(
    /^unshare --net --ipc .*--reuid 60579 --regid 60579 --clear-groups --bounding-set=-all/,
  );
  expect(command).toMatch(/--as=1000 --fsize=500 --nproc=256 /);
  expect(command).toMatch(/ qemu$/);
});

test("root in a container, and an agent that is not root, give up what they have", () => {
  const inContainer = confined(["qemu"], bounds, { uid: 0, pid: 1, capabilities: ALL & ~(1n << 21n) });
  expect(inContainer).not.toContain("unshare");
  expect(inContainer).toContain("--reuid");
  const unprivileged = confined(["qemu"], bounds, { uid: 1000, pid: 1, capabilities: 0n });
  expect(unprivileged).not.toContain("unshare");
  expect(unprivileged).not.toContain("--reuid");
  expect(unprivileged.join(" ")).not.toContain("--nproc");
  expect(unprivileged).toContain("--no-new-privs");
});
