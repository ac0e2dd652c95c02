import { expect, test } from "vitest";
import { adaptedFiles } from "./testing/a-system.ts";

const KEY = "/etc/ssh/ssh_host_ed25519_key";
const identity = {
  "/etc/machine-id": "6c0d3f0d5a0b4b7e9d2f4a1c8e7b6a59\n",
  "/var/lib/dbus/machine-id": "6c0d3f0d5a0b4b7e9d2f4a1c8e7b6a59\n",
  [KEY]: "private",
  [`${KEY}.pub`]: "public",
};

test("machine id and host keys are kept unless new ones are wanted", () => {
  expect(adaptedFiles({ files: identity })).toEqual({ files: {}, notes: [], commands: [] });
});

test("a new machine id is made at the next start, and new host keys by the system's own program", () => {
  const { files, commands } = adaptedFiles({ files: identity }, { machineId: "new", hostKeys: "new" });
  expect(files).toEqual({
    "/etc/machine-id": "",
    "/var/lib/dbus/machine-id": null,
    [KEY]: null,
    [`${KEY}.pub`]: null,
  });
  expect(commands).toEqual(["ssh-keygen -A"]);
});

test("in a drill the Causeway agent, clusters and monitoring stay off, and nothing else", () => {
  const units = [
    "causeway-agent.service",
    "corosync.service",
    "zabbix-agent.service",
    "ssh.service",
    "postgresql.service",
  ];
  const { files } = adaptedFiles({ units }, { purpose: "drill" });
  expect(Object.keys(files)).toEqual([
    "/etc/systemd/system/causeway-agent.service.d/causeway-drill.conf",
    "/etc/systemd/system/corosync.service.d/causeway-drill.conf",
    "/etc/systemd/system/zabbix-agent.service.d/causeway-drill.conf",
  ]);
  expect(new Set(Object.values(files))).toEqual(new Set(["[Unit]\nConditionPathExists=!/\n"]));
  expect(adaptedFiles({ units }, { purpose: "production" }).files).toEqual({});
});

test("a system that enforces SELinux labels its new files at its next start, and a note says so", () => {
  const enforcing = { "/etc/selinux/config": "# x\nSELINUX=enforcing\nSELINUXTYPE=targeted\n" };
  const units = ["corosync.service"];
  const drilled = adaptedFiles({ files: enforcing, units }, { purpose: "drill" });
  expect(drilled.files["/.autorelabel"]).toBe("");
  expect(drilled.notes).toEqual([expect.stringContaining("labels all files at the first start")]);
  const permissive = { "/etc/selinux/config": "SELINUX=permissive\n" };
  const { files, notes } = adaptedFiles({ files: permissive, units }, { purpose: "drill" });
  expect(Object.keys(files)).not.toContain("/.autorelabel");
  expect(notes).toEqual([]);
});

test("files that exist keep their labels, so changing only these marks nothing for SELinux", () => {
  const files = {
    "/etc/selinux/config": "SELINUX=enforcing\n",
    "/etc/fstab": "/dev/sda2 / xfs defaults 0 0\n",
  };
  const adapted = adaptedFiles({ files });
  expect(Object.keys(adapted.files)).toEqual(["/etc/fstab"]);
  expect(adapted.notes).toEqual([]);
});
