import { Validations } from "aws-cdk-lib";
import type { IConstruct } from "constructs";
import { workflowNames } from "#shared/protocol/conversion-types.ts";
import { PLAN_SCHEDULES, stateMachineName } from "./names.ts";

const BUCKET = "CausewayData:ExportsOutputFnGetAttBucket83908E77Arn063C8555";
const API = "CausewayApi:ExportsOutputRefRoutesApi60D8693E311557EE";
const ARN = (service: string, rest: string): string =>
  `arn:<AWS::Partition>:${service}:<AWS::Region>:<AWS::AccountId>:${rest}`;

/** Every finding of cdk-nag that is accepted, each with its reason. Anything else fails the tests. */
const accepted: Record<string, string> = {
  "AwsSolutions-S1":
    "Objects are encrypted and authenticated by the agents; who may read a repository is audited by the control plane, object access by CloudTrail.",
  "AwsSolutions-COG8":
    "The paid plan's threat protection is the customer's choice; only administrators create users, and a second factor is required.",
  "AwsSolutions-APIG4":
    "Enrolment carries its own one-time token, or a request that an operator approves; the OpenAPI document is public.",
  [wildcard("*")]:
    "Log delivery, X-Ray, iot:CreateCertificateFromCsr, iot:AttachThingPrincipal and iot:DescribeEndpoint have no resource-level rights.",
  [wildcard(ARN("iot", "topic/causeway/agents/*/commands"))]: "Commands go to any enrolled agent.",
  ...Object.fromEntries(
    workflowNames.map((workflow) => [
      wildcard(ARN("states", `execution:${stateMachineName(workflow)}:*`)),
      "An execution bears the id of its conversion, protection run, drill, recovery or cutover, or was started by a schedule.",
    ]),
  ),
  [wildcard(ARN("scheduler", `schedule/${PLAN_SCHEDULES}/*`))]:
    "A schedule bears its plan's or cutover's id.",
  [wildcard(ARN("iot", "thing/agt_*"))]: "The agent's name is made at enrolment.",
  [wildcard(ARN("iot", "cert/*"))]: "The certificate's id is made at enrolment.",
  [wildcard(`${BUCKET}/sources/*`)]:
    "The role is always assumed with a session policy for one source server.",
  ...Object.fromEntries(
    ["sources/*/key.json", "sources/*/points/*", "sources/*/packs/*", "collections/*"].map((objects) => [
      wildcard(`${BUCKET}/${objects}`),
      "The collector works on every source's repository.",
    ]),
  ),
  [wildcard(`${BUCKET}/sources/*/pruned/*`)]:
    "Any source's points can be pruned; the marks are empty, and none can be overwritten.",
  [wildcard(`${BUCKET}/boot-images/*`)]:
    "Every source may need any boot image; the role that uploads one is always assumed with a session policy for that one.",
  [wildcard(`${BUCKET}/sources/<credentials-iot:ThingName>/*`)]:
    "An agent reads all of its own repository, and nothing else.",
  ...Object.fromEntries(
    ["packs", "points", "boot-states"].map((folder) => [
      wildcard(`${BUCKET}/sources/<credentials-iot:ThingName>/${folder}/*`),
      "Object names in the folders of the agent's own prefix are hashes and ids; none can be overwritten.",
    ]),
  ),
  [wildcard(`${BUCKET}/evidence/<credentials-iot:ThingName>/*`)]:
    "Object names below the agent's own prefix carry the conversion's or drill's id.",
  [wildcard(ARN("execute-api", `${API}/$default/POST/owners/*/data-access`))]:
    "The function checks that the conversion, run, drill, check, recovery or cutover is this target host's.",
  [wildcard(ARN("execute-api", `${API}/$default/POST/owners/*/lease`))]:
    "The function checks that the recovery or cutover is this target host's, and that it holds the lease.",
};

/** Acknowledges the accepted findings within `scope`. */
export function acknowledgeFindings(scope: IConstruct): void {
  for (const [id, reason] of Object.entries(accepted)) Validations.of(scope).acknowledge({ id, reason });
}

function wildcard(resource: string): string {
  return `AwsSolutions-IAM5[Resource::${resource}]`;
}
