import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { join } from "node:path";
import { lockFolder } from "#shared/data-folder/lock.ts";
import { recordVersion } from "#shared/data-folder/version.ts";
import { readCloudAssembly } from "./assembly/cloud-assembly.ts";
import { LogGroupProvider } from "./assembly/log-group-provider.ts";
import { CognitoProvider } from "./cognito/cognito-provider.ts";
import { UserPools } from "./cognito/user-pools.ts";
import { requireFolderKeys } from "./core/folder-keys.ts";
import { type Randomness, systemRandomness } from "./core/randomness.ts";
import type { Authorizer, Clock, ResourceProvider, Service } from "./core/service.ts";
import { UsageMeter } from "./core/usage.ts";
import { DynamoDbService } from "./dynamodb/dynamodb-service.ts";
import { TableProvider } from "./dynamodb/table-provider.ts";
import { TableStore } from "./dynamodb/table-store.ts";
import { TimeToLive } from "./dynamodb/time-to-live.ts";
import { type Fallback, Gateway } from "./gateway/gateway.ts";
import { HttpApi } from "./http-api/http-api.ts";
import { HttpApiProvider } from "./http-api/http-api-provider.ts";
import { IamProvider } from "./iam/iam-providers.ts";
import { PolicyEvaluator } from "./iam/policy-evaluator.ts";
import { RoleRegistry } from "./iam/role-registry.ts";
import { SessionStore } from "./iam/session-store.ts";
import type { MessageFaults } from "./iot/faults.ts";
import { IotCore } from "./iot/iot-core.ts";
import type { OnRefused } from "./iot/ports.ts";
import { KeyRegistry } from "./kms/key-registry.ts";
import { KeyStore } from "./kms/key-store.ts";
import { KmsProvider } from "./kms/kms-providers.ts";
import { KmsService } from "./kms/kms-service.ts";
import { Lambda } from "./lambda/lambda.ts";
import { LambdaProvider } from "./lambda/lambda-provider.ts";
import { LambdaService } from "./lambda/lambda-service.ts";
import { LogFiles, type LogSink } from "./lambda/log-sink.ts";
import { openS3 } from "./s3/s3.ts";
import type { Faults } from "./s3/s3-service.ts";
import { Scheduler } from "./scheduler/scheduler.ts";
import { SchedulerProvider } from "./scheduler/scheduler-provider.ts";
import { SchedulerService } from "./scheduler/scheduler-service.ts";
import { SnsProvider } from "./sns/sns-provider.ts";
import { SnsService } from "./sns/sns-service.ts";
import { Topics } from "./sns/topics.ts";
import { StatesEngine } from "./states/engine.ts";
import { StateMachineProvider } from "./states/provider.ts";
import { StatesService } from "./states/service.ts";
import { Store } from "./states/store.ts";
import { StsService } from "./sts/sts-service.ts";

export interface CloudOptions {
  /** The output of `cdk synth`. */
  assemblyDir: string;
  /** The data directory. Only one process at a time can use it. */
  dataDir: string;
  clock: Clock;
  /** The program that runs it, recorded in the data directory, which older versions then refuse. */
  program: { name: string; version: string };
  /**
   * The gateway's port. If absent, the first start chooses a free port and later starts keep it, because
   * clients remember it.
   */
  port?: number;
  /**
   * The address to listen on; if absent, loopback. On any other address, the API and the AWS endpoints are
   * plain HTTP, too: see docs/local.md.
   */
  host?: string;
  /** The name or address by which others reach this machine; if absent, `host`. */
  advertisedHost?: string;
  /** If absent, logs are files under `logs/` of the data directory. */
  log?: LogSink;
  randomness?: Randomness;
  /** Called when a device was refused something. */
  onRefused?: OnRefused;
  /** For tests: how S3 and MQTT misbehave. */
  faults?: { s3?: Faults; mqtt?: MessageFaults };
}

/** What every part gets. */
interface Foundation {
  options: CloudOptions;
  /** Closes in the opposite order of opening. */
  opened: AsyncDisposableStack;
  authorizer: Authorizer;
  roles: RoleRegistry;
  log: LogSink;
  meter: UsageMeter;
  /** Logs an error that no caller can receive. */
  report(source: string): (message: string, error: unknown) => void;
  newId(): string;
  /** The gateway's URLs, for this machine and for others. Known once the gateway listens. */
  urls: { inside: string; outside: string };
}

/** Opens every part on the data directory and connects them. Nothing listens, runs or is provisioned yet. */
export async function openParts(options: CloudOptions, opened: AsyncDisposableStack) {
  const foundation = layFoundation(options, opened);
  const { authorizer, roles, urls, log, meter, newId, report } = foundation;
  const { clock } = options;
  const assembly = await readCloudAssembly(options.assemblyDir);
  const stores = await openStores(foundation);
  const keyFile = join(options.dataDir, "cognito", "signing-key.pem");
  const pools = await UserPools.open({ keyFile, clock, newId });

  const gateway = new Gateway({ sessions: roles, clock, log: report("gateway") });
  opened.defer(() => gateway.close());
  const { lambda, iot, states, scheduler } = await openWorkers(foundation);
  const authenticate = (request: IncomingMessage) => gateway.authenticate(request);
  const httpApi = new HttpApi({ lambda, authorizer, authenticate, issuers: pools, clock, newId, log });
  const topics = new Topics({
    onPublished: ({ name }, message) =>
      log.write("sns", { level: "INFO", message: { topic: name, ...message } }),
  });
  const services: Service[] = [
    ...stores.services,
    new StsService(roles),
    new SnsService({ topics, authorizer, clock, newId }),
    new LambdaService({ lambda }),
    new StatesService(states, authorizer),
    new SchedulerService({ scheduler, authorizer }),
    ...iot.services,
  ];
  const fallback: Fallback = async (request, response) => {
    if (!pools.handle(request, response)) await httpApi.handle(request, response);
  };
  const providers: ResourceProvider[] = [
    ...stores.providers,
    new LogGroupProvider(),
    new IamProvider(roles),
    new LambdaProvider({ lambda, assets: assembly.assets }),
    new StateMachineProvider(states),
    new SchedulerProvider({ scheduler }),
    new SnsProvider({ topics }),
    new CognitoProvider({ pools }),
    new HttpApiProvider({ httpApi, issuers: pools, endpoint: () => urls.outside }),
    iot.provider,
  ];
  const { backup } = stores;
  return {
    assembly,
    gateway,
    services: services.map((service) => meter.metered(service)),
    meter,
    fallback,
    iot,
    states,
    scheduler,
    lambda,
    pools,
    providers,
    urls,
    backup,
  };
}

