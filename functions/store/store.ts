import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { AgentStore } from "./agents.ts";
import { AlarmStore } from "./alarms.ts";
import { AuditStore } from "./audit.ts";
import { BootImageStore } from "./boot-images.ts";
import { CheckStore } from "./checks.ts";
import { CollectionStore } from "./collections.ts";
import { CommandStore } from "./commands.ts";
import { ConversionStore } from "./conversions.ts";
import { CutoverStore } from "./cutovers.ts";
import { DrillStore } from "./drills.ts";
import { DynamoTable } from "./dynamo-table.ts";
import { EnrolmentRequestStore } from "./enrolment-requests.ts";
import { EnrolmentTokenStore } from "./enrolment-tokens.ts";
import { LeaseStore } from "./leases.ts";
import { OwnerStore } from "./owners.ts";
import { PlanStore } from "./plans.ts";
import { RecoveryStore } from "./recoveries.ts";
import { RecoveryPointStore } from "./recovery-points.ts";
import { ReservationStore } from "./reservations.ts";
import { RunStore } from "./runs.ts";
import type { Table } from "./table.ts";
import { WebhookStore } from "./webhook.ts";

export interface Store {
  agents: AgentStore;
  tokens: EnrolmentTokenStore;
  enrolmentRequests: EnrolmentRequestStore;
  conversions: ConversionStore;
  commands: CommandStore;
  owners: OwnerStore;
  plans: PlanStore;
  runs: RunStore;
  drills: DrillStore;
  checks: CheckStore;
  recoveries: RecoveryStore;
  cutovers: CutoverStore;
  leases: LeaseStore;
  points: RecoveryPointStore;
  bootImages: BootImageStore;
  collections: CollectionStore;
  alarms: AlarmStore;
  webhook: WebhookStore;
  audit: AuditStore;
  reservations: ReservationStore;
}

/** Everything that the control plane stores. `random` returns the given number of random bytes. */
export function openStore(
  client: DynamoDBClient,
  tableName: string,
  random: (length: number) => Uint8Array,
): Store {
  return storeOn(new DynamoTable(client, tableName), random);
}

/** The same on any table. */
export function storeOn(table: Table, random: (length: number) => Uint8Array): Store {
  const commands = new CommandStore(table);
  const conversions = new ConversionStore(table, commands);
  const runs = new RunStore(table, commands);
  const drills = new DrillStore(table, commands);
  const checks = new CheckStore(table, commands);
  const recoveries = new RecoveryStore(table, commands);
  const cutovers = new CutoverStore(table, commands);
  return {
    agents: new AgentStore(table),
    tokens: new EnrolmentTokenStore(table),
    enrolmentRequests: new EnrolmentRequestStore(table),
    conversions,
    commands,
    owners: new OwnerStore({ conversions, runs, drills, checks, recoveries, cutovers }),
    plans: new PlanStore(table),
    runs,
    drills,
    checks,
    recoveries,
    cutovers,
    leases: new LeaseStore(table),
    points: new RecoveryPointStore(table),
    bootImages: new BootImageStore(table),
    collections: new CollectionStore(table),
    alarms: new AlarmStore(table),
    webhook: new WebhookStore(table),
    audit: new AuditStore(table, random),
    reservations: new ReservationStore(table),
  };
}
