/** The functions that the workflows of cutovers and of their runs call, by the names in the definitions. */
import * as abandonRun from "../tasks/abandon-run.ts";
import * as awaitCutoverStart from "../tasks/await-cutover-start.ts";
import * as beginCutoverRun from "../tasks/begin-cutover-run.ts";
import * as dispatchCommand from "../tasks/dispatch-command.ts";
import * as endCutover from "../tasks/end-cutover.ts";
import * as endCutoverRun from "../tasks/end-cutover-run.ts";
import * as finishCutover from "../tasks/finish-cutover.ts";
import * as finishRun from "../tasks/finish-run.ts";
import * as moveCutoverLease from "../tasks/move-cutover-lease.ts";
import * as recordProof from "../tasks/record-proof.ts";
import * as recordRecoveryPoint from "../tasks/record-recovery-point.ts";
import * as rollBackCutover from "../tasks/roll-back-cutover.ts";
import * as startCutover from "../tasks/start-cutover.ts";

export const TASKS = {
  AwaitCutoverStart: awaitCutoverStart,
  StartCutover: startCutover,
  BeginCutoverRun: beginCutoverRun,
  EndCutoverRun: endCutoverRun,
  MoveCutoverLease: moveCutoverLease,
  FinishCutover: finishCutover,
  RollBackCutover: rollBackCutover,
  EndCutover: endCutover,
  DispatchCommand: dispatchCommand,
  RecordProof: recordProof,
  RecordRecoveryPoint: recordRecoveryPoint,
  FinishRun: finishRun,
  AbandonRun: abandonRun,
} as const;
