import { hostname } from "node:os";
import { join } from "node:path";
import { FolderFileDamagedError } from "#shared/errors.ts";
import type { Log } from "#shared/log.ts";
import { createApiClient } from "#shared/protocol/client.ts";
import type { EnrollableRole } from "#shared/protocol/common.ts";
import { commandKeyOf } from "#shared/protocol/message-signature.ts";
import { Agent } from "./agent.ts";
import { openAgentCloud } from "./cloud/agent-cloud.ts";
import { type EnrolOptions, enrol } from "./identity/enrol.ts";
import { type Identity, identityFile, type Settings, settingsFile } from "./identity/identity.ts";
import { LocalBootMachine } from "./machine/boot-machine.ts";
import { readBootId } from "./machine/system.ts";
import { ImageTrust } from "./restart/image-trust.ts";
import type { Role } from "./roles/role.ts";
import { sourceRole } from "./roles/source.ts";
import { targetRole } from "./roles/target.ts";

const roles: Record<EnrollableRole, Role> = { source: sourceRole, target: targetRole };

/** With what a machine becomes an agent. */
export type FirstStart = Pick<EnrolOptions, "url" | "token" | "role">;

export interface SetupOptions {
  /** The agent's own folder, which exists. */
  dataDir: string;
  /** Replaces what an earlier start was told. */
  settings: Partial<Settings>;
  /** From now on start only boot images signed with this key: Ed25519, PEM. */
  trustImageKeyPem?: string | undefined;
  /** Asked only if the folder holds no identity yet. */
  firstStart: () => FirstStart | Promise<FirstStart>;
  onRetry: NonNullable<EnrolOptions["onRetry"]>;
  random: () => number;
}

/** An agent as it is kept in its folder. */
export interface Setup {
  dataDir: string;
  identity: Identity;
  settings: Settings;
  imageTrust: ImageTrust;
  /** It was enrolled just now. */
  enrolled: boolean;
}

/** Reads the agent's folder; at the first start it enrols, and keeps what it was given there. Throws the API's typed errors. */
export async function setUpAgent(options: SetupOptions): Promise<Setup> {
  const { dataDir, trustImageKeyPem } = options;
  const settings = await changeSettings(dataDir, options.settings);
  const known = await readIdentity(dataDir);
  const identity = known ?? (await enrolNow(options));
  const imageTrust = new ImageTrust(dataDir, identity.enrolment.bootImageKeyPem);
  if (trustImageKeyPem) await imageTrust.trust(trustImageKeyPem);
  return { dataDir, identity, settings, imageTrust, enrolled: !known };
}

/** Throws `FolderFileDamagedError` for an identity that this version cannot use. */
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
        "An agent that was enrolled before commands were signed knows no key to check them with. " +
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

async function enrolNow({ dataDir, firstStart, onRetry, random }: SetupOptions): Promise<Identity> {
  const { url, token, role } = await firstStart();
  const name = hostname();
  const identity = await enrol({ api: createApiClient({ url }), url, token, role, name, random, onRetry });
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

/** The agent of a machine's own system, in the role that it was enrolled for. */
export async function installedAgent(options: InstalledAgentOptions): Promise<Agent> {
  const { identity, dataDir, version, log, now, random } = options;
  const machine = new LocalBootMachine();
  const cloud = openAgentCloud(identity, { now, random });
  return new Agent({
    ...{ identity, cloud, version, dataDir, log, now, random },
    ...(await roles[identity.role]({ ...options, cloud, machine })),
    environment: "original",
    bootId: () => readBootId(machine),
  });
}
