import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { keyFingerprint } from "#agent/boot-image/signature.ts";
import { requireReadable } from "#agent/disk/require-readable.ts";
import type { Settings } from "#agent/identity/identity.ts";
import { type FirstStart, installedAgent, setUpAgent } from "#agent/installed-agent.ts";
import { LocalMachine } from "#agent/machine/machine.ts";
import { IMAGES_FOLDER } from "#agent/roles/target.ts";
import { restartOnce } from "#agent/threads/lean-process.ts";
import { thawLeftFrozen } from "#agent/tracking/left-frozen.ts";
import { lockFolder } from "#shared/data-folder/lock.ts";
import { makeFolder } from "#shared/data-folder/make-folder.ts";
import { makePrivateFolder } from "#shared/data-folder/private-folder.ts";
import { recordVersion } from "#shared/data-folder/version.ts";
import { jsonLog } from "#shared/log.ts";
import { EnrollableRole } from "#shared/protocol/common.ts";
import { ServiceName } from "#shared/protocol/fence.ts";
import { DiskName, NAMES_DIFFER, namesDiffer } from "#shared/protocol/ids.ts";
import { duration } from "#shared/units.ts";
import { urlOption } from "../api.ts";
import { type CliCall, type CliCommand, choiceOption, requiredOption, textOption } from "../command.ts";
import { UsageError } from "../errors.ts";
import { secretOption } from "../secret-option.ts";
import { version } from "../version.ts";

export const agent: CliCommand = {
  name: "agent",
  summary: "Runs an agent on this machine, in the foreground",
  usage:
    "agent --data DIR [--role source|target --url URL --enrol-file FILE] [--disk NAME=PATH]... [--fence-service NAME.service]... [--images DIR] [--boot-image DIR] [--trust-boot-image-key FILE]",
  help: [
    ["--data DIR", "the agent's identity and journals; later starts need only this option"],
    ["--role ROLE", "at the first start: source or target"],
    ["--url URL", "at the first start: the control plane's API"],
    [
      "--enrol-file FILE",
      "at the first start: file that holds a token of `causeway enrol-token` (default: CAUSEWAY_ENROL_TOKEN)",
    ],
    [
      "--enrol -",
      "reads it from standard input; a token given on the command line can be read by every user of this machine",
    ],
    [
      "--disk NAME=PATH",
      "source: only these disks, image files or devices; can be repeated (default: the machine's disks)",
    ],
    [
      "--fence-service NAME.service",
      "source: kept down while a machine runs in this source's place; can be repeated (default: none)",
    ],
    ["--images DIR", "target: folder for virtual disks (default: DIR/images)"],
    ["--boot-image DIR", "target: folder of a boot image, in which it adapts systems (`machine adapt`)"],
    [
      "--trust-boot-image-key FILE",
      "source: from now on start only boot images signed with this key; a public key in PEM (default: the key given at enrolment)",
    ],
  ],
  examples: [
    "causeway agent --role source --url https://api.example.com --enrol-file token --data /var/lib/causeway-agent",
    "causeway enrol-token --role target | causeway agent --role target --url http://127.0.0.1:8080 --enrol - --data ./target",
    "causeway agent --data /var/lib/causeway-agent",
  ],
  options: {
    data: { type: "string" },
    role: { type: "string" },
    url: { type: "string" },
    enrol: { type: "string" },
    "enrol-file": { type: "string" },
    disk: { type: "string", multiple: true },
    "fence-service": { type: "string", multiple: true },
    images: { type: "string" },
    "boot-image": { type: "string" },
    "trust-boot-image-key": { type: "string" },
  },
  positionals: [],
  async run(call) {
    const dataDir = resolve(requiredOption(call, "data", this.name));
    for (const line of await thawLeftFrozen(dataDir)) call.terminal.err(`${line}\n`);
    makePrivateFolder(dataDir, [IMAGES_FOLDER]);
    const now = () => new Date();
    using _lock = lockFolder(dataDir, "causeway agent", now);
    recordVersion(dataDir, version);
    // Before the token is used up.
    const trustImageKeyPem = await imageKeyOf(call);
    const settings = settingsOf(call);
    for (const disk of settings.disks ?? []) await requireReadable(disk);
    if (settings.imagesDir !== undefined) makeFolder(settings.imagesDir);
    const { enrolled, ...setup } = await setUpAgent({
      dataDir,
      machine: new LocalMachine(),
      settings,
      trustImageKeyPem,
      firstStart: () => firstStartOf(call, dataDir),
      random: Math.random,
      onRetry: (error, delayMs) =>
        call.terminal.err(`not enrolled yet: ${error.message}; retrying in ${duration(delayMs / 1000)}\n`),
    });
    await compileThreads();
    restartOnce(process, { enrolled });
    const log = jsonLog({ write: call.terminal.err, now: () => now().getTime() });
    const running = await installedAgent({ ...setup, version, log, now, random: Math.random });
    const { role, enrolment } = setup.identity;
    log.info("agent started", { agentId: enrolment.agentId, role, version });
    const stopped = Promise.race([once(process, "SIGTERM"), once(process, "SIGINT")]).then(() =>
      running.stop(),
    );
    await running.run();
    await stopped;
  },
};

