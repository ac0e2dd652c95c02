import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Definition, KeptMachine } from "../../machine-keeper.ts";
import { FREE_UIDS } from "../confinement.ts";
import {
  isolatedBridgeName,
  type QemuCommand,
  qemuCommand,
  type ServiceHost,
  type Tap,
  tapsOf,
} from "./command.ts";
import { shellWord, unitPath, unitProse } from "./quoting.ts";

/** How long a system has to shut down when the host does. */
const SHUTDOWN_SECONDS = 300;

/** The script that makes the host's ends of the cards. */
export const PLUG = "plug";

/** The first line of the unit, by which it is recognised. */
export function unitMark({ ownerId, agentId }: Pick<KeptMachine, "ownerId" | "agentId">): string {
  return `# Made by Causeway for ${ownerId} on ${agentId}. Changes are lost.`;
}

export function unitName(machineName: string): string {
  return `causeway-${machineName}.service`;
}

/** The files that make a machine a service: a unit, the script that runs QEMU, and those around it. */
export function serviceFiles(
  machine: KeptMachine,
  { folder, unit, host }: { folder: string; unit: string; host: ServiceHost },
): Definition[] {
  const taps = tapsOf(machine);
  return [
    { name: join(folder, "run"), text: runScript(qemuCommand(machine, host), host, uidOf(machine.uuid)) },
    { name: join(folder, "stop"), text: stopScript(uidOf(machine.uuid)) },
    { name: join(folder, PLUG), text: plugScript(machine, taps) },
    { name: join(folder, "unplug"), text: unplugScript(machine, taps) },
    { name: unit, text: unitText(machine, folder, taps.length > 0) },
  ];
}

/** A user of this machine alone, which owns nothing. */
function uidOf(uuid: string): number {
  const number = createHash("sha256").update(uuid).digest().readUInt32BE();
  return FREE_UIDS.first + (number % FREE_UIDS.count);
}

/**
 * Opens the files as root, and runs QEMU as a user who can open nothing. bash, because other shells have no
 * descriptors above 9.
 */
function runScript({ files, args }: QemuCommand, { kvm }: ServiceHost, uid: number): string {
  const groups = kvm ? '--groups "$(stat -c %g /dev/kvm)"' : "--clear-groups";
  return lines(
    "#!/bin/bash",
    "set -eu",
    'cd "$RUNTIME_DIRECTORY"',
    `install -d -m 0700 -o ${uid} -g ${uid} machine`,
    "cd machine",
    "rm -f console screen monitor.in monitor.out",
    "mkfifo -m 0600 monitor.in monitor.out",
    `chown ${uid}:${uid} monitor.in monitor.out`,
    ...files.map(({ fd, path, isWritten }) => `exec ${fd}${isWritten ? "<>" : "<"}${shellWord(path)}`),
    `exec setpriv --reuid ${uid} --regid ${uid} ${groups} --no-new-privs \\`,
    "  --inh-caps=-all --ambient-caps=-all --bounding-set=-all \\",
    `  ${args.map(shellWord).join(" \\\n  ")}`,
  );
}

/**
 * Presses the power button, and again every 20 s, until QEMU ends. systemd limits the time. It does so as
 * QEMU's user, who could have put a link in the button's place.
 */
function stopScript(uid: number): string {
  return lines(
    "#!/bin/bash",
    'cd "$RUNTIME_DIRECTORY/machine" || exit 0',
    'while kill -0 "$MAINPID" 2>/dev/null; do',
    `  setpriv --reuid ${uid} --regid ${uid} --clear-groups bash -c 'echo system_powerdown 1<>monitor.in'`,
    "  for second in {1..20}; do",
    '    kill -0 "$MAINPID" 2>/dev/null || exit 0',
    "    sleep 1",
    "  done",
    "done",
    "exit 0",
  );
}

/**
 * May run again while the machine is on. An end that is not up passes nothing, not even to this host,
 * although the system on the other end sees a cable.
 */
