import type { PolicyDocument } from "../core/service.ts";

/**
 * The AWS managed policies that the embedded cloud knows, by ARN. Their actions reach services that it does
 * not have.
 */
export const AWS_MANAGED_POLICIES: ReadonlyMap<string, PolicyDocument> = new Map([
  [
    "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
    allowEverywhere("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"),
  ],
  [
    "arn:aws:iam::aws:policy/AWSXRayDaemonWriteAccess",
    allowEverywhere(
      "xray:PutTraceSegments",
      "xray:PutTelemetryRecords",
      "xray:GetSamplingRules",
      "xray:GetSamplingTargets",
      "xray:GetSamplingStatisticSummaries",
    ),
  ],
]);

function allowEverywhere(...actions: string[]): PolicyDocument {
  return { Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: actions, Resource: "*" }] };
}
