import { hostname } from "node:os";
import { join } from "node:path";
import { FolderFileDamagedError, OfAnotherMachineError } from "#shared/errors.ts";
import type { Log } from "#shared/log.ts";
import { createApiClient } from "#shared/protocol/client.ts";
import type { EnrollableRole } from "#shared/protocol/common.ts";
import { commandKeyOf } from "#shared/protocol/message-signature.ts";
import { Agent } from "./agent.ts";
import { openAgentCloud } from "./cloud/agent-cloud.ts";
import { type EnrolOptions, enrol } from "./identity/enrol.ts";
import { type Identity, identityFile, type Settings, settingsFile } from "./identity/identity.ts";
import { LocalBootMachine } from "./machine/boot-machine.ts";
import type { Machine } from "./machine/machine.ts";
import { readMachineMarker } from "./machine/machine-marker.ts";
import { readBootId } from "./machine/system.ts";
import { ImageTrust } from "./restart/image-trust.ts";
import type { Role } from "./roles/role.ts";
import { sourceRole } from "./roles/source.ts";
import { targetRole } from "./roles/target.ts";

const roles: Record<EnrollableRole, Role> = { source: sourceRole, target: targetRole };

/** What a machine enrols with. */
export type FirstStart = Pick<EnrolOptions, "url" | "token" | "role">;

export interface SetupOptions {
  /** The agent's own folder, which exists. */
  dataDir: string;
  /** The machine that the agent runs on. */
  machine: Pick<Machine, "read" | "list">;
  /** Replaces these settings of an earlier start. */
  settings: Partial<Settings>;
  /** From now on starts only boot images signed with this key: Ed25519, PEM. */
  trustImageKeyPem?: string | undefined;
  /** Called only if the folder holds no identity yet. */
  firstStart: () => FirstStart | Promise<FirstStart>;
  onRetry: NonNullable<EnrolOptions["onRetry"]>;
  random: () => number;
}

/** An agent as its folder describes it. */
export interface Setup {
  dataDir: string;
  identity: Identity;
  settings: Settings;
  imageTrust: ImageTrust;
  /** Whether this start enrolled it. */
  enrolled: boolean;
}

/**
 * Reads the agent's folder. At the first start it enrols, and keeps the identity there. Throws the API's
 * typed errors, and `OfAnotherMachineError` in a copy of the machine that was enrolled; it has then changed
 * nothing and contacted no other machine.
 */
export async function setUpAgent(options: SetupOptions): Promise<Setup> {
  const { dataDir, trustImageKeyPem } = options;
  const machineMarker = await readMachineMarker(options.machine);
  const known = await readIdentity(dataDir);
  if (known && known.machineMarker !== machineMarker)
    throw new OfAnotherMachineError({ dataDir, enrolledOn: known.machineMarker, found: machineMarker });
  const settings = await changeSettings(dataDir, options.settings);
  const identity = known ?? (await enrolNow(options, machineMarker));
  const imageTrust = new ImageTrust(dataDir, identity.enrolment.bootImageKeyPem);
  if (trustImageKeyPem) await imageTrust.trust(trustImageKeyPem);
  return { dataDir, identity, settings, imageTrust, enrolled: !known };
}

/** Throws `FolderFileDamagedError` if this version cannot use the identity. */
async function readIdentity(dataDir: string): Promise<Identity | undefined> {
  return identityFile(dataDir)
    .read()
    .then((identity) => {
      if (identity) commandKeyOf(identity.enrolment.commandKeyPem);
      return identity;
    })
    .catch((error: NodeJS.ErrnoException) => {
      if (error.syscall !== undefined) throw error;
      throw new FolderFileDamagedError(
        join(dataDir, "identity.json"),
        "the identity of an agent of this version",
        "An agent that was enrolled before commands were signed has no key to check them with. " +
          "Move the file away and enrol again with --role, --url and --enrol; or put it back from a backup.",
      );
    });
}

async function changeSettings(dataDir: string, changes: Partial<Settings>): Promise<Settings> {
  const file = settingsFile(dataDir);
  const settings = { disks: [], ...(await file.read()), ...changes };
  await file.write(settings);
  return settings;
}

async function enrolNow(
  { dataDir, firstStart, onRetry, random }: SetupOptions,
  machineMarker: string | undefined,
): Promise<Identity> {
  const { url, token, role } = await firstStart();
  const name = hostname();
  const enrolled = await enrol({ api: createApiClient({ url }), url, token, role, name, random, onRetry });
  const identity = { ...enrolled, machineMarker };
  await identityFile(dataDir).write(identity);
  return identity;
}

export interface InstalledAgentOptions
  extends Pick<Setup, "dataDir" | "identity" | "settings" | "imageTrust"> {
  version: string;
  log: Log;
  now: () => Date;
  random: () => number;
}

/** The agent of a machine's original system, in the role it was enrolled for. */
export async function installedAgent(options: InstalledAgentOptions): Promise<Agent> {
  const { identity, dataDir, version, log, now, random } = options;
  const machine = new LocalBootMachine();
  const cloud = openAgentCloud(identity, { now, random, log });
  return new Agent({
    ...{ identity, cloud, version, dataDir, log, now, random },
    ...(await roles[identity.role]({ ...options, cloud, machine })),
    environment: "original",
    bootId: () => readBootId(machine),
  });
}
