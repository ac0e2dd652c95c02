import { isDeepStrictEqual } from "node:util";
import * as z from "zod";
import { UnsupportedError } from "../core/aws-error.ts";
import { parseProperties, tagsProperty } from "../core/resource-properties.ts";
import type { ProvisionedResource, Resource, ResourceProvider } from "../core/service.ts";
import { ScheduleDefinition, ScheduleName, scheduleArn, scheduleGroupArn } from "./schedule.ts";
import type { Scheduler } from "./scheduler.ts";

const GroupProperties = z.strictObject({ Name: ScheduleName.optional(), Tags: tagsProperty.optional() });
const ScheduleProperties = ScheduleDefinition.extend({
  Name: ScheduleName.optional(),
  GroupName: ScheduleName.default("default"),
});

/** Schedules of templates and their groups. What has fired stays fired over a restart. */
export class SchedulerProvider implements ResourceProvider {
  readonly types = ["AWS::Scheduler::ScheduleGroup", "AWS::Scheduler::Schedule"] as const;
  readonly #scheduler: Scheduler;

  constructor(options: { scheduler: Scheduler }) {
    this.#scheduler = options.scheduler;
  }

  async provision(resource: Resource): Promise<ProvisionedResource> {
    switch (resource.type) {
      case "AWS::Scheduler::ScheduleGroup":
        return this.#provisionGroup(resource);
      case "AWS::Scheduler::Schedule":
        return this.#provisionSchedule(resource);
      default:
        throw new UnsupportedError(resource.type);
    }
  }

  #provisionGroup(resource: Resource): ProvisionedResource {
    const { Name: name = resource.generatedName } = parseProperties(resource, GroupProperties);
    this.#scheduler.putGroup(name);
    return { ref: name, attributes: { Arn: scheduleGroupArn(name), State: "ACTIVE" } };
  }

  #provisionSchedule(resource: Resource): ProvisionedResource {
    const {
      Name: name = resource.generatedName,
      GroupName: group,
      ...definition
    } = parseProperties(resource, ScheduleProperties);
    const key = { group, name };
    const existing = this.#scheduler.store.get(key);
    if (!existing) this.#scheduler.create(key, definition, {});
    else if (!isDeepStrictEqual(existing.definition, stored(definition))) {
      this.#scheduler.update(key, definition, {});
    }
    return { ref: name, attributes: { Arn: scheduleArn(key) } };
  }
}

/** As it comes back from the store, without members that are undefined. */
function stored(definition: ScheduleDefinition): unknown {
  return JSON.parse(JSON.stringify(definition));
}
