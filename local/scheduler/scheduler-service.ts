import * as z from "zod";
import { AwsError, UnsupportedError } from "../core/aws-error.ts";
import type { Authorizer, Caller, Service, ServiceRequest, ServiceResponse } from "../core/service.ts";
import { decodeSegment, renderRestJsonError } from "../lambda/rest-json.ts";
import { parseInput, ScheduleDefinition, type ScheduleKey, ScheduleName, scheduleArn } from "./schedule.ts";
import type { StoredSchedule } from "./schedule-store.ts";
import type { Scheduler } from "./scheduler.ts";

const Input = ScheduleDefinition.extend({
  GroupName: ScheduleName.default("default"),
  ClientToken: z.string().max(64).optional(),
});
const ListQuery = z.strictObject({
  ScheduleGroup: ScheduleName.optional(),
  NamePrefix: z.string().default(""),
  State: z.enum(["ENABLED", "DISABLED"]).optional(),
  MaxResults: z.coerce.number().pipe(z.int().min(1).max(100)).default(100),
  NextToken: z.string().optional(),
});
const NextToken = z.tuple([z.string(), z.string()]);

/** The wire API of EventBridge Scheduler: create, update, get, delete and list schedules. */
export class SchedulerService implements Service {
  readonly name = "scheduler";
  readonly #scheduler: Scheduler;
  readonly #authorizer: Authorizer;

  constructor(options: { scheduler: Scheduler; authorizer: Authorizer }) {
    this.#scheduler = options.scheduler;
    this.#authorizer = options.authorizer;
  }

  async handle(request: ServiceRequest): Promise<ServiceResponse> {
    const { method, path, query } = request;
    if (path === "/schedules" && method === "GET") return this.#list(request.caller, query);
    const encodedName = /^\/schedules\/([^/]+)$/.exec(path)?.[1];
    if (encodedName === undefined) throw new UnsupportedError(`${method} ${path} of EventBridge Scheduler`);
    const name = parseInput(ScheduleName, decodeSegment(encodedName));
    if (method === "POST" || method === "PUT") return this.#put(request, name);
    const group = query.get("groupName") ?? "default";
    if (method === "GET") return this.#get(request.caller, { group, name });
    if (method === "DELETE") return this.#delete(request.caller, { group, name });
    throw new UnsupportedError(`${method} ${path} of EventBridge Scheduler`);
  }

  renderError(error: unknown): ServiceResponse {
    return renderRestJsonError(error);
  }

  /** Does nothing: the caller closes the scheduler, which it passed in. */
  async close(): Promise<void> {}

  async #put(request: ServiceRequest, name: string): Promise<ServiceResponse> {
    const { caller } = request;
    const input = parseInput(Input, parseBody(await request.readBody(1024 * 1024)));
    const { GroupName: group, ClientToken: clientToken, ...definition } = input;
    const key = { group, name };
    const isNew = request.method === "POST";
    this.#authorize(caller, isNew ? "CreateSchedule" : "UpdateSchedule", key);
    if (isNew) this.#scheduler.create(key, definition, { caller, ...(clientToken && { clientToken }) });
    else this.#scheduler.update(key, definition, { caller });
    return json({ ScheduleArn: scheduleArn(key) });
  }

  #get(caller: Caller, key: ScheduleKey): ServiceResponse {
    this.#authorize(caller, "GetSchedule", key);
    return json(describe(this.#scheduler.get(key)));
  }

  #delete(caller: Caller, key: ScheduleKey): ServiceResponse {
    this.#authorize(caller, "DeleteSchedule", key);
    this.#scheduler.delete(key);
    return json({});
  }

  #list(caller: Caller, query: URLSearchParams): ServiceResponse {
    const {
      ScheduleGroup,
      NamePrefix,
      State,
      MaxResults,
      NextToken: token,
    } = parseInput(ListQuery, Object.fromEntries(query));
    this.#authorize(caller, "ListSchedules", { group: ScheduleGroup ?? "*", name: "*" });
    const found = this.#scheduler.store.list({
      namePrefix: NamePrefix,
      after: token === undefined ? { group: "", name: "" } : decodeToken(token),
      limit: MaxResults + 1,
      ...(ScheduleGroup !== undefined && { group: ScheduleGroup }),
      ...(State !== undefined && { state: State }),
    });
    const page = found.slice(0, MaxResults);
    const last = found.length > MaxResults ? page.at(-1) : undefined;
    return json({ Schedules: page.map(summarise), ...(last && { NextToken: encodeToken(last) }) });
  }

  #authorize(caller: Caller, operation: string, key: ScheduleKey): void {
    this.#authorizer.authorize(caller, { action: `scheduler:${operation}`, resource: scheduleArn(key) });
  }
}

function describe(schedule: StoredSchedule): object {
  const { StartDate, EndDate, ...definition } = schedule.definition;
  return {
    ...definition,
    ...summarise(schedule),
    Target: definition.Target,
    ...(StartDate !== undefined && { StartDate: StartDate / 1000 }),
    ...(EndDate !== undefined && { EndDate: EndDate / 1000 }),
  };
}

function summarise(schedule: StoredSchedule): object {
  return {
    Arn: scheduleArn(schedule),
    Name: schedule.name,
    GroupName: schedule.group,
    State: schedule.definition.State,
    CreationDate: schedule.createdAt / 1000,
    LastModificationDate: schedule.modifiedAt / 1000,
    Target: { Arn: schedule.definition.Target.Arn },
  };
}

function encodeToken({ group, name }: ScheduleKey): string {
  return Buffer.from(JSON.stringify([group, name])).toString("base64url");
}

function decodeToken(token: string): ScheduleKey {
  const text = Buffer.from(token, "base64url").toString();
  const [group, name] = parseInput(NextToken, parseBody(Buffer.from(text)));
  return { group, name };
}

function parseBody(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch (cause) {
    throw new AwsError("ValidationException", "The request is not valid JSON.", 400, { cause });
  }
}

function json(output: object): ServiceResponse {
  return { status: 200, headers: { "content-type": "application/json" }, body: JSON.stringify(output) };
}
