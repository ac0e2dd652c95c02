import { once } from "node:events";
import { mkdir, readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join, resolve } from "node:path";
import { Agent } from "#agent/agent.ts";
import { keyFingerprint } from "#agent/boot-image/signature.ts";
import { linuxAdapters } from "#agent/boot-loaders/choose.ts";
import { openAgentCloud } from "#agent/cloud/agent-cloud.ts";
import { usedExtentsOf } from "#agent/filesystems/disk-usage.ts";
import { enrol } from "#agent/identity/enrol.ts";
import { type Identity, identityFile, type Settings, settingsFile } from "#agent/identity/identity.ts";
import { standsStill } from "#agent/inventory/disks.ts";
import { collectInventory } from "#agent/inventory/inventory.ts";
import { jsonLog, type Log } from "#agent/log.ts";
import { LocalBootMachine } from "#agent/machine/boot-machine.ts";
import { readBootId } from "#agent/machine/system.ts";
import { describeArming } from "#agent/remote-cold/arming.ts";
import { ImageTrust } from "#agent/remote-cold/image-trust.ts";
import { restartMachine } from "#agent/remote-cold/restart-machine.ts";
import { Restarter } from "#agent/remote-cold/restarter.ts";
import { sourceExecutors } from "#agent/roles/source.ts";
import { targetExecutors } from "#agent/roles/target.ts";
import { settle } from "#agent/threads/lean-process.ts";
import { createApiClient } from "#shared/protocol/client.ts";
import { DiskName, EnrollableRole } from "#shared/protocol/common.ts";
import { urlOption } from "../api.ts";
import { type Call, type Command, choiceOption, requiredOption, textOption } from "../command.ts";
import { UsageError } from "../errors.ts";
import { duration } from "../units.ts";
import { version } from "../version.ts";

export const agent: Command = {
  name: "agent",
  summary: "Runs an agent on this machine, in the foreground",
  usage:
    "agent --data DIR [--role source|target --url URL --enrol TOKEN] [--disk NAME=PATH]... [--images DIR] [--trust-boot-image-key FILE]",
  help: [
    ["--data DIR", "the agent's identity and journals; later starts need only this"],
    ["--role ROLE", "at the first start: source or target"],
    ["--url URL", "at the first start: the control plane's API"],
    ["--enrol TOKEN", "at the first start: a token of `causeway enrol-token`"],
    [
      "--disk NAME=PATH",
      "source: only these disks, image files or devices; may be repeated (default: the machine's disks)",
    ],
    ["--images DIR", "target: where virtual disks are written (default: DIR/images)"],
    [
      "--trust-boot-image-key FILE",
      "source: from now on start only boot images signed with this key; a public key in PEM (default: as enrolled)",
    ],
  ],
  examples: [
    "causeway agent --role source --url https://api.example.com --enrol TOKEN --data /var/lib/causeway-agent",
    "causeway agent --role target --url http://127.0.0.1:8080 --enrol TOKEN --data ./target --images /srv/images",
    "causeway agent --data /var/lib/causeway-agent",
  ],
  options: {
    data: { type: "string" },
    role: { type: "string" },
    url: { type: "string" },
    enrol: { type: "string" },
    disk: { type: "string", multiple: true },
    images: { type: "string" },
    "trust-boot-image-key": { type: "string" },
  },
  positionals: [],
  async run(call) {
    const dataDir = resolve(requiredOption(call, "data", this.name));
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    // Before the token is used up.
    const imageKey = await imageKeyOf(call);
    const settings = await settingsOf(call, dataDir);
    const known = await identityFile(dataDir).read();
    const identity = known ?? (await enrolNow(call, dataDir));
    const imageTrust = new ImageTrust(dataDir, identity.enrolment.bootImageKeyPem);
    if (imageKey) await imageTrust.trust(imageKey);
    await compileThreads();
    settle(process, { enrolled: !known });
    const imagesDir = settings.imagesDir ?? join(dataDir, "images");
    const log = jsonLog(call.terminal.err, () => new Date());
    const running = await compose({ identity, settings, dataDir, imagesDir, imageTrust, log });
    log.info("agent started", { agentId: identity.enrolment.agentId, role: identity.role, version });
    const stopped = Promise.race([once(process, "SIGTERM"), once(process, "SIGINT")]).then(() =>
      running.stop(),
    );
    await running.run();
    await stopped;
  },
};

