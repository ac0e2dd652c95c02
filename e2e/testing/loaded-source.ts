/** A source under a steady write load: an agent, its disks, and a service that a cutover stops. */
import { copyFile, mkdir, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { SystemdHost } from "../machines/systemd-host.ts";
import { CONNECT_LIMIT_MS, type Installation } from "../site/installation.ts";
import { HostedAgent } from "./hosted-agent.ts";
import { runTool } from "./run-tool.ts";
import { TINY_SYSTEM_PORT } from "./tiny-system.ts";
import { until } from "./until.ts";

const MIB = 2 ** 20;
const LOOK_EVERY_MS = 250;
const SERVICE = join(import.meta.dirname, "loaded-service.ts");
/** What a cutover stops, the address last. */
const SERVICES = ["loaded.service", "loaded-address.service"];

export interface Load {
  diskMiB: number;
  bytesPerSecond: number;
  /** The part of the disk that is written to. */
  areaMiB: number;
  /** How long the service takes to stop. */
  stopSeconds: number;
}

export class LoadedSource implements AsyncDisposable {
  readonly id: string;
  readonly agent: HostedAgent;
  readonly #parts: AsyncDisposableStack;

  private constructor(id: string, agent: HostedAgent, parts: AsyncDisposableStack) {
    this.id = id;
    this.agent = agent;
    this.#parts = parts;
  }

  /**
   * `system`: the disk that the machine starts from, which is copied. The other one is a loop device with a
   * mounted file system. `address`: where the service answers, on this `link` of the host.
   */
  static async start(
    name: string,
    given: {
      installation: Installation;
      host: SystemdHost;
      system: string;
      address: string;
      link: string;
      load: Load;
    },
  ): Promise<LoadedSource> {
    const { installation, host, system, ...service } = given;
    await using parts = new AsyncDisposableStack();
    const dir = join(installation.dir, `${name}-disks`);
    await mkdir(dir);
    parts.defer(() => rm(dir, { recursive: true }));
    await copyFile(system, join(dir, "system.raw"));
    const device = await loopDevice(parts, join(dir, "data.raw"), service.load.diskMiB);
    const on = (line: string) => host.shell(line);
    const mountPoint = `/srv/${name}`;
    await on(`mkdir -p ${mountPoint}; ${nodeOf(device)}; mount -o noatime ${device} ${mountPoint}`);
    parts.defer(async () => {
      await on(`umount ${mountPoint}`);
    });
    await startService(on, { installation, ...service, mountPoint });
    parts.defer(async () => {
      await on(`systemctl stop ${SERVICES.join(" ")}`);
    });
    const disks = ["--disk", `system=${join(dir, "system.raw")}`, "--disk", `data=${device}`];
    const fenced = SERVICES.flatMap((service) => ["--fence-service", service]);
    const before = new Set((await installation.api.listSources({})).items.map(({ id }) => id));
    await installation.enrol(name, "source", [...disks, ...fenced], host.enter);
    const agent = new HostedAgent(name, installation, host);
    parts.defer(() => agent.leave());
    const id = await until(
      "the source",
      async () =>
        (await installation.api.listSources({})).items.find(
          (one) => !before.has(one.id) && one.presence === "connected" && one.inventory,
        )?.id,
      CONNECT_LIMIT_MS / 1000,
    );
    return new LoadedSource(id, agent, parts.move());
  }

  /** After a cutover whose machine is gone: a person at its console breaks its fence. */
  async serveAgain(): Promise<void> {
    await this.agent.leave();
    this.agent.start();
    const { api } = this.agent.installation;
    const hasRight = async () => {
      const { state } = await api.getLease({ parameters: { id: this.id } });
      return state === "none" || undefined;
    };
    await until("the lease to end", hasRight, CONNECT_LIMIT_MS / 1000, LOOK_EVERY_MS);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.disposeAsync();
  }
}

async function loopDevice(parts: AsyncDisposableStack, image: string, sizeMiB: number): Promise<string> {
  await writeFile(image, "");
  await truncate(image, sizeMiB * MIB);
  const device = (await runTool("losetup", "--find", "--show", image)).trim();
  parts.defer(async () => {
    await runTool("losetup", "--detach", device);
  });
  await runTool("mkfs.ext4", "-q", "-b", "4096", device);
  return device;
}

/** A container has none of this computer's devices. */
function nodeOf(device: string): string {
  return `[ -e ${device} ] || mknod ${device} b 7 ${device.replace("/dev/loop", "")}`;
}

async function startService(
  on: (line: string) => Promise<string>,
  given: { installation: Installation; address: string; link: string; load: Load; mountPoint: string },
): Promise<void> {
  const { installation, address, link, load, mountPoint } = given;
  const numbers = [TINY_SYSTEM_PORT, load.bytesPerSecond, load.areaMiB * MIB, load.stopSeconds];
  const units = {
    [SERVICES[0] ?? ""]: [
      "[Unit]",
      `After=${SERVICES[1]}`,
      "[Service]",
      `ExecStart=${process.execPath} ${SERVICE} ${mountPoint} ${address} ${numbers.join(" ")}`,
    ],
    [SERVICES[1] ?? ""]: [
      "[Service]",
      "Type=oneshot",
      "RemainAfterExit=yes",
      `ExecStart=ip address replace ${address}/32 dev ${link}`,
      `ExecStop=ip address delete ${address}/32 dev ${link}`,
    ],
  };
  for (const [unit, lines] of Object.entries(units)) {
    await writeFile(join(installation.dir, unit), `${lines.join("\n")}\n`);
    await on(`cp ${join(installation.dir, unit)} /etc/systemd/system/`);
  }
  await on(`systemctl daemon-reload; systemctl reset-failed; systemctl start ${SERVICES.join(" ")}`);
}