/**
 * The worker threads use these compiled modules from the cache; compiling them takes 25 MiB in each thread.
 */
async function compileThreads(): Promise<void> {
  await import("#agent/capture/capture-worker.ts");
  await import("#agent/restore/restore-worker.ts");
}

function firstStartOf(call: CliCall, dataDir: string): FirstStart {
  const role = choiceOption(call, "role", EnrollableRole.options, "agent");
  const url = urlOption(call, "agent");
  const token = secretOption(call, { option: "enrol", variable: "CAUSEWAY_ENROL_TOKEN", command: "agent" });
  if (!role || !url || !token) {
    throw new UsageError(
      `${dataDir} holds no identity yet: the first start needs --role, --url and --enrol-file`,
      "agent",
    );
  }
  return { role, url, token };
}

/** The settings on the command line; the others stay as an earlier start set them. */
function settingsOf(call: CliCall): Partial<Settings> {
  const disks = (call.values.disk as string[] | undefined)?.map(diskOf);
  if (disks && !namesDiffer(disks)) throw new UsageError(`--disk: ${NAMES_DIFFER}`, "agent");
  const images = textOption(call, "images");
  const services = (call.values["fence-service"] as string[] | undefined)?.map(serviceOf);
  const bootImage = textOption(call, "boot-image");
  return {
    ...(disks ? { disks } : {}),
    ...(images ? { imagesDir: resolve(images) } : {}),
    ...(bootImage ? { bootImageDir: resolve(bootImage) } : {}),
    ...(services ? { fencedServices: services } : {}),
  };
}

function serviceOf(text: string): string {
  const name = ServiceName.safeParse(text);
  if (!name.success) throw new UsageError(`--fence-service takes NAME.service, not ${text}`, "agent");
  return name.data;
}

function diskOf(text: string): Settings["disks"][number] {
  const at = text.indexOf("=");
  const name = DiskName.safeParse(text.slice(0, at));
  if (at < 1 || !name.success || at === text.length - 1)
    throw new UsageError(`--disk takes NAME=PATH, not ${text}`, "agent");
  return { name: name.data, path: resolve(text.slice(at + 1)) };
}

/** Returns the public key in the named file. A private key, given by mistake, is refused and not copied. */
async function imageKeyOf(call: CliCall): Promise<string | undefined> {
  const path = textOption(call, "trust-boot-image-key");
  if (!path) return undefined;
  const refuse = (why: string) =>
    new UsageError(`--trust-boot-image-key takes the public key: ${why}`, "agent");
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    throw refuse(String(error));
  });
  if (text.includes("PRIVATE KEY")) throw refuse(`${path} holds a private key`);
  try {
    keyFingerprint(text);
  } catch {
    throw refuse(`${path} holds no Ed25519 key in PEM`);
  }
  return text;
}