/** No thread has to compile its modules, which takes 25 MiB in each: they are in the cache, as these are. */
async function compileThreads(): Promise<void> {
  await import("#agent/capture/capture-worker.ts");
  await import("#agent/restore/restore-worker.ts");
}

async function enrolNow(call: Call, dataDir: string): Promise<Identity> {
  const role = choiceOption(call, "role", EnrollableRole.options, "agent");
  const url = urlOption(call, "agent");
  const token = textOption(call, "enrol");
  if (!role || !url || !token) {
    throw new UsageError(
      `${dataDir} holds no identity yet: the first start needs --role, --url and --enrol`,
      "agent",
    );
  }
  const identity = await enrol({
    api: createApiClient({ url }),
    url,
    token,
    role,
    name: hostname(),
    random: Math.random,
    onRetry: (error, delayMs) =>
      call.terminal.err(`not enrolled: ${error.message}; asking again in ${duration(delayMs / 1000)}\n`),
  });
  await identityFile(dataDir).write(identity);
  return identity;
}

/** What the command line says, else what an earlier start was told. */
async function settingsOf(call: Call, dataDir: string): Promise<Settings> {
  const file = settingsFile(dataDir);
  const before = (await file.read()) ?? { disks: [] };
  const disks = (call.values.disk as string[] | undefined)?.map(diskOf);
  const images = textOption(call, "images");
  const settings = {
    ...before,
    ...(disks ? { disks } : {}),
    ...(images ? { imagesDir: resolve(images) } : {}),
  };
  await file.write(settings);
  return settings;
}

function diskOf(text: string): Settings["disks"][number] {
  const at = text.indexOf("=");
  const name = DiskName.safeParse(text.slice(0, at));
  if (at < 1 || !name.success || at === text.length - 1)
    throw new UsageError(`--disk takes NAME=PATH, not ${text}`, "agent");
  return { name: name.data, path: resolve(text.slice(at + 1)) };
}

/** The public key in the file that was named, and only that: the private one, given by mistake, is not copied. */
async function imageKeyOf(call: Call): Promise<string | undefined> {
  const path = textOption(call, "trust-boot-image-key");
  if (!path) return undefined;
  const refuse = (why: string) =>
    new UsageError(`--trust-boot-image-key takes the public key: ${why}`, "agent");
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    throw refuse(String(error));
  });
  if (text.includes("PRIVATE KEY")) throw refuse(`${path} holds a private one`);
  try {
    keyFingerprint(text);
  } catch {
    throw refuse(`${path} holds no Ed25519 key in PEM`);
  }
  return text;
}

interface Parts {
  identity: Identity;
  settings: Settings;
  dataDir: string;
  imagesDir: string;
  imageTrust: ImageTrust;
  log: Log;
}

async function compose({ identity, settings, dataDir, imagesDir, imageTrust, log }: Parts): Promise<Agent> {
  const machine = new LocalBootMachine();
  const now = () => new Date();
  const cloud = openAgentCloud(identity, { now, random: Math.random });
  const hypervisor = identity.role === "target" ? { imagesPath: imagesDir } : {};
  const takeInventory = async () => {
    const inventory = await collectInventory({ machine, now, chosenDisks: settings.disks, ...hypervisor });
    if (identity.role === "target") return inventory;
    const arming = await describeArming(linuxAdapters(machine));
    const trustedImageKey = await imageTrust.fingerprint();
    return { ...inventory, bootLoader: { ...inventory.bootLoader, arming, trustedImageKey } };
  };
  const bootId = () => readBootId(machine);
  const restarter = new Restarter({
    bootId: await bootId(),
    restart: () => restartMachine(machine),
    onError: (error) => log.error("could not restart the machine", { error: String(error) }),
  });
  const executors =
    identity.role === "target"
      ? targetExecutors({ identity, cloud, imagesDir, takeInventory })
      : sourceExecutors({
          identity,
          cloud,
          version,
          dataDir,
          machine,
          restarter,
          takeInventory,
          trustImageKey: (publicKeyPem) => imageTrust.require(publicKeyPem),
          disks: async () =>
            (await takeInventory()).disks.map((disk) => ({ ...disk, consistent: standsStill(disk) })),
          usedExtents: ({ path }) => usedExtentsOf(path),
          now,
        });
  return new Agent({
    identity,
    version,
    dataDir,
    executors,
    takeInventory,
    environment: "original",
    bootId,
    onAcknowledged: (commandId) => restarter.acknowledged(commandId),
    onCancelled: (commandId) => restarter.cancelled(commandId),
    log,
    now,
    random: Math.random,
  });
}
