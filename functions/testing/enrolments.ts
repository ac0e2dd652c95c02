import * as enrolments from "../api/enrolments.ts";
import { apiHandler } from "../middleware/api-handler.ts";
import type { World } from "./world.ts";

/** The function that enrols agents, in a world. */
export function enrolmentsOf({ store, clock, random, registry, commandKey, runtime }: World) {
  const { run: enrol, claimEnrolment } = enrolments;
  return apiHandler(
    {
      name: "api/enrolments",
      build: () => ({
        ...{ store, clock, random, registry },
        policies: { source: "source-policy", target: "target-policy" },
        roleAliases: { source: "source-alias", target: "target-alias" },
        bucket: "bucket",
        kmsKeyId: "key",
        commandKey,
        region: "local-1",
        awsEndpoint: "http://aws.local",
      }),
      operations: { enrol, claimEnrolment },
    },
    runtime,
  );
}