function layFoundation(options: CloudOptions, opened: AsyncDisposableStack): Foundation {
  const { dataDir, clock, randomness = systemRandomness } = options;
  const lock = lockFolder(dataDir, options.program.name, () => new Date(clock.now()));
  opened.defer(() => lock.release());
  requireFolderKeys(dataDir);
  recordVersion(dataDir, options.program.version);
  const meter = new UsageMeter();
  const log = meter.meteredLog(
    options.log ?? new LogFiles({ directory: join(dataDir, "logs"), now: () => clock.now() }),
  );
  const sessions = new SessionStore({ file: join(dataDir, "iam.sqlite"), clock, randomness });
  opened.defer(() => sessions.close());
  const authorizer = new PolicyEvaluator();
  return {
    options,
    opened,
    authorizer,
    roles: new RoleRegistry({ authorizer, sessions }),
    log,
    meter,
    report: (source) => (message, error) =>
      log.write(source, { level: "ERROR", message: { message, error: describe(error) } }),
    newId: randomUUID,
    urls: { inside: "", outside: "" },
  };
}

/** Keys, tables and buckets. */
async function openStores({ options, opened, authorizer, report }: Foundation) {
  const { dataDir, clock, randomness = systemRandomness, faults } = options;
  const keys = new KeyRegistry();
  const keyStore = new KeyStore({ directory: join(dataDir, "kms"), clock, randomness });
  const kms = new KmsService({ keys, store: keyStore, authorizer, randomness });

  const tables = await TableStore.open({ directory: join(dataDir, "dynamodb"), clock });
  opened.defer(() => tables.close());
  const timeToLive = new TimeToLive({ tables, clock, log: report("dynamodb") });
  opened.defer(() => timeToLive.close());

  const reportS3 = report("s3");
  const s3 = await openS3({
    folder: join(dataDir, "s3"),
    clock,
    authorizer,
    keys: kms,
    report: (error) => reportS3("in the background", error),
    ...(faults?.s3 && { faults: faults.s3 }),
  });
  opened.defer(() => s3.service.close());

  const services: Service[] = [kms, new DynamoDbService({ tables, authorizer }), s3.service];
  const providers: ResourceProvider[] = [
    new KmsProvider({ keys, store: keyStore }),
    new TableProvider({ tables, timeToLive }),
    s3.provider,
  ];
  return { services, providers, backup: { directory: dataDir, tables, s3 } };
}

/**
 * Opens the parts that run by themselves: functions, devices' messages, workflows and schedules. They close
 * before the gateway, and the parts that start functions close before the functions. So no part mistakes the
 * closing of another part for a failure.
 */
async function openWorkers(foundation: Foundation) {
  const { options, opened, authorizer, roles, log, meter, report, newId, urls } = foundation;
  const { dataDir, clock, host, advertisedHost, faults } = options;
  const lambda = new Lambda({
    dataDirectory: join(dataDir, "lambda"),
    gatewayUrl: () => urls.inside,
    authorizer,
    roles,
    clock,
    newId,
    log,
    onInvoked: (milliseconds, memoryMiB) => meter.invoked(milliseconds, memoryMiB),
  });
  opened.defer(() => lambda.close());
  const iot = await IotCore.open({
    directory: join(dataDir, "iot"),
    clock,
    authorizer,
    roles,
    lambda: meter.meteredInvoker(lambda, "ruleInvocations"),
    onMessage: (bytes) => meter.message(bytes),
    log: ({ level, ...message }) =>
      log.write("iot", { level: level === "error" ? "ERROR" : "INFO", message }),
    onRefused: options.onRefused ?? (() => {}),
    ...(host !== undefined && { host }),
    ...(advertisedHost !== undefined && { advertisedHost }),
    ...(faults?.mqtt && { faults: faults.mqtt }),
  });
  opened.defer(() => iot.close());
  const reportStates = report("states");
  const states = new StatesEngine({
    store: new Store(join(dataDir, "states.sqlite"), () => meter.add("stateTransitions")),
    clock,
    lambda,
    roles,
    authorizer,
    onFault: (error, executionArn) => reportStates(executionArn, error),
  });
  opened.defer(() => states.close());
  const scheduler = new Scheduler({
    dataDirectory: join(dataDir, "scheduler"),
    authorizer,
    roles,
    lambda: meter.meteredInvoker(lambda, "schedulerInvocations"),
    startExecution: (request) => {
      meter.add("schedulerInvocations");
      return states.startExecution(request);
    },
    clock,
    newId,
    log,
  });
  opened.defer(() => scheduler.close());
  return { lambda, iot, states, scheduler };
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
