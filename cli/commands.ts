import type { Command } from "./command.ts";
import { agent } from "./commands/agent.ts";
import { audit } from "./commands/audit.ts";
import { cancel } from "./commands/cancel.ts";
import { conversions } from "./commands/conversions.ts";
import { convert } from "./commands/convert.ts";
import { enrolToken } from "./commands/enrol-token.ts";
import { points } from "./commands/points.ts";
import { repoCheck } from "./commands/repo-check.ts";
import { restore } from "./commands/restore.ts";
import { revoke } from "./commands/revoke.ts";
import { sources } from "./commands/sources.ts";
import { targets } from "./commands/targets.ts";
import { up } from "./commands/up.ts";

/** Every subcommand, in the order of a first use. */
export const commands: Command[] = [
  up,
  enrolToken,
  agent,
  sources,
  targets,
  convert,
  conversions,
  cancel,
  points,
  restore,
  repoCheck,
  revoke,
  audit,
];