function plugScript(machine: KeptMachine, taps: readonly Tap[]): string {
  const { uuid, isolated, isolatedNetworks } = machine;
  const own = isolatedBridgeName(machine);
  const isAsked = isolated && isolatedNetworks !== undefined;
  return lines(
    "#!/bin/bash",
    // What fails is in the agent's message.
    "exec 2>&1",
    "set -eu",
    ...(isAsked ? isolatedBridgeLines(own) : []),
    ...taps.flatMap(({ name, bridge, vlan }) => [
      `ip link show dev ${name} >/dev/null 2>&1 || ip tuntap add dev ${name} mode tap user ${uidOf(uuid)}`,
      ...(isAsked ? [`ip link set dev ${name} master ${own} up`] : []),
      ...(isolated ? [] : connectLines(name, bridge, vlan)),
    ]),
    ...(isolated ? [] : [`ip link delete dev ${own} 2>/dev/null || true`]),
  );
}

/**
 * A bridge of the machine's cards alone, at which this host takes no part: it has no address there, answers
 * neither ARP nor IPv6, and drops what comes from addresses that it would not look for there.
 */
function isolatedBridgeLines(name: string): string[] {
  const set = (key: string, value: number) =>
    `[ ! -e /proc/sys/net/${key} ] || echo ${value} >/proc/sys/net/${key}`;
  return [
    `ip link show dev ${name} >/dev/null 2>&1 || ip link add dev ${name} type bridge`,
    set(`ipv6/conf/${name}/disable_ipv6`, 1),
    set(`ipv4/conf/${name}/rp_filter`, 1),
    `ip link set dev ${name} arp off up`,
  ];
}

function connectLines(name: string, bridge: string, vlan: number | undefined): string[] {
  return [
    // A bridge forgets the VLANs of what it loses.
    `ip link set dev ${name} nomaster`,
    `ip link set dev ${name} master ${shellWord(bridge)} up`,
    ...(vlan === undefined
      ? []
      : [`bridge vlan del dev ${name} vid 1`, `bridge vlan add dev ${name} vid ${vlan} pvid untagged`]),
  ];
}

function unplugScript(machine: KeptMachine, taps: readonly Tap[]): string {
  const links = [...taps.map(({ name }) => name), isolatedBridgeName(machine)];
  return lines("#!/bin/bash", ...links.map((name) => `ip link delete dev ${name} 2>/dev/null`), "exit 0");
}

function unitText(machine: KeptMachine, folder: string, needsNetwork: boolean): string {
  const script = (name: string) => unitPath(join(folder, name));
  return lines(
    unitMark(machine),
    "[Unit]",
    `Description=Virtual machine ${unitProse(machine.name)}: ${unitProse(machine.title)}`,
    "After=network-online.target",
    "",
    "[Service]",
    "Type=exec",
    `ExecStartPre=${script(PLUG)}`,
    `ExecStart=${script("run")}`,
    `ExecStop=${script("stop")}`,
    `ExecStopPost=${script("unplug")}`,
    `RuntimeDirectory=causeway-${machine.name}`,
    "RuntimeDirectoryMode=0711",
    `TimeoutStopSec=${SHUTDOWN_SECONDS}`,
    "Restart=no",
    "UMask=0077",
    "NoNewPrivileges=yes",
    // It would hide the machine's own files there.
    ...([folder, machine.folder].some(isTemporary) ? [] : ["PrivateTmp=yes"]),
    "ProtectSystem=strict",
    `ReadWritePaths=${unitPath(folder)} ${unitPath(machine.folder)}`,
    ...(needsNetwork ? [] : ["PrivateNetwork=yes"]),
    "DevicePolicy=closed",
    "DeviceAllow=/dev/kvm rw",
    "DeviceAllow=/dev/net/tun rw",
  );
}

function isTemporary(path: string): boolean {
  return ["/tmp/", "/var/tmp/"].some((folder) => `${path}/`.startsWith(folder));
}

function lines(...all: string[]): string {
  return `${all.join("\n")}\n`;
}
