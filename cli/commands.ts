import type { CliCommand } from "./command.ts";
import { agent } from "./commands/agent.ts";
import { alarms, alarmsClear, alarmsTest } from "./commands/alarms.ts";
import { approve } from "./commands/approve.ts";
import { audit } from "./commands/audit.ts";
import { backup } from "./commands/backup.ts";
import { bootImagesList } from "./commands/boot-images-list.ts";
import { bootImagesUpload } from "./commands/boot-images-upload.ts";
import { browse } from "./commands/browse.ts";
import { cancel } from "./commands/cancel.ts";
import { collectGarbage } from "./commands/collect-garbage.ts";
import { conversions } from "./commands/conversions.ts";
import { convert } from "./commands/convert.ts";
import {
  cutoverActions,
  cutoverApprove,
  cutoverCreate,
  cutoverEdit,
  cutoverForecast,
  cutovers,
} from "./commands/cutover.ts";
import { cutoverShow } from "./commands/cutover-show.ts";
import { drill } from "./commands/drill.ts";
import { drills } from "./commands/drills.ts";
import { enrolToken } from "./commands/enrol-token.ts";
import { enrolmentRequests } from "./commands/enrolment-requests.ts";
import { fence, fenceBreak } from "./commands/fence.ts";
import { lease } from "./commands/lease.ts";
import {
  machine,
  machineAdapt,
  machineDefine,
  machineRemove,
  machineStart,
  machineStop,
} from "./commands/machine.ts";
import { planCommand } from "./commands/plan.ts";
import { plans } from "./commands/plans.ts";
import { points } from "./commands/points.ts";
import { preflight } from "./commands/preflight.ts";
import { protect } from "./commands/protect.ts";
import { prune } from "./commands/prune.ts";
import { receipt } from "./commands/receipt.ts";
import { recover } from "./commands/recover.ts";
import { recoveries } from "./commands/recoveries.ts";
import { repoCheck } from "./commands/repo-check.ts";
import { restore } from "./commands/restore.ts";
import { revoke } from "./commands/revoke.ts";
import { sources } from "./commands/sources.ts";
import { targets } from "./commands/targets.ts";
import { up } from "./commands/up.ts";
import { webhook, webhookRemove, webhookSet } from "./commands/webhook.ts";

/** Every subcommand, in the order of a first use. */
export const commands: CliCommand[] = [
  up,
  backup,
  enrolToken,
  agent,
  enrolmentRequests,
  approve,
  sources,
  targets,
  bootImagesUpload,
  bootImagesList,
  preflight,
  convert,
  conversions,
  cancel,
  receipt,
  // The first command whose words match runs, so the longer names come first.
  machineDefine,
  machineAdapt,
  machineStart,
  machineStop,
  machineRemove,
  machine,
  protect,
  plans,
  planCommand,
  points,
  drill,
  drills,
  recover,
  recoveries,
  cutoverCreate,
  cutoverShow,
  cutoverEdit,
  cutoverForecast,
  cutoverApprove,
  ...cutoverActions,
  cutovers,
  lease,
  prune,
  collectGarbage,
  restore,
  browse,
  repoCheck,
  fenceBreak,
  fence,
  revoke,
  alarmsTest,
  alarmsClear,
  alarms,
  webhookSet,
  webhookRemove,
  webhook,
  audit,
];
