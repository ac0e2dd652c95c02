import type { Log } from "#shared/log.ts";
import type { AgentOptions } from "../agent.ts";
import type { AgentCloud } from "../cloud/agent-cloud.ts";
import type { Identity, Settings } from "../identity/identity.ts";
import type { BootMachine } from "../machine/boot-machine.ts";
import type { ImageTrust } from "../restart/image-trust.ts";

/** What a role is composed from: this machine, the agent's identity and its settings. */
export interface RoleOptions {
  identity: Identity;
  settings: Settings;
  imageTrust: ImageTrust;
  cloud: AgentCloud;
  machine: BootMachine;
  version: string;
  dataDir: string;
  log: Log;
  now: () => Date;
}

/** What an installed agent can do in its role. Each role is one file. */
export type Role = (
  options: RoleOptions,
) => Promise<
  Pick<
    AgentOptions,
    "executors" | "takeInventory" | "seen" | "brokenFence" | "onAcknowledged" | "onCancelled" | "onStart"
  >
>;
